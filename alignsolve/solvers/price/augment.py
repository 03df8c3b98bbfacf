"""Successive shortest paths on the experts' graph: bring the core's loads within their bounds at least loss.

The nodes are the experts and the *ground*, which stands for "no expert". An arc j → k carries the core clients' moves
from j to k, the cheapest first. Arcs to and from the ground carry drops and additions, and also the stretches of the
experts' penalties. Sets of experts are nodes too, on the way from their experts to the ground (:mod:`.side`).

Every client starts with its best choice under the prices. Every expert is content with certain loads at its price.
Where its load differs, the node has an excess or a lack. While any node has an excess:

1. *Search.* Dijkstra from that node, over losses minus price differences (never negative), to the nearest node that
   lacks.
2. *Raise prices* of the nodes passed on the way, by how much nearer they are than the target. No arc becomes
   negative, and all arcs of the shortest path become tight.
3. *Send* units along the path, as many as its ends want and tight moves allow: one path serves all ties at once.

When no excess is left, clients and experts are content with the same prices: the result is optimal for the core. If
the nodes that a search reaches include none that lacks, the core has no solution, and they prove it.

Losses are multiples of a step that is larger than the number of nodes, and each arc adds 1 to a distance. So among
paths of equal loss Dijkstra takes one of fewest arcs. Then no client is asked for two moves that it cannot make
together: two such moves would share its total or a group, so that one move could replace them and everything between
them at no more loss, with fewer arcs.

Source: the primal-dual method for min-cost flow on a contracted residual graph, as in T. Tokuyama and J. Nakano,
Efficient algorithms for the Hitchcock transportation problem, SIAM J. Comput. 24 (1995).
"""

from typing import Any

import numpy.typing as npt

from alignsolve.runtime.jit import inner, kernel, part
from alignsolve.solvers.price.arcs import Arcs, freshen_row
from alignsolve.solvers.price.core import Core
from alignsolve.solvers.price.graph import (
    CURSOR,
    SEARCHES,
    UNREACHED,
    Graph,
    slope_above,
    slopes_below,
    step_of,
)
from alignsolve.solvers.price.paths import send

Array = npt.NDArray[Any]

DONE, PAUSED, STUCK, DRIFTED, FULL = range(5)
"""No excess left; steps used up; no node that lacks is reached; prices left the windows; no room for moves."""
CLOSED = 2**60
"""Added to the distance of a node that is settled."""


@kernel
def augment(core: Core, arcs: Arcs, graph: Graph, windows: Array, steps: int) -> int:
    """Send excess to nodes that lack until none is left or something stops it; return the reason.

    Parameters
    ----------
    core, arcs, graph
        Changed in place. They are valid whenever it returns, except that the arcs must be made anew after FULL.
    windows
        (2,) int64: stop as soon as two experts' prices have drifted apart by more than the first, or an expert's
        price and the ground's by more than the second.
    steps
        Most searches.
    """
    nodes = len(graph.excess)
    for _ in range(steps):
        source = _next_source(graph)
        if source == nodes:
            return DONE
        # Step 1: the shortest path to a node that lacks.
        target = _search(core, arcs, graph, source)
        if target == nodes:
            return STUCK
        # Step 2: prices.
        length = _trace(graph, source, target)
        _raise_prices(graph, target)
        _forget_search(graph)
        if _drifted(graph.price, len(arcs.loss) - 1, windows):
            return DRIFTED
        # Step 3: units.
        if not send(core, arcs, graph, source, target, length, windows):
            return FULL
    return PAUSED


@part
def _drifted(price: Array, num_experts: int, windows: Array) -> bool:
    """Whether the experts' prices have drifted apart, or from the ground's, by more than the windows."""
    ground = price[num_experts]
    high = low = price[0]
    for j in range(num_experts):
        high, low = max(high, price[j]), min(low, price[j])
    return high - low > windows[0] or max(high - ground, ground - low) > windows[1]


@part
def _next_source(graph: Graph) -> int:
    """Return a node with excess; the number of nodes if there is none."""
    excess, counter = graph.excess, graph.counter
    nodes = len(excess)
    j = counter[CURSOR]
    for _ in range(nodes):
        if excess[j] > 0:
            counter[CURSOR] = j
            return j
        j = j + 1 if j + 1 < nodes else 0
    return nodes


@inner
def _search(core: Core, arcs: Arcs, graph: Graph, source: int) -> int:
    """Dijkstra from the source to the nearest node that lacks; return it, or the number of nodes."""
    # Arrays that a loop uses are taken out of their tuple first: inside the loop each access would count a reference.
    distance, settled, price, parent = graph.distance, graph.settled, graph.price, graph.parent
    excess, stretch, up = graph.excess, graph.stretch, graph.up
    nodes, ground = len(excess), len(arcs.loss) - 1
    graph.counter[SEARCHES] += 1
    distance[source] = 0
    j = source
    while j < nodes:
        # Settle the nearest node.
        settled[j] = CLOSED
        if excess[j] < 0:
            return j
        # Relax its arcs: penalties to the node above it or from it to those below, and moves.
        passed = distance[j] - price[j] + 1
        if j <= ground:
            freshen_row(core, arcs, j, price, distance, passed)
        if j >= ground:
            slopes_below(graph, stretch, j)
            _relax(distance, parent, price, stretch, passed, j)
        if j != ground:
            above = up[j]
            if passed + slope_above(graph, j) + price[above] < distance[above]:
                distance[above] = passed + slope_above(graph, j) + price[above]
                parent[above] = j
        if j <= ground:
            _relax(distance, parent, price, arcs.loss[j], passed, j)
        j = _nearest(distance, settled)
    return nodes


@part
def _nearest(distance: Array, settled: Array) -> int:
    """Return the nearest node that is not settled; the number of nodes if none can be reached."""
    least = UNREACHED
    for k in range(len(distance)):
        least = min(least, distance[k] + settled[k])
    if least == UNREACHED:
        return len(distance)
    k = 0
    while distance[k] + settled[k] != least:
        k += 1
    return k


@part
def _relax(distance: Array, parent: Array, price: Array, loss: Array, passed: int, j: int) -> None:
    """Offer nodes a path by j, one for each loss; without branches, because this is the innermost loop."""
    for k in range(len(loss)):
        offer, known = passed + loss[k] + price[k], distance[k]
        parent[k] = j if offer < known else parent[k]
        distance[k] = min(offer, known)


@part
def _raise_prices(graph: Graph, target: int) -> None:
    """Raise the settled nodes' prices by how much nearer they are than the target."""
    price, distance, settled = graph.price, graph.distance, graph.settled
    # Distances without the arcs that they count.
    whole = -step_of(len(price))
    reached = distance[target] & whole
    for j in range(len(price)):
        price[j] += reached - (distance[j] & whole) if settled[j] else 0


@part
def _forget_search(graph: Graph) -> None:
    """Clear the marks of the last search."""
    graph.distance[:] = UNREACHED
    graph.settled[:] = 0


@part
def _trace(graph: Graph, source: int, target: int) -> int:
    """Write down the path from source to target; return its number of arcs."""
    path, parent = graph.path, graph.parent
    length = graph.distance[target] % step_of(len(path))
    k = target
    for t in range(length - 1, -1, -1):
        path[t] = k
        k = parent[k]
    return length

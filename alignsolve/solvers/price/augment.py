"""Successive shortest paths on the experts' graph: the core's loads are brought within their bounds at least loss.

The nodes are the experts and the *ground*, which holds what is not assigned and what bounds leave free. An arc j → k
carries the core clients' moves from j to k (to or from the ground: drops and additions), the cheapest first, and
between an expert and the ground also the stretches of its penalty. Every client starts with its best choice under the
prices, every expert with a load with which it is content at its price; where the two differ, the node has an excess or
a lack. Then, while any node has an excess:

1. Dijkstra from it, over losses minus price differences (never negative), to the nearest node that lacks;
2. raise the prices of the nodes passed on the way by what they are nearer than it, so that no arc becomes negative and
   the shortest path's arcs all become tight;
3. send units along the path, as many as its ends want and tight moves allow: one path serves all ties at once.

Losses are multiples of a step that is larger than the number of nodes, and each arc adds 1 to a distance: so among
paths of equal loss Dijkstra takes one of fewest arcs. Then no client is asked for two moves that it cannot make
together: where it could not, the two would share its total or a group, so that one move could replace them and all
that lies between (which loses nothing less), with fewer arcs. When no excess is left, everybody is content with the
same prices: optimal for the core. A node that reaches none that lacks proves that the core has no solution.

Source: the primal-dual method for min-cost flow on a contracted residual graph, as in T. Tokuyama, J. Nakano,
"Efficient algorithms for the Hitchcock transportation problem", SIAM J. Comput. 24 (1995).
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
"""No excess left; steps used up; a node reaches none that lacks; prices left the windows; no room for moves."""
CLOSED = 2**60
"""Added to the distance of a node that is settled."""


@kernel
def augment(core: Core, arcs: Arcs, graph: Graph, windows: Array, steps: int) -> int:
    """Send excess to where it is lacking until none is left or something stops it; returns what did.

    Parameters
    ----------
    core, arcs, graph
        Changed in place; valid whenever it returns, except that the arcs must be made anew after FULL.
    windows
        (2,) int64: stop as soon as two experts' prices have drifted apart by more than the first, or an expert's price
        and the ground's by more than the second.
    steps
        Stop after so many searches.
    """
    nodes = len(graph.excess)
    for _ in range(steps):
        source = _next_source(graph)
        if source == nodes:
            return DONE
        target = _search(core, arcs, graph, source)
        if target == nodes:
            return STUCK
        length = _trace(graph, source, target)
        _raise_prices(graph, target)
        _forget_search(graph)
        if _drifted(graph.price, windows):
            return DRIFTED
        if not send(core, arcs, graph, source, target, length, windows):
            return FULL
    return PAUSED


@part
def _drifted(price: Array, windows: Array) -> bool:
    ground = price[-1]
    high = low = price[0]
    for j in range(len(price) - 1):
        high, low = max(high, price[j]), min(low, price[j])
    return high - low > windows[0] or max(high - ground, ground - low) > windows[1]


@part
def _next_source(graph: Graph) -> int:
    """Return a node with excess, the number of nodes if there is none."""
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
    """Dijkstra from the source to the nearest node that lacks; returns it, or the number of nodes."""
    # What a loop uses is taken out of its tuple before: inside, each access would count a reference.
    distance, settled, price, parent = graph.distance, graph.settled, graph.price, graph.parent
    excess, stretch = graph.excess, graph.stretch
    nodes = len(excess)
    ground = nodes - 1
    graph.counter[SEARCHES] += 1
    distance[source] = 0
    j = source
    while j < nodes:
        settled[j] = CLOSED
        if excess[j] < 0:
            return j
        passed = distance[j] - price[j] + 1
        freshen_row(core, arcs, j, price, distance, passed)
        if j == ground:
            slopes_below(graph, stretch)
            _relax(distance, parent, price, stretch, passed, j)
        elif passed + slope_above(graph, j) + price[ground] < distance[ground]:
            distance[ground] = passed + slope_above(graph, j) + price[ground]
            parent[ground] = j
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
    """Offer to every node a way by j; written without branches, for it is the innermost loop."""
    for k in range(len(distance)):
        offer, known = passed + loss[k] + price[k], distance[k]
        parent[k] = j if offer < known else parent[k]
        distance[k] = min(offer, known)


@part
def _raise_prices(graph: Graph, target: int) -> None:
    price, distance, settled = graph.price, graph.distance, graph.settled
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

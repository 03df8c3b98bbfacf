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

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alignsolve.solvers.price.compiled import inner, kernel
from alignsolve.solvers.price.core import Core, count_moves, make_move, offer_moves, withdraw_moves
from alignsolve.solvers.price.heaps import FAR, Heaps

Array = npt.NDArray[Any]

DONE, PAUSED, STUCK, DRIFTED, FULL = range(5)
"""No excess left; steps used up; a node reaches none that lacks; prices left the windows; no room for moves."""

UNREACHED = 2**60
CLOSED = 2**60
PENALTY = -1
"""In place of a move on a path: a stretch of an expert's penalty."""


class Graph(NamedTuple):
    """Nodes (the experts, then the ground), what they hold, and the room that Dijkstra works in.

    Attributes
    ----------
    price, excess
        (nodes,) int64; prices in quanta, relative to those with which the core was priced.
    load
        (num_experts,) int64: the load that each expert's penalty is currently charged for.
    least, end, slope
        The penalties' stretches (:class:`~.slopes.Slopes`), the slopes in quanta and relative like the prices.
    stretch
        (nodes,) int64, FAR between uses: the slopes of the penalties' stretches that lead from a node.
    distance, parent, settled
        (nodes,) int64 of the last search: loss plus number of arcs, predecessor, and CLOSED once that is final.
    path, move
        (nodes,) int64: the nodes along the path that was found, and the moves that lead to them.
    client, give, take
        (nodes,) int64: what the moves along the path say.
    counter
        (4,) int64: the node with excess last looked at, and for the statistics searches, units, moves.
    """

    price: Array
    excess: Array
    load: Array
    least: Array
    end: Array
    slope: Array
    stretch: Array
    distance: Array
    parent: Array
    settled: Array
    path: Array
    move: Array
    client: Array
    give: Array
    take: Array
    counter: Array


CURSOR, SEARCHES, UNITS, MOVES = range(4)


def graph_of(excess: Array, load: Array, least: Array, end: Array, slope: Array) -> Graph:
    """Return a graph at relative prices of 0; ``excess`` has an entry for the ground too."""
    nodes = len(excess)
    return Graph(
        price=np.zeros(nodes, dtype=np.int64),
        excess=excess,
        load=load,
        least=least,
        end=np.ascontiguousarray(end),
        slope=np.ascontiguousarray(slope),
        stretch=np.full(nodes, FAR, dtype=np.int64),
        distance=np.full(nodes, UNREACHED, dtype=np.int64),
        parent=np.zeros(nodes, dtype=np.int64),
        settled=np.zeros(nodes, dtype=np.int64),
        path=np.zeros(nodes, dtype=np.int64),
        move=np.zeros(nodes, dtype=np.int64),
        client=np.zeros(nodes, dtype=np.int64),
        give=np.zeros(nodes, dtype=np.int64),
        take=np.zeros(nodes, dtype=np.int64),
        counter=np.zeros(4, dtype=np.int64),
    )


@kernel
def step_of(nodes: int) -> int:
    """All losses, slopes and prices are multiples of this power of two, which no path's number of arcs reaches."""
    step = 2
    while step <= nodes:
        step *= 2
    return step


def filled_heaps(core: Core, graph: Graph, windows: Array) -> Heaps:
    """Return heaps with every move that the core's clients could make now, and room for as many again."""
    heaps = Heaps.empty(len(graph.excess), 2 * int(count_moves(core)) + 1024)
    _offer_all(core, heaps, windows)
    return heaps


@kernel
def _offer_all(core: Core, heaps: Heaps, windows: Array) -> None:
    for i in range(len(core.stamp)):
        offer_moves(core, heaps, windows, i)


@kernel
def augment(core: Core, heaps: Heaps, graph: Graph, windows: Array, steps: int) -> int:
    """Send excess to where it is lacking until none is left or something stops it; returns what did.

    Parameters
    ----------
    core, heaps, graph
        Changed in place; valid whenever it returns, except that the heaps must be refilled after FULL.
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
        target = _search(heaps, graph, source)
        if target == nodes:
            return STUCK
        length = _trace(graph, source, target)
        _raise_prices(graph, target)
        forget_search(graph)
        if _drifted(graph.price, windows):
            return DRIFTED
        if not _send(core, heaps, graph, source, target, length, windows):
            return FULL
    return PAUSED


@inner
def _drifted(price: Array, windows: Array) -> bool:
    ground = price[-1]
    high, low = price[:-1].max(), price[:-1].min()
    return high - low > windows[0] or max(high - ground, ground - low) > windows[1]


@inner
def _next_source(graph: Graph) -> int:
    """Return a node with excess, the number of nodes if there is none."""
    nodes = len(graph.excess)
    for step in range(nodes):
        j = (graph.counter[CURSOR] + step) % nodes
        if graph.excess[j] > 0:
            graph.counter[CURSOR] = j
            return j
    return nodes


@inner
def _search(heaps: Heaps, graph: Graph, source: int) -> int:
    """Dijkstra from the source to the nearest node that lacks; returns it, or the number of nodes."""
    nodes = len(graph.excess)
    ground = nodes - 1
    graph.counter[SEARCHES] += 1
    graph.distance[source] = 0
    while True:
        j = _nearest(graph.distance, graph.settled)
        if j == nodes:
            return nodes
        graph.settled[j] = CLOSED
        if graph.excess[j] < 0:
            return j
        passed = graph.distance[j] - graph.price[j] + 1
        _relax(graph.distance, graph.parent, graph.price, heaps.loss[j], passed, j)
        if j < ground:
            graph.stretch[ground] = _slope_above(graph, j)
        else:
            for k in range(ground):
                graph.stretch[k] = -_slope_below(graph, k)
        _relax(graph.distance, graph.parent, graph.price, graph.stretch, passed, j)
        graph.stretch[:] = FAR


@inner
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


@inner
def _relax(distance: Array, parent: Array, price: Array, loss: Array, passed: int, j: int) -> None:
    """Offer to every node a way by j; written without branches, for it is the innermost loop."""
    for k in range(len(distance)):
        offer, known = passed + loss[k] + price[k], distance[k]
        parent[k] = j if offer < known else parent[k]
        distance[k] = min(offer, known)


@inner
def _slope_above(graph: Graph, j: int) -> int:
    """Penalty of one more unit on expert j; FAR if a hard bound forbids it."""
    for t in range(graph.end.shape[1]):
        if graph.load[j] < graph.end[j, t]:
            return graph.slope[j, t]
    return FAR


@inner
def _slope_below(graph: Graph, j: int) -> int:
    """Penalty saved by one unit less on expert j; −FAR if a hard bound forbids it."""
    begin = graph.least[j]
    for t in range(graph.end.shape[1]):
        if begin < graph.load[j] <= graph.end[j, t]:
            return graph.slope[j, t]
        begin = graph.end[j, t]
    return -FAR


@inner
def _raise_prices(graph: Graph, target: int) -> None:
    step = step_of(len(graph.price))
    for j in range(len(graph.price)):
        if graph.settled[j]:
            graph.price[j] += (graph.distance[target] // step - graph.distance[j] // step) * step


@kernel
def forget_search(graph: Graph) -> None:
    """Clear the marks of the last search."""
    graph.distance[:] = UNREACHED
    graph.settled[:] = 0


@inner
def _trace(graph: Graph, source: int, target: int) -> int:
    """Write down the path from source to target; return its number of arcs."""
    length = graph.distance[target] % step_of(len(graph.price))
    k = target
    for t in range(length - 1, -1, -1):
        graph.path[t] = k
        k = graph.parent[k]
    return length


@inner
def _send(core: Core, heaps: Heaps, graph: Graph, source: int, target: int, length: int, windows: Array) -> bool:
    """Send units from source to target while every arc of the path is tight; False once the pool is full."""
    first = True
    while _tight(heaps, graph, source, length) and (first or not _repeats(graph, length)):
        first = False
        graph.excess[source] -= 1
        graph.excess[target] += 1
        graph.counter[UNITS] += 1
        if not _send_unit(core, heaps, graph, source, length, windows):
            return False
        if graph.excess[source] == 0 or graph.excess[target] == 0:
            break
    return True


@inner
def _tight(heaps: Heaps, graph: Graph, source: int, length: int) -> bool:
    """Put the moves on the path, if each of its arcs has one that loses nothing."""
    ground = len(graph.excess) - 1
    j = source
    for t in range(length):
        k = graph.path[t]
        tight = graph.price[j] - graph.price[k]
        if heaps.loss[j, k] == tight:
            move = heaps.root[j, k]
            graph.move[t] = move
            graph.client[t] = heaps.pool[move].client
            graph.give[t] = heaps.pool[move].left
            graph.take[t] = heaps.pool[move].taken
        elif (k == ground and _slope_above(graph, j) == tight) or (j == ground and -_slope_below(graph, k) == tight):
            graph.move[t] = PENALTY
        else:
            return False
        j = k
    return True


@inner
def _repeats(graph: Graph, length: int) -> bool:
    """Tell whether a client would move twice: on a path that was not searched anew, it might not be able to."""
    for t in range(length):
        if _moved_before(graph, t):
            return True
    return False


@inner
def _moved_before(graph: Graph, t: int) -> bool:
    """Tell whether the client of the move on the t-th arc moves on an earlier one too."""
    if graph.move[t] != PENALTY:
        for earlier in range(t):
            if graph.move[earlier] != PENALTY and graph.client[earlier] == graph.client[t]:
                return True
    return False


@inner
def _send_unit(core: Core, heaps: Heaps, graph: Graph, source: int, length: int, windows: Array) -> bool:
    """Make all the moves of the path; their clients withdraw what they offered and offer what they can do now."""
    ground = len(graph.excess) - 1
    j = source
    for t in range(length):
        k = graph.path[t]
        if graph.move[t] != PENALTY:
            withdraw_moves(core, heaps, graph.client[t])
        elif k == ground:
            graph.load[j] += 1
        else:
            graph.load[k] -= 1
        j = k
    for t in range(length):
        if graph.move[t] != PENALTY:
            graph.counter[MOVES] += 1
            make_move(core, graph.client[t], graph.give[t], graph.take[t])
    fits = True
    for t in range(length):
        if graph.move[t] != PENALTY and not _moved_before(graph, t):
            fits &= offer_moves(core, heaps, windows, graph.client[t])
    return fits

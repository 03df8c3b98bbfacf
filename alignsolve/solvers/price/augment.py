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

Among paths of equal loss Dijkstra takes one of fewest arcs. Then no client is asked for two moves that it cannot make
together: where it could not, the two would share its total or a group, so that one move could replace them and all
that lies between (which loses nothing less), with fewer arcs. When no excess is left, everybody is content with the
same prices: optimal for the core. A node that reaches none that lacks proves that the core has no solution.

Source: the primal-dual method for min-cost flow on a contracted residual graph, as in T. Tokuyama, J. Nakano,
"Efficient algorithms for the Hitchcock transportation problem", SIAM J. Comput. 24 (1995).
"""

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from alignsolve.solvers.price.core import Core, count_moves, make_move, offer_moves
from alignsolve.solvers.price.heaps import Heaps, top
from alignsolve.solvers.price.slopes import LARGEST

Array = npt.NDArray[Any]

DONE, PAUSED, STUCK, DRIFTED, FULL = range(5)
"""No excess is left; the steps are used up; a node reaches none that lacks; prices left the window; no room for moves."""

FAR = 4 * LARGEST
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
    neighbour, degree
        (nodes, nodes) int32 and (nodes,) int64: the arcs on which moves were ever offered.
    distance, arcs, parent, via, settled
        (nodes,) of the last search: loss, number of arcs, predecessor, the move that led here, and whether final.
    touched
        (nodes,) int64: the nodes that the search reached.
    path
        (nodes,) int64: the moves along the path that was found, and ``nodes`` along it.
    counter
        (6,) int64: nodes touched, next node to look for excess, and for the statistics searches, units, moves.
    """

    price: Array
    excess: Array
    load: Array
    least: Array
    end: Array
    slope: Array
    neighbour: Array
    degree: Array
    distance: Array
    arcs: Array
    parent: Array
    via: Array
    settled: Array
    touched: Array
    path: Array
    nodes: Array
    counter: Array


TOUCHED, CURSOR, SEARCHES, UNITS, MOVES = range(5)


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
        neighbour=np.zeros((nodes, nodes), dtype=np.int32),
        degree=np.zeros(nodes, dtype=np.int64),
        distance=np.full(nodes, FAR, dtype=np.int64),
        arcs=np.zeros(nodes, dtype=np.int64),
        parent=np.zeros(nodes, dtype=np.int64),
        via=np.zeros(nodes, dtype=np.int64),
        settled=np.zeros(nodes, dtype=np.bool_),
        touched=np.zeros(nodes, dtype=np.int64),
        path=np.zeros(nodes, dtype=np.int64),
        nodes=np.zeros(nodes, dtype=np.int64),
        counter=np.zeros(5, dtype=np.int64),
    )


def filled_heaps(core: Core, graph: Graph, window: int) -> Heaps:
    """Return heaps with every move that the core's clients could make now, and room for as many again."""
    heaps = Heaps.empty(len(graph.excess), 2 * int(count_moves(core)) + 1024)
    graph.degree[:] = 0
    _offer_all(core, heaps, graph.neighbour, graph.degree, window)
    return heaps


@numba.njit(cache=True, nogil=True)
def _offer_all(core: Core, heaps: Heaps, neighbour: Array, degree: Array, window: int) -> None:
    for i in range(len(core.stamp)):
        offer_moves(core, heaps, neighbour, degree, window, i)


@numba.njit(cache=True, nogil=True)
def augment(core: Core, heaps: Heaps, graph: Graph, window: int, steps: int) -> int:
    """Send excess to where it is lacking until none is left or something stops it; returns what did.

    Parameters
    ----------
    core, heaps, graph
        Changed in place; valid whenever it returns, except that the heaps must be refilled after FULL.
    window
        Stop as soon as two prices have drifted apart by more than this.
    steps
        Stop after so many searches.
    """
    nodes = len(graph.excess)
    for _ in range(steps):
        source = _next_source(graph)
        if source == nodes:
            return DONE
        target = _search(core, heaps, graph, source)
        if target == nodes:
            return STUCK
        _raise_prices(graph, target)
        forget_search(graph)
        if graph.price.max() - graph.price.min() > window:
            return DRIFTED
        if not _send(core, heaps, graph, source, target, window):
            return FULL
    return PAUSED


@numba.njit(cache=True, nogil=True)
def _next_source(graph: Graph) -> int:
    """Return a node with excess, the number of nodes if there is none."""
    nodes = len(graph.excess)
    for step in range(nodes):
        j = (graph.counter[CURSOR] + step) % nodes
        if graph.excess[j] > 0:
            graph.counter[CURSOR] = j
            return j
    return nodes


@numba.njit(cache=True, nogil=True)
def _search(core: Core, heaps: Heaps, graph: Graph, source: int) -> int:
    """Dijkstra from the source to the nearest node that lacks; returns it, or the number of nodes."""
    nodes = len(graph.excess)
    ground = nodes - 1
    graph.counter[SEARCHES] += 1
    graph.counter[TOUCHED] = 1
    graph.touched[0] = source
    graph.distance[source] = 0
    graph.arcs[source] = 0
    while True:
        j = _nearest(graph)
        if j == nodes:
            return nodes
        graph.settled[j] = True
        if graph.excess[j] < 0:
            return j
        for t in range(graph.degree[j]):
            k = graph.neighbour[j, t]
            if not graph.settled[k]:
                move = top(heaps, core.stamp, j, k)
                if move >= 0:
                    _relax(graph, j, k, heaps.pool[move].loss, move)
        if j < ground:
            if not graph.settled[ground]:
                _relax(graph, j, ground, _slope_above(graph, j), PENALTY)
        else:
            for k in range(ground):
                if not graph.settled[k]:
                    _relax(graph, ground, k, -_slope_below(graph, k), PENALTY)


@numba.njit(cache=True, nogil=True)
def _nearest(graph: Graph) -> int:
    """Return the open node of least (loss, arcs)."""
    best = len(graph.excess)
    for t in range(graph.counter[TOUCHED]):
        k = graph.touched[t]
        if graph.settled[k]:
            continue
        if (
            best == len(graph.excess)
            or graph.distance[k] < graph.distance[best]
            or (graph.distance[k] == graph.distance[best] and graph.arcs[k] < graph.arcs[best])
        ):
            best = k
    return best


@numba.njit(cache=True, nogil=True)
def _relax(graph: Graph, j: int, k: int, loss: int, move: int) -> None:
    """Offer a way to k by j."""
    if loss >= FAR:
        return
    distance = graph.distance[j] + loss - graph.price[j] + graph.price[k]
    if distance > graph.distance[k] or (distance == graph.distance[k] and graph.arcs[j] + 1 >= graph.arcs[k]):
        return
    if graph.distance[k] == FAR:
        graph.touched[graph.counter[TOUCHED]] = k
        graph.counter[TOUCHED] += 1
    graph.distance[k] = distance
    graph.arcs[k] = graph.arcs[j] + 1
    graph.parent[k] = j
    graph.via[k] = move


@numba.njit(cache=True, nogil=True)
def _slope_above(graph: Graph, j: int) -> int:
    """Penalty of one more unit on expert j; FAR if a hard bound forbids it."""
    for t in range(graph.end.shape[1]):
        if graph.load[j] < graph.end[j, t]:
            return graph.slope[j, t]
    return FAR


@numba.njit(cache=True, nogil=True)
def _slope_below(graph: Graph, j: int) -> int:
    """Penalty saved by one unit less on expert j; −FAR if a hard bound forbids it."""
    begin = graph.least[j]
    for t in range(graph.end.shape[1]):
        if begin < graph.load[j] <= graph.end[j, t]:
            return graph.slope[j, t]
        begin = graph.end[j, t]
    return -FAR


@numba.njit(cache=True, nogil=True)
def _raise_prices(graph: Graph, target: int) -> None:
    for t in range(graph.counter[TOUCHED]):
        j = graph.touched[t]
        if graph.settled[j]:
            graph.price[j] += graph.distance[target] - graph.distance[j]


@numba.njit(cache=True, nogil=True)
def forget_search(graph: Graph) -> None:
    for t in range(graph.counter[TOUCHED]):
        j = graph.touched[t]
        graph.distance[j] = FAR
        graph.settled[j] = False


@numba.njit(cache=True, nogil=True)
def _send(core: Core, heaps: Heaps, graph: Graph, source: int, target: int, window: int) -> bool:
    """Send units from source to target while every arc of the path stays tight; False once the pool is full."""
    length = graph.arcs[target]
    k = target
    for t in range(length - 1, -1, -1):
        graph.nodes[t] = k
        graph.path[t] = graph.via[k]
        k = graph.parent[k]
    while True:
        fits = _send_unit(core, heaps, graph, source, length, window)
        graph.excess[source] -= 1
        graph.excess[target] += 1
        graph.counter[UNITS] += 1
        if not fits:
            return False
        if graph.excess[source] == 0 or graph.excess[target] == 0:
            return True
        if not _still_tight(core, heaps, graph, source, length):
            return True


@numba.njit(cache=True, nogil=True)
def _send_unit(core: Core, heaps: Heaps, graph: Graph, source: int, length: int, window: int) -> bool:
    """Make all the moves of the path, then let their clients offer what they can do now."""
    ground = len(graph.excess) - 1
    j = source
    for t in range(length):
        k = graph.nodes[t]
        move = graph.path[t]
        if move == PENALTY:
            if k == ground:
                graph.load[j] += 1
            else:
                graph.load[k] -= 1
        else:
            graph.counter[MOVES] += 1
            make_move(core, heaps.pool[move].client, heaps.pool[move].give, heaps.pool[move].take)
        j = k
    fits = True
    for t in range(length):
        move = graph.path[t]
        if move != PENALTY and not _moved_before(heaps, graph, t):
            fits &= offer_moves(core, heaps, graph.neighbour, graph.degree, window, heaps.pool[move].client)
    return fits


@numba.njit(cache=True, nogil=True)
def _moved_before(heaps: Heaps, graph: Graph, t: int) -> bool:
    for earlier in range(t):
        move = graph.path[earlier]
        if move != PENALTY and heaps.pool[move].client == heaps.pool[graph.path[t]].client:
            return True
    return False


@numba.njit(cache=True, nogil=True)
def _still_tight(core: Core, heaps: Heaps, graph: Graph, source: int, length: int) -> bool:
    """Put the next moves on the path, if each of its arcs has one that loses nothing and no client moves twice."""
    ground = len(graph.excess) - 1
    j = source
    for t in range(length):
        k = graph.nodes[t]
        if graph.path[t] == PENALTY:
            loss = _slope_above(graph, j) if k == ground else -_slope_below(graph, k)
        else:
            move = top(heaps, core.stamp, j, k)
            if move < 0:
                return False
            graph.path[t] = move
            if _moved_before(heaps, graph, t):
                return False
            loss = heaps.pool[move].loss
        if loss - graph.price[j] + graph.price[k] != 0:
            return False
        j = k
    return True

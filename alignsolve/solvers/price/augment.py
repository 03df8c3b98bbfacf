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

from alignsolve.solvers.price import heaps, table
from alignsolve.solvers.price.arcs import FAR, NONE, Arcs
from alignsolve.solvers.price.compiled import inner, kernel
from alignsolve.solvers.price.core import Core, make_move

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
        forget_search(graph)
        if _drifted(graph.price, windows):
            return DRIFTED
        if not _send(core, arcs, graph, source, target, length, windows):
            return FULL
    return PAUSED


@inner
def _drifted(price: Array, windows: Array) -> bool:
    ground = price[-1]
    high = low = price[0]
    for j in range(len(price) - 1):
        high, low = max(high, price[j]), min(low, price[j])
    return high - low > windows[0] or max(high - ground, ground - low) > windows[1]


@inner
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
    excess, stretch, in_table = graph.excess, graph.stretch, _is_table(arcs)
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
        if in_table:
            table.freshen_row(core, arcs, j, price, distance, passed)
        if j == ground:
            _slopes_below(graph, stretch)
            _relax(distance, parent, price, stretch, passed, j)
        elif passed + _slope_above(graph, j) + price[ground] < distance[ground]:
            distance[ground] = passed + _slope_above(graph, j) + price[ground]
            parent[ground] = j
        _relax(distance, parent, price, arcs.loss[j], passed, j)
        j = _nearest(distance, settled)
    return nodes


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
def _slopes_below(graph: Graph, stretch: Array) -> None:
    """List what one unit less costs on every expert."""
    for k in range(len(stretch) - 1):
        stretch[k] = -_slope_below(graph, k)


@inner
def _slope_above(graph: Graph, j: int) -> int:
    """Penalty of one more unit on expert j; FAR if a hard bound forbids it."""
    load, end = graph.load[j], graph.end[j]
    for t in range(len(end)):
        if load < end[t]:
            return graph.slope[j, t]
    return FAR


@inner
def _slope_below(graph: Graph, j: int) -> int:
    """Penalty saved by one unit less on expert j; −FAR if a hard bound forbids it."""
    load, end, begin = graph.load[j], graph.end[j], graph.least[j]
    for t in range(len(end)):
        if begin < load <= end[t]:
            return graph.slope[j, t]
        begin = end[t]
    return -FAR


@inner
def _raise_prices(graph: Graph, target: int) -> None:
    price, distance, settled = graph.price, graph.distance, graph.settled
    whole = -step_of(len(price))
    reached = distance[target] & whole
    for j in range(len(price)):
        price[j] += reached - (distance[j] & whole) if settled[j] else 0


@kernel
def forget_search(graph: Graph) -> None:
    """Clear the marks of the last search."""
    graph.distance[:] = UNREACHED
    graph.settled[:] = 0


@inner
def _trace(graph: Graph, source: int, target: int) -> int:
    """Write down the path from source to target; return its number of arcs."""
    path, parent = graph.path, graph.parent
    length = graph.distance[target] % step_of(len(path))
    k = target
    for t in range(length - 1, -1, -1):
        path[t] = k
        k = parent[k]
    return length


@inner
def _send(core: Core, arcs: Arcs, graph: Graph, source: int, target: int, length: int, windows: Array) -> bool:
    """Send units from source to target while every arc of the path is tight; False once the pool is full."""
    first = True
    while _tight(core, arcs, graph, source, length) and (first or not _repeats(graph, length)):
        first = False
        graph.excess[source] -= 1
        graph.excess[target] += 1
        graph.counter[UNITS] += 1
        if not _send_unit(core, arcs, graph, source, length, windows):
            return False
        if graph.excess[source] == 0 or graph.excess[target] == 0:
            break
    return True


@inner
def _tight(core: Core, arcs: Arcs, graph: Graph, source: int, length: int) -> bool:
    """Put the moves on the path, if each of its arcs has one that loses nothing."""
    ground = len(graph.excess) - 1
    j = source
    for t in range(length):
        k = graph.path[t]
        tight = graph.price[j] - graph.price[k]
        if arcs.loss[j, k] <= tight and _is_table(arcs) and arcs.root[j, k] < NONE:
            table.freshen(core, arcs, j, k)
        if arcs.loss[j, k] == tight:
            _read_move(arcs, graph, j, k, t)
        elif (k == ground and _slope_above(graph, j) == tight) or (j == ground and -_slope_below(graph, k) == tight):
            graph.move[t] = PENALTY
        else:
            return False
        j = k
    return True


@inner
def _read_move(arcs: Arcs, graph: Graph, j: int, k: int, t: int) -> None:
    """Put the cheapest move on the arc j → k on the t-th place of the path."""
    move = arcs.root[j, k]
    graph.move[t] = move
    if _is_table(arcs):
        ground = len(arcs.root) - 1
        graph.client[t] = move
        graph.give[t] = move * ground + j if j < ground else NONE
        graph.take[t] = move * ground + k if k < ground else NONE
    else:
        graph.client[t] = arcs.pool[move].client
        graph.give[t] = arcs.pool[move].left
        graph.take[t] = arcs.pool[move].taken


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
    move, client = graph.move, graph.client
    if move[t] != PENALTY:
        for earlier in range(t):
            if move[earlier] != PENALTY and client[earlier] == client[t]:
                return True
    return False


@inner
def _send_unit(core: Core, arcs: Arcs, graph: Graph, source: int, length: int, windows: Array) -> bool:
    """Make all the moves of the path; their clients withdraw what they offered and offer what they can do now."""
    ground = len(graph.excess) - 1
    j = source
    for t in range(length):
        k = graph.path[t]
        if graph.move[t] != PENALTY:
            _withdraw(core, arcs, graph.client[t])
        elif k == ground:
            graph.load[j] += 1
        else:
            graph.load[k] -= 1
        j = k
    for t in range(length):
        if graph.move[t] != PENALTY:
            graph.counter[MOVES] += 1
            _move(core, arcs, graph.client[t], graph.give[t], graph.take[t])
    fits = True
    for t in range(length):
        if graph.move[t] != PENALTY and not _moved_before(graph, t):
            fits &= _offer(core, arcs, windows, graph.client[t])
    return fits


@inner
def _is_table(arcs: Arcs) -> bool:
    return arcs.holder.shape[1] > 0


@inner
def _withdraw(core: Core, arcs: Arcs, i: int) -> None:
    if _is_table(arcs):
        table.withdraw(core, arcs, i)
    else:
        heaps.withdraw_moves(core, arcs, i)


@inner
def _move(core: Core, arcs: Arcs, i: int, give: int, take: int) -> None:
    make_move(core, i, give, take)
    if _is_table(arcs):
        if give != NONE:
            table.leave(core, arcs, i, core.expert[give])
        if take != NONE:
            table.join(arcs, i, core.expert[take])


@inner
def _offer(core: Core, arcs: Arcs, windows: Array, i: int) -> bool:
    if _is_table(arcs):
        table.offer(core, arcs, i)
        return True
    return heaps.offer_moves(core, arcs, windows, i)

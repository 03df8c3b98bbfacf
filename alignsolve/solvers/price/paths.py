"""Sending units along a path: its arcs' clients move, withdraw their old offers, and offer their new moves."""

from typing import Any

import numpy.typing as npt

from alignsolve.runtime.jit import inner, part
from alignsolve.solvers.price import arcs as kept
from alignsolve.solvers.price.arcs import Arcs
from alignsolve.solvers.price.core import Core, count_move
from alignsolve.solvers.price.graph import MOVES, NOBODY, UNITS, Graph, slope_above, slope_below

Array = npt.NDArray[Any]


@part
def send(core: Core, arcs: Arcs, graph: Graph, source: int, target: int, length: int, windows: Array) -> bool:
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
    """Write the moves of a path whose arcs are all tight; False if an arc has no move at no loss."""
    ground, up = len(arcs.loss) - 1, graph.up
    j = source
    for t in range(length):
        k = graph.path[t]
        tight = graph.price[j] - graph.price[k]
        moves = j <= ground and k <= ground
        if moves and arcs.loss[j, k] <= tight:
            kept.freshen(core, arcs, j, k)
        if moves and arcs.loss[j, k] == tight:
            graph.client[t], graph.give[t], graph.take[t] = kept.read_move(core, arcs, j, k)
        elif (k == up[j] and slope_above(graph, j) == tight) or (j == up[k] and -slope_below(graph, k) == tight):
            graph.client[t] = NOBODY
        else:
            return False
        j = k
    return True


@inner
def _repeats(graph: Graph, length: int) -> bool:
    """Whether a client would move twice: on a path that was not searched anew, it might not be able to."""
    for t in range(length):
        if _moved_before(graph, t):
            return True
    return False


@inner
def _moved_before(graph: Graph, t: int) -> bool:
    """Whether the client that moves on the t-th arc moves on an earlier one too."""
    client = graph.client
    if client[t] != NOBODY:
        for earlier in range(t):
            if client[earlier] == client[t]:
                return True
    return False


@part
def _send_unit(core: Core, arcs: Arcs, graph: Graph, source: int, length: int, windows: Array) -> bool:
    """Make all the moves of the path."""
    ground, up = len(arcs.loss) - 1, graph.up
    path, client, give, take, load = graph.path, graph.client, graph.give, graph.take, graph.load
    # Withdraw the clients' offers; charge penalties on the arcs without a client.
    j = source
    for t in range(length):
        k = path[t]
        if client[t] != NOBODY:
            kept.withdraw(core, arcs, client[t])
        elif k == up[j]:
            load[j] += 1
        else:
            load[k] -= 1
        j = k
    # Move the clients.
    j = source
    for t in range(length):
        k = path[t]
        if client[t] != NOBODY:
            graph.counter[MOVES] += 1
            count_move(core, client[t], j, k, ground)
            kept.make_move(core, arcs, give[t], take[t])
        j = k
    # Offer the moves that the clients can make now.
    fits = True
    for t in range(length):
        if client[t] != NOBODY and not _moved_before(graph, t):
            fits &= kept.offer(core, arcs, windows, client[t])
    return fits

"""Sending units along a path: its arcs' clients move, withdraw what they offered, and offer what they can do now."""

from typing import Any

import numpy.typing as npt

from alignsolve.solvers.price import heaps, table
from alignsolve.solvers.price.arcs import NONE, Arcs, is_table
from alignsolve.solvers.price.compiled import inner, part
from alignsolve.solvers.price.core import Core, make_move
from alignsolve.solvers.price.graph import MOVES, UNITS, Graph, slope_above, slope_below

Array = npt.NDArray[Any]

PENALTY = -1
"""In place of a move on a path: a stretch of an expert's penalty."""


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
    """Put the moves on the path, if each of its arcs has one that loses nothing."""
    ground = len(graph.excess) - 1
    j = source
    for t in range(length):
        k = graph.path[t]
        tight = graph.price[j] - graph.price[k]
        if arcs.loss[j, k] <= tight and is_table(arcs) and arcs.root[j, k] < NONE:
            table.freshen(core, arcs, j, k)
        if arcs.loss[j, k] == tight:
            _read_move(arcs, graph, j, k, t)
        elif (k == ground and slope_above(graph, j) == tight) or (j == ground and -slope_below(graph, k) == tight):
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
    if is_table(arcs):
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


@part
def _send_unit(core: Core, arcs: Arcs, graph: Graph, source: int, length: int, windows: Array) -> bool:
    """Make all the moves of the path; their clients withdraw what they offered and offer what they can do now."""
    ground, in_table = len(graph.excess) - 1, is_table(arcs)
    path, moves, clients, load = graph.path, graph.move, graph.client, graph.load
    j = source
    for t in range(length):
        k = path[t]
        if moves[t] == PENALTY:
            if k == ground:
                load[j] += 1
            else:
                load[k] -= 1
        elif in_table:
            table.withdraw(core, arcs, clients[t])
        else:
            heaps.withdraw_moves(core, arcs, clients[t])
        j = k
    for t in range(length):
        if moves[t] != PENALTY:
            graph.counter[MOVES] += 1
            make_move(core, clients[t], graph.give[t], graph.take[t])
            if in_table:
                table.make_move(core, arcs, graph.give[t], graph.take[t])
    fits = True
    for t in range(length):
        if moves[t] == PENALTY or _moved_before(graph, t):
            continue
        if in_table:
            table.offer(core, arcs, clients[t])
        else:
            fits &= heaps.offer_moves(core, arcs, windows, clients[t])
    return fits

"""For each pair of experts, a short list of the clients that could move from one to the other at the least regret.

An arc u → v stands for clients that hold u, not v, and may have v in its place. The *ground*, numbered num_experts,
stands for "no expert". An arc's list holds the clients with the highest gain, the reduced fitness of v minus that of
u, best first. Apart from the gain, a list may be out of date: its reader checks the state.
"""

from typing import Any, NamedTuple

import numpy as np

from alignsolve.runtime.jit import inner, present
from alignsolve.solvers.greedy.state import FREE, HELD, State, row_admits, row_releases, row_trades
from alignsolve.subproblem.reduced_compiled import subtract_price

LENGTH = 24
"""Clients listed for each arc."""


class Arcs(NamedTuple):
    """The lists.

    Attributes
    ----------
    client, gain
        (E + 1, E + 1, LENGTH), best first from ``first`` up to ``stop``.
    first, stop
        (E + 1, E + 1).
    bar
        (E + 1, E + 1) the gain that a client must exceed to be listed: that of the last of a full list.
    """

    client: Any
    gain: Any
    first: Any
    stop: Any
    bar: Any


def no_arcs(num_experts: int) -> Arcs:
    """Return empty lists."""
    shape = (num_experts + 1, num_experts + 1)
    return Arcs(
        np.full((*shape, LENGTH), -1, dtype=np.int64),
        np.full((*shape, LENGTH), -np.inf),
        np.zeros(shape, dtype=np.int64),
        np.zeros(shape, dtype=np.int64),
        np.full(shape, -np.inf),
    )


def forget(arcs: Arcs) -> None:
    """Empty all lists."""
    arcs.first[:] = 0
    arcs.stop[:] = 0
    arcs.bar[:] = -np.inf


@inner
def may_move(s: State, i: int, u: int, v: int) -> bool:
    """Whether client i holds u and not v, and its row allows v in place of u."""
    ground = len(s.group)
    if (u < ground and s.status[i, u] != HELD) or (v < ground and s.status[i, v] != FREE):
        return False
    if u == ground:
        return row_admits(s, i, v)
    return row_releases(s, i, u) if v == ground else row_trades(s, i, u, v)


@inner
def offer(s: State, prices: Any, arcs: Arcs, i: int, worth: Any) -> None:
    """Put client i on the lists of all arcs where it is among the best; ``worth`` is room for its row."""
    ground = len(prices)
    status, value, load, bar = s.status, s.value, s.load, arcs.bar
    weighted = present(load)
    money, cost, num_resources = s.money, s.cost, s.cost.shape[2]
    # The reduced fitness of each expert that it could take.
    for v in range(ground):
        worth[v] = -np.inf
        if status[i, v] == FREE:
            worth[v] = subtract_price(value[i, v], prices[v], load[i, v] if weighted else 1.0)
    worth[ground] = 0.0
    # Its moves from each expert that it holds, and from the ground.
    for u in range(ground + 1):
        lost = 0.0
        if u < ground:
            if status[i, u] != HELD:
                continue
            lost = subtract_price(value[i, u], prices[u], load[i, u] if weighted else 1.0)
        for v in range(ground + 1):
            if worth[v] - lost <= bar[u, v] or v == u:
                continue
            # Budgets are checked here, before the call for the row's other bounds.
            fits = worth[v] > -np.inf
            if v < ground:
                for r in range(num_resources):
                    given = cost[i, u, r] if u < ground else 0.0
                    fits = fits and money[i, r] - given + cost[i, v, r] <= money[i, num_resources + r]
            if fits and may_move(s, i, u, v):
                _insert(arcs, u, v, i, worth[v] - lost)


@inner
def _insert(arcs: Arcs, u: int, v: int, i: int, gain: float) -> None:
    """Insert in order; in a full list the last one, or a place before the first, makes room."""
    first, stop = arcs.first[u, v], arcs.stop[u, v]
    # Use the places before the first.
    if stop == LENGTH and first > 0:
        for at in range(first, stop):
            arcs.client[u, v, at - first] = arcs.client[u, v, at]
            arcs.gain[u, v, at - first] = arcs.gain[u, v, at]
        stop -= first
        first = 0
    # Insert from the end.
    at = min(stop, LENGTH - 1)
    while at > first and arcs.gain[u, v, at - 1] < gain:
        arcs.client[u, v, at] = arcs.client[u, v, at - 1]
        arcs.gain[u, v, at] = arcs.gain[u, v, at - 1]
        at -= 1
    arcs.client[u, v, at] = i
    arcs.gain[u, v, at] = gain
    arcs.first[u, v], arcs.stop[u, v] = first, min(stop + 1, LENGTH)
    if arcs.stop[u, v] == LENGTH:
        arcs.bar[u, v] = arcs.gain[u, v, LENGTH - 1]


@inner
def best_gain(s: State, arcs: Arcs, u: int, v: int) -> float:
    """The gain of the first client on the list that may still move; −inf if there is none."""
    first, stop = arcs.first[u, v], arcs.stop[u, v]
    while first < stop and not may_move(s, arcs.client[u, v, first], u, v):
        first += 1
    arcs.first[u, v] = first
    return arcs.gain[u, v, first] if first < stop else -np.inf

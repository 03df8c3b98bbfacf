# mypy: allow-untyped-decorators
"""Clients change what they take in pairs, within their budgets, as long as that gains; compiled.

A client takes an expert that it wants, and gives up another one or none. If the expert is full, one of its holders
takes something else for it.
"""

from typing import Any, NamedTuple

import numpy as np

from alignsolve.runtime.jit import inner, kernel
from alignsolve.subproblem.reduced_compiled import subtract_price

WANTED, SPARED = 48, 32
"""Experts that a client looks at to take, the best by weight, and to give up, the worst."""
TURNS = 40
"""Changes of one client in a row."""
GONE = -2
"""Stands for no change."""


class Standing(NamedTuple):
    """An alignment under change.

    Attributes
    ----------
    held
        (num_clients, num_experts) bools.
    load, least, most
        (num_experts,) each expert's load, and the bounds that it keeps.
    used
        (num_clients, num_resources)
    count, total
        (num_clients, num_groups) and (num_clients,) experts of each client.
    """

    held: Any
    load: Any
    least: Any
    most: Any
    used: Any
    count: Any
    total: Any


@kernel
def change_in_pairs(
    value: Any, prices: Any, allowed: Any, required: Any, cost: Any, budget: Any, group: Any, least: Any, most: Any,
    demand: Any, room: Any, rate: Any, s: Standing, i: int, reward: float, tiny: float,
) -> float:  # fmt: skip
    """Let client i take what it wants most, from another client too, if that gains; return the gain, or 0.

    A client looks at the experts with the largest weights, value − price − rates · cost, that it does not have, and at
    those with the smallest that it has.

    Parameters
    ----------
    value, prices
        (num_clients, num_experts) and (num_experts,)
    allowed … room
        The fields of :class:`~alignsolve.subproblem.relaxed_rows.BudgetRows`.
    rate
        (num_clients, num_resources) what a unit of each budget is worth.
    s
        Changed in place.
    i
        The client.
    reward
        For an expert whose load is below its demand.
    tiny
        The least gain of a change.
    """
    into, out = np.empty(WANTED, np.int64), np.empty(SPARED + 1, np.int64)
    weight, own = np.empty(value.shape[1]), 0 if len(cost) == 1 else i
    for j in range(len(weight)):
        weight[j] = subtract_price(value[i, j], prices[j], 1.0)
        for k in range(budget.shape[1]):
            weight[j] -= rate[i, k] * cost[own, j, k]
        if s.load[j] < s.least[j]:
            weight[j] += reward
    num_in = _list(weight, s, allowed, required, i, True, into)
    num_out = _list(weight, s, allowed, required, i, False, out)
    out[num_out] = -1
    most_gained, takes, gives, other, instead = tiny, GONE, GONE, -1, -1
    for a in range(num_in):
        j = into[a]
        bonus = reward if s.load[j] < s.least[j] else 0.0
        cost_of_room, holder, next_ = 0.0, -1, -1
        if s.load[j] >= s.most[j]:
            cost_of_room, holder, next_ = _make_room(
                value, allowed, required, cost, budget, group, least, most, demand, room, s, i, j
            )
            if holder < 0:
                continue
        for b in range(num_out + 1):
            q = out[b]
            gain = value[i, j] + bonus - cost_of_room - (value[i, q] if q >= 0 else 0.0)
            if gain > most_gained and q != next_ and _may(cost, budget, group, least, most, demand, room, s, i, j, q):
                most_gained, takes, gives, other, instead = gain, j, q, holder, next_
    if takes == GONE:
        return 0.0
    _move(cost, group, s, i, takes, gives)
    if other >= 0:
        _move(cost, group, s, other, instead, takes)
    return float(most_gained)


@inner
def _list(weight: Any, s: Standing, allowed: Any, required: Any, i: int, wanted: bool, into: Any) -> int:
    """List the best experts that client i may take, or the worst that it may give up; return how many."""
    sign, size, most = (1.0, 0, WANTED) if wanted else (-1.0, 0, SPARED)
    for j in range(len(weight)):
        if wanted:
            possible = allowed[i, j] and not s.held[i, j]
        else:
            possible = s.held[i, j] and not required[i, j] and s.load[j] > s.least[j]
        if not possible or (size == most and sign * weight[j] <= sign * weight[into[size - 1]]):
            continue
        q = min(size, most - 1)
        while q > 0 and sign * weight[into[q - 1]] < sign * weight[j]:
            into[q] = into[q - 1]
            q -= 1
        into[q] = j
        size = min(size + 1, most)
    return size


@inner
def _make_room(
    value: Any, allowed: Any, required: Any, cost: Any, budget: Any, group: Any, least: Any, most: Any, demand: Any,
    room: Any, s: Standing, i: int, j: int,
) -> Any:  # fmt: skip
    """What it costs least that a client other than i gives up expert j; who, and what it takes instead (−1: none)."""
    lowest, holder, instead = np.inf, -1, -1
    for b in range(len(value)):
        if not s.held[b, j] or b == i or required[b, j]:
            continue
        if _may(cost, budget, group, least, most, demand, room, s, b, -1, j) and value[b, j] < lowest:
            lowest, holder, instead = value[b, j], b, -1
        for q in range(value.shape[1]):
            if (
                value[b, j] - value[b, q] < lowest
                and allowed[b, q]
                and not s.held[b, q]
                and s.load[q] < s.most[q]
                and _may(cost, budget, group, least, most, demand, room, s, b, q, j)
            ):
                lowest, holder, instead = value[b, j] - value[b, q], b, q
    return lowest, holder, instead


@inner
def _may(
    cost: Any, budget: Any, group: Any, least: Any, most: Any, demand: Any, room: Any, s: Standing, i: int, j: int,
    q: int,
) -> bool:  # fmt: skip
    """Whether client i may take expert j (−1: none) and give up q (−1: none), as far as its own bounds go."""
    own = 0 if len(cost) == 1 else i
    for k in range(budget.shape[1]):
        more = (cost[own, j, k] if j >= 0 else 0.0) - (cost[own, q, k] if q >= 0 else 0.0)
        if s.used[i, k] + more > budget[i, k]:
            return False
    if j >= 0 and q >= 0 and group[j] == group[q]:
        return True
    if j >= 0 and s.count[i, group[j]] >= most[i, group[j]]:
        return False
    if q >= 0 and s.count[i, group[q]] <= least[i, group[q]]:
        return False
    after = s.total[i] + (1 if j >= 0 else 0) - (1 if q >= 0 else 0)
    return demand[i] <= after <= room[i]


@inner
def _move(cost: Any, group: Any, s: Standing, i: int, j: int, q: int) -> None:
    """Client i takes expert j and gives up q; −1: none."""
    own = 0 if len(cost) == 1 else i
    if j >= 0:
        s.held[i, j] = True
        s.load[j] += 1
        s.count[i, group[j]] += 1
        s.total[i] += 1
        for k in range(s.used.shape[1]):
            s.used[i, k] += cost[own, j, k]
    if q >= 0:
        s.held[i, q] = False
        s.load[q] -= 1
        s.count[i, group[q]] -= 1
        s.total[i] -= 1
        for k in range(s.used.shape[1]):
            s.used[i, k] -= cost[own, q, k]

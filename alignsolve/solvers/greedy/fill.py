"""The two greedy rules: the pair that gains most goes first, or the client that would regret most does.

Both rules take a pair while its client and its expert have room and the objective gains, or a demand asks for it.
Soft bounds enter as the penalty of one more unit at the expert's present load. That penalty never falls as the expert
fills. So one list for each expert, sorted once, and a heap of the lists' heads find the best pair of all without
looking at any pair twice.
"""

import heapq
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from alignsolve.numerics import FloatArray, IntArray
from alignsolve.runtime.interruptible import late
from alignsolve.runtime.jit import inner, kernel, present
from alignsolve.runtime.threads import map_in_order
from alignsolve.solvers.greedy.state import (
    CAPACITY,
    COUNT,
    DEMAND,
    FREE,
    GROUP_CAPACITY,
    GROUP_DEMAND,
    GROUPS,
    HELD,
    IN_GROUP,
    LEAST,
    LOAD,
    MOST,
    OVERLOAD,
    OWED,
    PER_GROUP,
    SHORTFALL,
    SOFT_CAPACITY,
    SOFT_DEMAND,
    State,
    affords,
    has_place,
    take,
    toll,
    wants,
)

SMALL = 1 << 18
"""Pairs up to which one thread sorts."""
AT_ONCE, FEWEST, PAIRS_AT_ONCE = 64, 8, 1 << 22
"""Experts whose clients are sorted in one call: fewer where the pairs are many, but those of a cache line together."""


def rank_clients(state: State, threads: int | None = 1, deadline: float = math.inf) -> npt.NDArray[np.int32]:
    """Sort every expert's clients by value (per weight, where it is given), best first: (num_experts, num_clients).

    After the deadline no more are sorted, and the order is not complete.
    """
    order = np.empty(state.status.shape[::-1], dtype=np.int32)
    at_once = min(AT_ONCE, max(FEWEST, PAIRS_AT_ONCE // max(1, order.shape[1])))

    def rank(first: int) -> None:
        if late(deadline):
            return
        some = np.s_[:, first : first + at_once]
        key = state.value[some] / state.weight[some] if state.weight.size else state.value[some]
        open_ = (state.status[some] == FREE) | (state.status[some] == HELD)
        order[first : first + at_once] = _ascending(np.ascontiguousarray(np.where(open_, -key, np.inf).T))

    small = state.status.size < SMALL
    for _ in map_in_order(rank, range(0, len(order), at_once), 1 if small else threads):
        pass
    return order


def _ascending(keys: FloatArray) -> IntArray:
    """Sort each row, ties in the order of clients, inf last in any order; faster where no values tie."""
    order = np.argsort(keys, axis=1)
    ranked = np.take_along_axis(keys, order, axis=1)
    tied = ((ranked[:, 1:] == ranked[:, :-1]) & (ranked[:, 1:] < np.inf)).any(axis=1)
    order[tied] = np.argsort(keys[tied], axis=1, kind="stable")
    return order


@kernel
def fill_by_gain(s: State, order: Any) -> None:
    """Take the pair of highest gain, again and again: global greed. Ties go to the lower client, then expert."""
    num_experts = order.shape[0]
    position = np.zeros(num_experts, dtype=np.int64)
    closed = np.zeros(order.shape[1], dtype=np.bool_)
    rows, money, num_resources = s.rows, s.money, s.cost.shape[2]
    # Clients that cannot take anything are closed.
    for i in range(len(closed)):
        closed[i] = _closed(rows, money, num_resources, i)
    # The heap holds each expert's best client.
    heads: Any = [(0.0, np.int64(0), np.int64(0))]
    heads.clear()
    for j in range(num_experts):
        i = _next_client(s, order, position, closed, j)
        if i >= 0:
            heapq.heappush(heads, (-_rank(s, i, j), np.int64(i), np.int64(j)))
    # Take the best pair; its expert's next client takes its place in the heap.
    while heads:
        key, i, j = heads[0]
        now = -_rank(s, i, j)
        # The expert was filled meanwhile, and one more unit costs more: the pair waits for its turn.
        if now > key:
            heapq.heapreplace(heads, (now, i, j))
            continue
        if s.status[i, j] == FREE and _admits(s, i, j):
            take(s, i, j)
            closed[i] = _closed(rows, money, num_resources, i)
        position[j] += 1
        i = _next_client(s, order, position, closed, j)
        if i >= 0:
            heapq.heapreplace(heads, (-_rank(s, i, j), np.int64(i), np.int64(j)))
        else:
            heapq.heappop(heads)


@inner
def _next_client(s: State, order: Any, position: Any, closed: Any, j: int) -> int:
    """The next client in expert j's list that can still take it; −1 if there is none.

    A client that cannot take it now never can, so the list is read once.
    """
    n, status = order.shape[1], s.status
    if not present(s.load) and s.experts[j, LOAD] + 1.0 > s.experts[j, MOST]:
        return -1
    while position[j] < n:
        i = order[j, position[j]]
        if not closed[i] and status[i, j] == FREE and _admits(s, i, j):
            return i
        position[j] += 1
    return -1


@inner
def _closed(rows: Any, money: Any, num_resources: int, i: int) -> bool:
    """Whether client i can take nothing more: no place left, or not enough budget for the cheapest expert."""
    if rows[i, COUNT] >= rows[i, CAPACITY]:
        return True
    for r in range(num_resources):
        if money[i, r] + money[i, 2 * num_resources + r] > money[i, num_resources + r]:
            return True
    return False


@inner
def _rank(s: State, i: int, j: int) -> float:
    """The gain of a pair at the expert's present load, per weight if there are weights."""
    load = s.load[i, j] if present(s.load) else 1.0
    gain = s.value[i, j] - toll(s.experts, j, load)
    return gain / s.weight[i, j] if present(s.weight) else gain


@inner
def _admits(s: State, i: int, j: int) -> bool:
    """Whether the free pair fits and helps: the objective, the client's demands or the expert's demand."""
    experts, rows, group = s.experts, s.rows, s.group
    load = s.load[i, j] if present(s.load) else 1.0
    if experts[j, LOAD] + load > experts[j, MOST] or not has_place(rows, group, i, j):
        return False
    helps = s.value[i, j] - toll(experts, j, load) > 0.0 or experts[j, LOAD] < experts[j, LEAST]
    return (helps or wants(rows, group, i, j)) and (s.cost.shape[2] == 0 or affords(s, i, j))


@kernel
def fill_by_regret(s: State) -> None:
    """Serve the client that would lose most if its best expert were gone, again and again; ties to the lower client.

    With r places left, a client that lost its best expert would take its (r+1)-th best instead: the difference is its
    regret. Regrets change when an expert fills up or passes a breakpoint of its penalty. Then the clients that it
    concerns are looked at again.
    """
    n, num_experts = s.status.shape
    best = np.full(n, -1, dtype=np.int64)
    spare = np.full(n, -1, dtype=np.int64)
    regret = np.zeros(n)
    gains = np.empty(num_experts)
    queue: Any = [(0.0, np.int64(0))]
    queue.clear()
    # The queue holds the clients by descending regret.
    for i in range(n):
        if _look(s, i, gains, best, spare, regret):
            queue.append((-regret[i], np.int64(i)))
    heapq.heapify(queue)
    while queue:
        key, i = heapq.heappop(queue)
        if best[i] < 0 or -key != regret[i]:
            continue  # an older entry of this client
        if not _look(s, i, gains, best, spare, regret):
            continue
        # Its regret has fallen behind the next one's: it waits for its turn.
        if queue and (-regret[i], i) > queue[0]:
            heapq.heappush(queue, (-regret[i], i))
            continue
        # Give the client its best expert.
        j = best[i]
        before = _stretch(s, j)
        take(s, i, j)
        if _look(s, i, gains, best, spare, regret):
            heapq.heappush(queue, (-regret[i], i))
        # The expert's penalty or room has changed: look at the clients that it concerns again.
        if _stretch(s, j) != before:
            for other in range(n):
                if (best[other] == j or spare[other] == j) and _look(s, other, gains, best, spare, regret):
                    heapq.heappush(queue, (-regret[other], np.int64(other)))


@inner
def _stretch(s: State, j: int) -> int:
    """The stretch between the breakpoints of its penalty on which expert j is; a full expert is on the last one."""
    load = s.experts[j, LOAD]
    met = (load >= s.experts[j, SOFT_DEMAND]) + 2 * (load >= s.experts[j, SOFT_CAPACITY])
    one_more = 1.0 if not present(s.load) else 0.0
    full = load + one_more > s.experts[j, MOST] or load >= s.experts[j, MOST]
    return met + 4 * (load >= s.experts[j, LEAST]) + 8 * full


@inner
def _look(s: State, i: int, gains: Any, best: Any, spare: Any, regret: Any) -> bool:
    """Find client i's best expert, its spare and its regret; False if it wants nothing that it could have."""
    best[i] = spare[i] = -1
    rows, group = s.rows, s.group
    places = rows[i, CAPACITY] - rows[i, COUNT]
    if places <= 0:
        return False
    options, first = _gains(s, i, gains)
    if first < 0:
        return False
    g = GROUPS + PER_GROUP * group[first]
    in_group = rows[i, g + GROUP_CAPACITY] - rows[i, g + IN_GROUP]
    best[i] = first
    spare[i] = _ranked(gains, group, first, min(places, in_group), in_group < places)
    if spare[i] >= 0:
        regret[i] = gains[first] - gains[spare[i]]
    elif options <= max(rows[i, DEMAND] - rows[i, COUNT], rows[i, OWED]):
        regret[i] = np.inf
    else:
        regret[i] = gains[first]
    return True


@inner
def _gains(s: State, i: int, gains: Any) -> Any:
    """Find the worth of each expert to client i now, −inf if it may not be had; how many may, and the best or −1.

    It decides what the functions of :mod:`.state` do, for all experts at once: one by one the calls would cost more
    than the work.
    """
    status, value, load, weight = s.status, s.value, s.load, s.weight
    rows, money, cost, experts, group = s.rows, s.money, s.cost, s.experts, s.group
    weighted, ranked, num_resources = present(load), present(weight), cost.shape[2]
    short, owed = rows[i, DEMAND] - rows[i, COUNT], rows[i, OWED]
    places = rows[i, CAPACITY] - rows[i, COUNT]
    options, first = 0, -1
    for j in range(len(gains)):
        gains[j] = -np.inf
        heavy = load[i, j] if weighted else 1.0
        if status[i, j] != FREE or experts[j, LOAD] + heavy > experts[j, MOST]:
            continue
        g = GROUPS + PER_GROUP * group[j]
        in_group = rows[i, g + IN_GROUP]
        due = in_group < rows[i, g + GROUP_DEMAND]
        still = owed - 1 if due else owed
        if in_group >= rows[i, g + GROUP_CAPACITY] or 1 + still > places:
            continue
        soft = experts[j, OVERLOAD] != 0.0 or experts[j, SHORTFALL] != 0.0
        gain = value[i, j] - toll(experts, j, heavy) if soft else value[i, j]
        if not (gain > 0.0 or due or short > 0 or experts[j, LOAD] < experts[j, LEAST]):
            continue
        reserved, paid = max(0, short - 1, still), True
        for r in range(num_resources):
            spent = money[i, r] + cost[i, j, r] + reserved * money[i, 2 * num_resources + r]
            paid = paid and spent <= money[i, num_resources + r]
        if not paid:
            continue
        gains[j] = gain / weight[i, j] if ranked else gain
        options += 1
        if first < 0 or gains[j] > gains[first]:
            first = j
    return options, first


@kernel
def _ranked(gains: Any, group: Any, first: int, places: int, same_group: bool) -> int:
    """The expert that comes ``places`` after the first, among all or within its group; −1 if there are fewer."""
    options = 0
    for j in range(len(gains)):
        options += gains[j] > -np.inf and (not same_group or group[j] == group[first])
    # The usual case where budgets bind before capacities do.
    if options <= places:
        return -1
    # Go down the ranking, one place at a time.
    limit, last = gains[first], first
    for _ in range(places):
        found = -1
        for j in range(len(gains)):
            behind = gains[j] < limit or (gains[j] == limit and j > last)
            open_ = gains[j] > -np.inf and (not same_group or group[j] == group[first])
            if open_ and behind and (found < 0 or gains[j] > gains[found]):
                found = j
        if found < 0:
            return -1
        limit, last = gains[found], found
    return last

"""Repair in bulk, before the search by single steps: where thousands of clients must move, most moves are easy.

For an expert that violates its bounds, one pass over the clients finds every client's best helpful move: the one that
loses least objective per violation removed. The moves are made in that order, each judged anew by the loads at that
time, until the expert's bounds hold. Violations that only trades and ejections can remove are left to :mod:`.chains`,
where every step costs a pass over all pairs.
"""

import math
from functools import cache
from typing import Any

import numpy as np

from alignsolve.numerics import FloatArray
from alignsolve.problem import AlignmentProblem
from alignsolve.runtime.interruptible import late
from alignsolve.runtime.jit import inner, kernel, present
from alignsolve.solvers.greedy.chains import load_units, ranked, total_violation, violation
from alignsolve.solvers.greedy.state import (
    FREE,
    HELD,
    LEAST,
    LOAD,
    MOST,
    State,
    affords,
    drop,
    gather,
    has_place,
    hold,
    may_pay,
    may_release,
    may_swap,
    penalty,
    take,
)
from alignsolve.subproblem.falling_order import falling_order

SPARE, SPARE_MORE = 2.0, 64.0
"""Movers listed for each unit of violation, and some more; the rest waits for the next round."""
ENOUGH, FEWEST = 64.0, 1 << 14
"""Clients looked at for each unit of violation, and the fewest that are looked at."""
PROGRESS = 1e-6
"""A round that removes less than this share of the violation is the last."""


def mend_in_bulk(state: State, unit: FloatArray, deadline: float) -> None:
    """Lower the violation of the hard load bounds, rows being complete, as far as single helpful moves do.

    Parameters
    ----------
    state
        Changed in place.
    unit
        (num_experts,) the unit of each expert's violation.
    deadline
        On the clock of :func:`time.monotonic`; looked at before each pass over the clients.
    """
    left = total_violation(state, unit)
    while left > 0.0:
        for v in np.argsort(-_violations(state, unit), kind="stable"):
            if late(deadline):
                return
            violated = violation(state, unit, v, state.loads[v])
            if violated == 0.0:
                continue
            stride = max(1, int(len(state.status) / max(FEWEST, ENOUGH * (1.0 + violated))))
            mend(state, unit, v, stride)
            if stride > 1 and violation(state, unit, v, state.loads[v]) == violated:
                mend(state, unit, v, 1)
        before, left = left, total_violation(state, unit)
        if left > before * (1.0 - PROGRESS):
            return


@cache
def compile_mending() -> None:
    """Mend a tiny problem; cached, so that it happens once."""
    state = gather(AlignmentProblem(np.ones((2, 2)), client_demand=1, expert_capacity=[0, 2]))
    hold(state, np.array([0]), np.array([[True, False]]))
    mend_in_bulk(state, load_units(state), math.inf)


def _violations(state: State, unit: FloatArray) -> FloatArray:
    """The violation of each expert's hard bounds, in its own unit, (num_experts,)."""
    loads = state.loads
    return np.maximum(0.0, np.maximum(loads - state.most, state.least - loads)) / unit


@kernel
def mend(s: State, unit: Any, v: int, stride: int) -> None:
    """Make the helpful moves that touch expert v, best first, until its bounds hold or the list ends.

    One client of every ``stride`` is looked at.
    """
    n = s.status.shape[0]
    status, experts = s.status, s.experts
    over = experts[v, LOAD] > experts[v, MOST]
    movers = np.empty(n, dtype=np.int64)
    gains = np.empty(n)
    number = 0
    # Phase 1: list the clients with a helpful move.
    for i in range(v % stride, n, stride):
        if status[i, v] == (HELD if over else FREE):
            harm, _ = _best_move(s, unit, i, v, over)
            if harm < 0.0:
                movers[number], gains[number] = i, -harm
                number += 1
    movers, gains = movers[:number], gains[:number]
    # Phase 2: keep the best of them.
    wanted = int(min(float(n), SPARE * violation(s, unit, v, experts[v, LOAD]) + SPARE_MORE))
    order = falling_order(gains)
    last = gains[order[wanted]] if wanted < number else -np.inf
    # Phase 3: make the moves, each judged anew.
    for t in order:
        if violation(s, unit, v, experts[v, LOAD]) == 0.0 or over != (experts[v, LOAD] > experts[v, MOST]):
            return
        if gains[t] < last:
            return
        i = movers[t]
        harm, k = _best_move(s, unit, i, v, over)
        if harm >= 0.0:
            continue
        if over:
            drop(s, i, v)
            if k >= 0:
                take(s, i, k)
        else:
            if k >= 0:
                drop(s, i, k)
            take(s, i, v)


@inner
def _best_move(s: State, unit: Any, i: int, v: int, over: bool) -> Any:
    """Find client i's best way to drop v (over) or take it: harm, and the other expert or −1; 0 if no move helps."""
    status, value, load, experts = s.status, s.value, s.load, s.experts
    money, cost, num_resources = s.money, s.cost, s.cost.shape[2]
    rows, group = s.rows, s.group
    weighted = present(load)
    sign = -1.0 if over else 1.0
    after = experts[v, LOAD] + sign * (load[i, v] if weighted else 1.0)
    # The move of v alone.
    change = _violated(experts, unit, v, after) - _violated(experts, unit, v, experts[v, LOAD])
    if change > 0.0:
        return 0.0, -1
    gain = sign * value[i, v] - penalty(experts, v, after) + penalty(experts, v, experts[v, LOAD])
    harm, partner = 0.0, -1
    now = ranked(change, gain)
    if now < harm and _may_step(s, rows, group, i, v, over):
        harm = now
    # The move of v with another expert in exchange.
    for k in range(len(unit)):
        if status[i, k] != (FREE if over else HELD):
            continue
        given, taken = (v, k) if over else (k, v)
        if num_resources and not may_pay(money, cost, i, given, taken):
            continue
        carried = experts[k, LOAD]
        after = carried - sign * (load[i, k] if weighted else 1.0)
        also = _violated(experts, unit, k, after) - _violated(experts, unit, k, carried)
        more = -sign * value[i, k] - penalty(experts, k, after) + penalty(experts, k, carried)
        now = ranked(change + also, gain + more)
        if now < harm and may_swap(rows, group, i, given, taken):
            harm, partner = now, k
    return harm, partner


@inner
def _may_step(s: State, rows: Any, group: Any, i: int, v: int, over: bool) -> bool:
    """Whether client i can drop v (over), or take it besides the experts that it holds."""
    if over:
        return may_release(rows, group, i, v)
    if not has_place(rows, group, i, v):
        return False
    return s.cost.shape[2] == 0 or (may_pay(s.money, s.cost, i, -1, v) and affords(s, i, v))


@inner
def _violated(experts: Any, unit: Any, j: int, load: float) -> float:
    """The violation of expert j's hard bounds by this load, in its own unit."""
    return max(0.0, load - experts[j, MOST], experts[j, LEAST] - load) / unit[j]

"""Repair for the general class: a search by single moves and trades, which lowers the violation of load bounds.

The problem is NP-hard, so nothing is promised. Rows stay complete; the hard load bounds may be violated, and the
search lowers the violation. Each step:

1. Take the expert with the largest weighted violation.
2. Find the best move that touches it: a client takes it, drops it, or shifts between it and another expert; or two
   clients trade. The best move loses least objective per violation removed.
3. If no move helps, raise the expert's weight, and make the move that does least harm. It ejects another expert's
   load, whose turn comes next.

A pair that was dropped may not come back for some steps (a tabu list), so that chains of moves go on rather than
back.

Sources: P. Morris, The breakout method for escaping from local minima, AAAI 1993, for the weights; M. Yagiura, T.
Ibaraki and F. Glover, INFORMS J. Computing 16 (2004), for ejection chains in generalised assignment.
"""

from typing import Any

import numpy as np

from alignsolve.numerics import FloatArray
from alignsolve.runtime.interruptible import late
from alignsolve.runtime.jit import inner, kernel
from alignsolve.solvers.greedy.state import (
    FREE,
    HELD,
    LEAST,
    LOAD,
    MOST,
    SHUT,
    State,
    drop,
    load_of,
    penalty,
    recount,
    row_admits,
    row_releases,
    row_trades,
    take,
)

SLICE_ENTRIES = 20_000_000
"""Pairs that may be looked at between two looks at the clock."""
PATIENCE = 400
"""Steps without a new least violation before the search gives up; ``PATIENCE_EACH`` more for each expert."""
PATIENCE_EACH = 20
MOST_TRADES = 200_000
"""Trades looked at in one step."""


def load_units(state: State) -> FloatArray:
    """The unit of each expert's violation, (num_experts,): the mean load of its clients."""
    num_experts = state.status.shape[1]
    if not state.load.size:
        return np.ones(num_experts)
    allowed = state.status != SHUT
    total = np.where(allowed, state.load, 0.0).sum(axis=0)
    return np.where(total > 0, total / np.maximum(allowed.sum(axis=0), 1), 1.0)


def repair_by_chains(state: State, unit: FloatArray, deadline: float) -> bool:
    """Bring the loads within their hard bounds, rows being complete; whether that succeeded.

    Parameters
    ----------
    state
        Changed in place.
    unit
        (num_experts,) of :func:`load_units`.
    deadline
        On the clock of :func:`time.monotonic`.
    """
    n, num_experts = state.status.shape
    weights = np.ones(num_experts)
    banned = np.zeros(state.status.shape, dtype=np.int32)
    steps = max(1, SLICE_ENTRIES // max(1, n * num_experts + MOST_TRADES))
    step, waited, least = 0, 0, np.inf
    while not late(deadline):
        step, waited, least = search(state, unit, weights, banned, step, steps, waited, least)
        recount(state)
        if total_violation(state, unit) == 0.0:
            return True
        if waited > PATIENCE + PATIENCE_EACH * num_experts:
            return False
    return False


@kernel
def total_violation(s: State, unit: Any) -> float:
    """The violation of all hard load bounds, each in its expert's own unit."""
    return sum([violation(s, unit, j, s.experts[j, LOAD]) for j in range(len(unit))])


@kernel
def violation(s: State, unit: Any, j: int, load: float) -> float:
    """The violation of expert j's hard bounds by this load, in its own unit."""
    return max(0.0, load - s.experts[j, MOST], s.experts[j, LEAST] - load) / unit[j]


@kernel
def search(s: State, unit: Any, weights: Any, banned: Any, step: int, steps: int, waited: int, least: float) -> Any:
    """Make ``steps`` steps, or until nothing is violated; return the state of the search."""
    for _ in range(steps):
        # Step 1: the expert with the largest weighted violation.
        v = _worst(s, unit, weights)
        if v < 0:
            return step, 0, 0.0
        step += 1
        waited += 1
        # Step 2: its best move; trades are searched only if no other move helps.
        kind, a, b, other, harm = _best_shift(s, unit, weights, banned, step, v)
        if harm >= 0.0:
            trade = _best_trade(s, unit, weights, banned, step, v)
            if trade[4] < harm:
                kind, a, b, other, harm = trade
        # Step 3: no move helps, so the expert gains weight. The best move is made all the same.
        if harm >= 0.0:
            weights[v] += 1.0
        if kind > 0:
            _apply(s, banned, step, kind, a, b, v, other)
        violated = total_violation(s, unit)
        if violated < least * (1.0 - 1e-9):
            least, waited = violated, 0
    return step, waited, least


@inner
def _worst(s: State, unit: Any, weights: Any) -> int:
    """The expert with the largest weighted violation; −1 if there is none."""
    worst, found = 0.0, -1
    for j in range(len(unit)):
        violated = weights[j] * violation(s, unit, j, s.experts[j, LOAD])
        if violated > worst:
            worst, found = violated, j
    return found


@inner
def _best_shift(s: State, unit: Any, weights: Any, banned: Any, step: int, v: int) -> Any:
    """Find the best way for one client to take v, drop it, or shift: (1, client, −1, other expert or −1, harm)."""
    n, num_experts = s.status.shape
    over = s.experts[v, LOAD] > s.experts[v, MOST]
    kind, client, partner, harm = 0, -1, -1, np.inf
    for i in range(n):
        if s.status[i, v] != (HELD if over else FREE) or (not over and banned[i, v] > step):
            continue
        now = harm_of(s, unit, weights, i, v, -1, over)
        if now < harm and (row_releases(s, i, v) if over else row_admits(s, i, v)):
            kind, client, partner, harm = 1, i, -1, now
        for k in range(num_experts):
            if s.status[i, k] != (FREE if over else HELD) or (over and banned[i, k] > step):
                continue
            now = harm_of(s, unit, weights, i, v, k, over)
            if now < harm and (row_trades(s, i, v, k) if over else row_trades(s, i, k, v)):
                kind, client, partner, harm = 1, i, k, now
    return kind, client, -1, partner, harm


@inner
def harm_of(s: State, unit: Any, weights: Any, i: int, v: int, k: int, over: bool) -> float:
    """Rank the move of client i's unit from v to k (or back); −1 is no expert. Below 0 it helps; the least is best."""
    sign = -1.0 if over else 1.0
    before, after = s.experts[v, LOAD], s.experts[v, LOAD] + sign * load_of(s, i, v)
    change = weights[v] * (violation(s, unit, v, after) - violation(s, unit, v, before))
    gain = sign * s.value[i, v] - penalty(s.experts, v, after) + penalty(s.experts, v, before)
    if k >= 0:
        before, after = s.experts[k, LOAD], s.experts[k, LOAD] - sign * load_of(s, i, k)
        change += weights[k] * (violation(s, unit, k, after) - violation(s, unit, k, before))
        gain += -sign * s.value[i, k] - penalty(s.experts, k, after) + penalty(s.experts, k, before)
    return ranked(change, gain)


@inner
def ranked(change: float, gain: float) -> float:
    """Rank helpful moves by the objective lost per violation removed, below 0; the others by their harm."""
    if change >= -1e-12:
        return max(change, 0.0)
    # Objective lost per violation removed; a gain makes it negative, and better still.
    price = gain / change
    return -1.0 / (1.0 + price) if price >= 0.0 else -2.0 + 1.0 / (1.0 - price)


@inner
def _best_trade(s: State, unit: Any, weights: Any, banned: Any, step: int, v: int) -> Any:
    """Find the best trade of v for another expert: (2, client giving v, client getting it, other expert, harm)."""
    n, num_experts = s.status.shape
    best = (0, -1, -1, -1, np.inf)
    seen = 0
    for turn in range(num_experts):
        k = (v + 1 + turn + step) % num_experts
        if k == v:
            continue
        gives = [i for i in range(n) if s.status[i, v] == HELD and s.status[i, k] == FREE and banned[i, k] <= step]
        gets = [i for i in range(n) if s.status[i, v] == FREE and s.status[i, k] == HELD and banned[i, v] <= step]
        for start in range(len(gives)):
            a = gives[(start + step) % len(gives)]
            if not row_trades(s, a, v, k):
                continue
            for b in gets:
                seen += 1
                if seen > MOST_TRADES:
                    return best
                harm = _trade_harm(s, unit, weights, a, b, v, k)
                if harm < best[4] and row_trades(s, b, k, v):
                    best = (2, a, b, k, harm)
    return best


@inner
def _trade_harm(s: State, unit: Any, weights: Any, a: int, b: int, v: int, k: int) -> float:
    """Rank the trade in which a gives v to b for k."""
    v_after = s.experts[v, LOAD] - load_of(s, a, v) + load_of(s, b, v)
    k_after = s.experts[k, LOAD] + load_of(s, a, k) - load_of(s, b, k)
    change = weights[v] * (violation(s, unit, v, v_after) - violation(s, unit, v, s.experts[v, LOAD]))
    change += weights[k] * (violation(s, unit, k, k_after) - violation(s, unit, k, s.experts[k, LOAD]))
    gain = s.value[b, v] + s.value[a, k] - s.value[a, v] - s.value[b, k]
    gain += penalty(s.experts, v, s.experts[v, LOAD]) - penalty(s.experts, v, v_after)
    gain += penalty(s.experts, k, s.experts[k, LOAD]) - penalty(s.experts, k, k_after)
    return ranked(change, gain)


@inner
def _apply(s: State, banned: Any, step: int, kind: int, a: int, b: int, v: int, k: int) -> None:
    """Make the move; the dropped pair is banned for some steps, whose number varies."""
    until = step + 4 + step % 7
    if kind == 2:
        _exchange(s, banned, until, a, v, k)
        _exchange(s, banned, until, b, k, v)
    elif s.status[a, v] == HELD:
        _exchange(s, banned, until, a, v, k)
    else:
        _exchange(s, banned, until, a, k, v)


@inner
def _exchange(s: State, banned: Any, until: int, i: int, j: int, k: int) -> None:
    """Client i drops j, which is banned for it until then, and takes k; −1 is no expert."""
    if j >= 0:
        drop(s, i, j)
        banned[i, j] = until
    if k >= 0:
        take(s, i, k)

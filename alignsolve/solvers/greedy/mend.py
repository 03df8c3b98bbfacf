"""Repair in bulk, before the search by single steps: where thousands of clients must move, most moves are easy.

For the expert that violates its bounds, one pass over the clients finds everybody's best helpful move, the one that
loses least objective per violation removed; they are made in that order, each judged anew by the loads as they are by
then, until the expert's bounds hold. What only trades and ejections can mend is left to :mod:`.chains`, whose every
step costs a pass over all pairs.
"""

import time
from typing import Any

import numba
import numpy as np

from alignsolve.numerics import FloatArray
from alignsolve.solvers.greedy.chains import harm_of, total_violation, violation
from alignsolve.solvers.greedy.state import (
    FREE,
    HELD,
    LOAD,
    MOST,
    State,
    drop,
    row_admits,
    row_releases,
    row_trades,
    take,
)

PROGRESS = 1e-6
"""A round that removes less than this share of the violation is the last."""


def mend_in_bulk(state: State, unit: FloatArray, deadline: float) -> None:
    """Lower the violation of the hard load bounds, rows being complete, as far as single helpful moves do it.

    Parameters
    ----------
    state
        Changed in place.
    unit
        (num_experts,) what a violation of each expert is measured in.
    deadline
        On the clock of :func:`time.monotonic`; looked at before each pass over the clients.
    """
    left = total_violation(state, unit)
    while left > 0.0:
        for v in np.argsort(-_violations(state, unit), kind="stable"):
            if time.monotonic() >= deadline:
                return
            if violation(state, unit, v, state.loads[v]) > 0.0:
                mend(state, unit, v)
        before, left = left, total_violation(state, unit)
        if left > before * (1.0 - PROGRESS):
            return


def _violations(state: State, unit: FloatArray) -> FloatArray:
    loads = state.loads
    return np.maximum(0.0, np.maximum(loads - state.most, state.least - loads)) / unit


@numba.njit(cache=True, nogil=True)
def mend(s: State, unit: Any, v: int) -> None:
    """Make the helpful moves that touch expert v, best first, until its bounds hold."""
    n = s.status.shape[0]
    over = s.experts[v, LOAD] > s.experts[v, MOST]
    weights = np.ones(len(unit))
    movers = np.empty(n, dtype=np.int64)
    harms = np.empty(n)
    number = 0
    for i in range(n):
        if s.status[i, v] == (HELD if over else FREE):
            harm, _ = _best_move(s, unit, weights, i, v, over)
            if harm < 0.0:
                movers[number], harms[number] = i, harm
                number += 1
    for t in np.argsort(harms[:number], kind="mergesort"):
        if violation(s, unit, v, s.experts[v, LOAD]) == 0.0 or over != (s.experts[v, LOAD] > s.experts[v, MOST]):
            return
        i = movers[t]
        harm, k = _best_move(s, unit, weights, i, v, over)
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


@numba.njit(cache=True, nogil=True)
def _best_move(s: State, unit: Any, weights: Any, i: int, v: int, over: bool) -> Any:
    """Client i's best way to give v up (over) or take it: harm and the other expert, −1 for none; 0 if none helps."""
    harm, partner = 0.0, -1
    now = harm_of(s, unit, weights, i, v, -1, over)
    if now < harm and (row_releases(s, i, v) if over else row_admits(s, i, v)):
        harm = now
    for k in range(len(unit)):
        if s.status[i, k] != (FREE if over else HELD):
            continue
        now = harm_of(s, unit, weights, i, v, k, over)
        if now < harm and (row_trades(s, i, v, k) if over else row_trades(s, i, k, v)):
            harm, partner = now, k
    return harm, partner

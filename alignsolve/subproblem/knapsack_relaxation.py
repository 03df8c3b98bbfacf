# mypy: allow-untyped-decorators
"""What a unit of each limit of a knapsack is worth where experts may be split: its relaxation's prices, compiled."""

from typing import Any

import numpy as np
import numpy.typing as npt

from alignsolve.runtime.jit import inner

Matrix = npt.NDArray[Any]

PIVOTS = 60
"""Steps of the dual simplex method, at most."""


@inner
def rates(worth: Matrix, use: Matrix, limit: Matrix, rate: Matrix, weight: Matrix, table: Matrix, m: int) -> None:
    """Find the multipliers of the limits by the dual simplex method, from zero, flipping whatever a step passes.

    ``table`` holds the rows of the limits that can bind, in terms of the basis: m experts, a slack for each, the limit.
    Every basis gives multipliers that make a bound, so that the method may stop anywhere.
    """
    num_limits = len(limit)
    rate[:] = 0.0
    rows = 0
    row_of = np.empty(num_limits, dtype=np.int64)
    for k in range(num_limits):
        total = 0.0
        for t in range(m):
            total += use[t, k]
        if total > limit[k]:
            row_of[rows] = k
            rows += 1
        elif limit[k] == np.inf:
            limit[k] = 1e300  # so that 0·limit is 0
    if rows == 0:
        return
    width = m + rows
    basis = np.empty(rows, dtype=np.int64)
    for r in range(rows):
        k = row_of[r]
        for t in range(m):
            table[r, t] = use[t, k] / limit[k] if limit[k] > 0.0 else use[t, k]
        for other in range(rows):
            table[r, m + other] = 1.0 if other == r else 0.0
        table[r, width] = 1.0 if limit[k] > 0.0 else 0.0
        basis[r] = m + r
    gain = table[rows]  # reduced worth; basic ones have 0, others are at their upper bound where it is positive
    for t in range(m):
        gain[t] = worth[t]
    for t in range(m, width):
        gain[t] = 0.0
    state = table[rows + 1]  # 1: at the upper bound, 0: at the lower, -1: basic
    for t in range(width):
        state[t] = 1.0 if t < m else -1.0
    for _ in range(PIVOTS):
        leaving, excess, up = -1, 1e-9, False
        for r in range(rows):
            x = table[r, width]
            for t in range(m):
                if state[t] == 1.0:
                    x -= table[r, t]
            if -x > excess:
                leaving, excess, up = r, -x, False
            if basis[r] < m and x - 1.0 > excess:
                leaving, excess, up = r, x - 1.0, True
        if leaving < 0:
            break
        sign = -1.0 if up else 1.0
        entering = -1
        left = excess
        while True:
            entering, least, size = -1, np.inf, 0.0
            for t in range(width):
                pull = sign * table[leaving, t]
                if (state[t] == 1.0 and pull > 1e-11) or (state[t] == 0.0 and pull < -1e-11):
                    ratio = abs(gain[t]) / abs(pull)
                    if ratio < least or (ratio == least and abs(pull) > size):
                        entering, least, size = t, ratio, abs(pull)
            if entering < 0 or entering >= m or left - size <= 0.0:
                break
            left -= size
            state[entering] += 2.0  # passed: to be flipped
        for t in range(width):
            if state[t] >= 2.0:
                state[t] = 3.0 - state[t]
        if entering < 0:
            break
        pivot = table[leaving, entering]
        for t in range(width + 1):
            table[leaving, t] /= pivot
        for r in range(rows):
            factor = table[r, entering]
            if r != leaving and factor != 0.0:
                for t in range(width + 1):
                    table[r, t] -= factor * table[leaving, t]
        factor = gain[entering]
        for t in range(width):
            gain[t] -= factor * table[leaving, t]
        gain[entering] = 0.0
        state[entering] = -1.0
        state[basis[leaving]] = 1.0 if up else 0.0
        basis[leaving] = entering
    for r in range(rows):
        k = row_of[r]
        rate[k] = max(-gain[m + r], 0.0) / (limit[k] if limit[k] > 0.0 else 1.0)

# mypy: allow-untyped-decorators
"""What a unit of each limit of a knapsack is worth where experts may be split: its relaxation's prices, compiled.

The relaxation is a linear program with a column for each expert, 0 ≤ x ≤ 1, and a row for each limit that can bind.
The dual simplex method solves it in a table of a few rows. It starts from no prices: every expert that is worth
something is at its upper bound. In each step

1. the row that is violated most leaves the basis;
2. the ratio test finds the expert that enters; experts that it passes are flipped to their other bound, as long as the
   row stays violated (the long-step rule);
3. the table is pivoted.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from alignsolve.runtime.jit import inner

Matrix = npt.NDArray[Any]

PIVOTS = 60
"""Steps of the dual simplex method, at most."""
LOWER, UPPER, BASIC = 0.0, 1.0, -1.0
"""State of a column: at its lower bound, at its upper bound, or in the basis."""
PASSED = 2.0
"""Added to the state of a column that the ratio test has passed: it is to be flipped."""
VIOLATED, PIVOT = 1e-9, 1e-11
"""A row counts as violated, and an entry as large enough to pivot on, from these sizes on."""


@inner
def rates(worth: Matrix, use: Matrix, limit: Matrix, rate: Matrix, weight: Matrix, table: Matrix, m: int) -> None:
    """Find the multipliers of the limits by the dual simplex method, from zero, flipping whatever a step passes.

    ``table`` holds the rows of the limits that can bind, in terms of the basis: m experts, a slack for each, the limit.
    Every basis gives multipliers that make a bound, so that the method may stop anywhere.
    """
    row_of = np.empty(len(limit), dtype=np.int64)
    rows = _rows_that_can_bind(use, limit, rate, row_of, m)
    if rows == 0:
        return
    basis = np.empty(rows, dtype=np.int64)
    gain = table[rows]  # reduced worth; basic ones have 0, others are at their upper bound where it is positive
    state = table[rows + 1]
    _fill_table(worth, use, limit, row_of, rows, table, gain, state, basis, m)
    for _ in range(PIVOTS):
        leaving, excess, up = _leaving_row(table, state, basis, rows, m)
        if leaving < 0:
            break
        entering = _entering_column(table, gain, state, leaving, excess, -1.0 if up else 1.0, m + rows, m)
        if entering < 0:
            break
        _pivot(table, gain, rows, m + rows, leaving, entering)
        state[entering] = BASIC
        state[basis[leaving]] = UPPER if up else LOWER
        basis[leaving] = entering
    for r in range(rows):
        k = row_of[r]
        rate[k] = max(-gain[m + r], 0.0) / (limit[k] if limit[k] > 0.0 else 1.0)


@inner
def _rows_that_can_bind(use: Matrix, limit: Matrix, rate: Matrix, row_of: Matrix, m: int) -> int:
    """List the limits that all experts together exceed, and return how many; an infinite limit becomes a huge one."""
    rate[:] = 0.0
    rows = 0
    for k in range(len(limit)):
        total = 0.0
        for t in range(m):
            total += use[t, k]
        if total > limit[k]:
            row_of[rows] = k
            rows += 1
        elif limit[k] == np.inf:
            limit[k] = 1e300  # so that 0·limit is 0
    return rows


@inner
def _fill_table(
    worth: Matrix, use: Matrix, limit: Matrix, row_of: Matrix, rows: int, table: Matrix, gain: Matrix, state: Matrix,
    basis: Matrix, m: int,
) -> None:  # fmt: skip
    """Write the first table: rows scaled by their limits, the slacks in the basis, every expert at its upper bound."""
    width = m + rows
    for r in range(rows):
        k = row_of[r]
        for t in range(m):
            table[r, t] = use[t, k] / limit[k] if limit[k] > 0.0 else use[t, k]
        for other in range(rows):
            table[r, m + other] = 1.0 if other == r else 0.0
        table[r, width] = 1.0 if limit[k] > 0.0 else 0.0
        basis[r] = m + r
    for t in range(m):
        gain[t] = worth[t]
    for t in range(m, width):
        gain[t] = 0.0
    for t in range(width):
        state[t] = UPPER if t < m else BASIC


@inner
def _leaving_row(table: Matrix, state: Matrix, basis: Matrix, rows: int, m: int) -> Any:
    """Find the row whose basic variable violates a bound most; −1 if none does.

    Returns
    -------
    leaving, excess, up
        The row, by how much it is violated, and whether it is the upper bound (an expert's 1) that it violates.
    """
    width = m + rows
    leaving, excess, up = -1, VIOLATED, False
    for r in range(rows):
        x = table[r, width]
        for t in range(m):
            if state[t] == UPPER:
                x -= table[r, t]
        if -x > excess:
            leaving, excess, up = r, -x, False
        if basis[r] < m and x - 1.0 > excess:
            leaving, excess, up = r, x - 1.0, True
    return leaving, excess, up


@inner
def _entering_column(
    table: Matrix, gain: Matrix, state: Matrix, leaving: int, left: float, sign: float, width: int, m: int
) -> int:
    """Ratio test: the column that enters, −1 if there is none; flips the experts that it passes on the way."""
    while True:
        entering, least, size = -1, np.inf, 0.0
        for t in range(width):
            pull = sign * table[leaving, t]
            if (state[t] == UPPER and pull > PIVOT) or (state[t] == LOWER and pull < -PIVOT):
                ratio = abs(gain[t]) / abs(pull)
                if ratio < least or (ratio == least and abs(pull) > size):
                    entering, least, size = t, ratio, abs(pull)
        if entering < 0 or entering >= m or left - size <= 0.0:
            break
        left -= size
        state[entering] += PASSED
    for t in range(width):
        if state[t] >= PASSED:
            state[t] = 1.0 + PASSED - state[t]
    return entering


@inner
def _pivot(table: Matrix, gain: Matrix, rows: int, width: int, leaving: int, entering: int) -> None:
    """Solve the leaving row for the entering column, and put it into every other row and into the gains."""
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

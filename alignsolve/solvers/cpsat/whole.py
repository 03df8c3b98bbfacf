"""An integer program in whole numbers, which is all that CP-SAT takes: a relaxation wherever it must be rounded.

Each row is multiplied by a power of two that makes its coefficients whole, without loss where they have few enough
digits. Where they have more, coefficients and bound are rounded so that the whole row admits whatever the row admits.
So the whole program is a relaxation: its bound is a bound for the problem, and if it is infeasible, the problem is.
The solver finds what it admits too much, and cuts it off. Costs are multiplied by one power of two and rounded down,
minimising: again a relaxation.

A soft bound lies at a whole load or between two. Its penalty at whole loads is convex: the first unit beyond the bound
costs the part of it that lies beyond, every further unit costs a whole one. Two whole columns, the cheaper one of at
most 1, say that exactly.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from alignsolve.numerics import FloatArray, IntArray
from alignsolve.solvers.common.sparse_rows import Row, Sense
from alignsolve.solvers.ilp.model import Model

EXACT_TOTAL = 2**50
"""Coefficients of a row that add up to no more are taken as they are."""
ROUNDED_TOTAL = 2.0**45
"""Other coefficients are scaled to add up to about this: a part in 2^45 is far below the tolerance of a row."""
SOFT_TOTAL = 2.0**27
"""Coefficients of a soft row add up to about this: its columns have costs, and an objective has few digits."""
TYPICAL_COST = 36
"""Costs that are not whole are scaled to have about this many binary digits,"""
LARGEST_TOTAL = 60
"""as long as the objective's terms together have no more than this many."""
ULPS = 4.0 * float(np.finfo(np.float64).eps)
"""The bound of a row was computed in floats; it is moved outwards by their rounding error."""


@dataclass(frozen=True)
class WholeRow:
    """least ≤ Σ coefficients·columns ≤ most; None is no bound."""

    columns: list[int]
    coefficients: list[int]
    least: int | None
    most: int | None


@dataclass
class WholeProgram:
    """Minimise cost·columns over whole columns within 0..most.

    Attributes
    ----------
    most
        Largest value of each column; the pairs come first, with 1.
    cost
        Per column, already multiplied by 2^cost_bits and rounded down.
    cost_bits
        The objective in the problem's units is −cost·columns / 2^cost_bits · the model's ``cost_unit``.
    rows
        All of them.
    """

    most: list[int]
    cost: list[int] = field(default_factory=list)
    cost_bits: int = 0
    rows: list[WholeRow] = field(default_factory=list)


def in_whole_numbers(model: Model) -> WholeProgram:
    """Relax an integer program to whole numbers."""
    program = WholeProgram(most=[1] * model.num_pairs)
    own_costs: list[float] = []
    for row in model.rows:
        if len(row.columns) and row.columns[-1] >= model.num_pairs:
            _add_soft_row(program, row, float(model.cost[row.columns[-1]]), own_costs)
        else:
            program.rows.append(whole_row(row))
    cost = np.concatenate([model.cost[: model.num_pairs], own_costs])
    program.cost_bits = _cost_bits(cost, np.array(program.most, dtype=np.float64))
    program.cost = np.floor(np.ldexp(cost, program.cost_bits)).astype(np.int64).tolist()
    return program


def whole_row(row: Row) -> WholeRow:
    """Relax one hard row; its coefficients are not negative."""
    bits, exact = _row_bits(row.coefficients, ROUNDED_TOTAL)
    scaled, bound = np.ldexp(row.coefficients, bits), math.ldexp(row.bound, bits)
    least = None if row.sense is Sense.AT_MOST else math.ceil(bound * (1.0 - ULPS))
    most = None if row.sense is Sense.AT_LEAST else math.floor(bound * (1.0 + ULPS))
    rounded = scaled if exact else np.floor(scaled) if row.sense is Sense.AT_MOST else np.ceil(scaled)
    return WholeRow(row.columns.tolist(), rounded.astype(np.int64).tolist(), least, most)


def _add_soft_row(program: WholeProgram, row: Row, cost: float, own_costs: list[float]) -> None:
    """Relax a row whose last column is what is over (AT_MOST) or short (AT_LEAST), at a cost."""
    weights = row.coefficients[:-1]
    bits, exact = _row_bits(weights, SOFT_TOTAL)
    scaled, bound = np.ldexp(weights, bits), math.ldexp(row.bound, bits)
    over = row.sense is Sense.AT_MOST
    rounded = (scaled if exact else np.floor(scaled) if over else np.ceil(scaled)).astype(np.int64)
    total = int(rounded.sum())
    edge = math.floor(bound) if over else math.ceil(bound)
    beyond = abs(edge + (1 if over else -1) - bound) if edge != bound else 1.0
    first = len(program.most)
    program.most += [1, max(total, edge, 1)]
    own_costs += [math.ldexp(cost, -bits) * (beyond if exact else 0.0), math.ldexp(cost, -bits)]
    sign = -1 if over else 1
    columns = [*row.columns[:-1].tolist(), first, first + 1]
    coefficients = [*rounded.tolist(), sign, sign]
    program.rows.append(WholeRow(columns, coefficients, None if over else edge, edge if over else None))


def _row_bits(coefficients: FloatArray, rounded_total: float) -> tuple[int, bool]:
    """The power of two to multiply by, and whether that makes all coefficients whole."""
    largest = float(coefficients.max(initial=0.0))
    if largest == 0.0:
        return 0, True
    bits = _digits_after_the_point(coefficients)
    if math.ldexp(float(coefficients.sum()), bits) <= EXACT_TOTAL:
        return bits, True
    return math.floor(math.log2(rounded_total / float(coefficients.sum()))), False


def _digits_after_the_point(values: FloatArray) -> int:
    """How many binary digits the values have after the point; negative where all are multiples of a power of two."""
    mantissa, exponent = np.frexp(values[values != 0.0])
    whole: IntArray = np.ldexp(mantissa, 53).astype(np.int64)
    trailing = np.log2((whole & -whole).astype(np.float64)).astype(np.int64)
    return int((53 - exponent - trailing).max(initial=0 if not len(whole) else -(2**31)))


def _cost_bits(cost: FloatArray, most: FloatArray) -> int:
    """The power of two to multiply costs by: 0 if they are whole and their sum is small enough."""
    sizes = np.abs(cost[cost != 0.0])
    if not len(sizes):
        return 0
    room = math.floor(LARGEST_TOTAL - math.log2(float((np.abs(cost) * most).sum())))
    if room >= 0 and bool((sizes == np.floor(sizes)).all()):
        return 0
    return min(room, TYPICAL_COST - math.floor(math.log2(float(np.median(sizes)))))

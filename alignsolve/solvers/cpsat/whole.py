"""Converts an integer program to whole numbers, the only ones that CP-SAT takes; rounding relaxes the program.

Each row is multiplied by a power of two. If its coefficients have few enough digits, this makes them whole without
loss. Otherwise coefficients and bound are rounded, such that the new row allows every choice that the old row allows.
Costs are multiplied by one power of two and rounded down. The program minimises, so this is a relaxation too.

So the whole program is a relaxation. Its bound is a bound for the problem, and if it is infeasible, the problem is too.
If its answer is not feasible for the problem, the solver adds cuts.

A soft bound lies at a whole load or between two whole loads. At whole loads the penalty is convex. The first unit
beyond the bound costs only the part of the unit that lies beyond the bound. Every further unit costs a whole penalty.
Two whole columns describe this exactly: one of at most 1 for the first unit, and one for all further units.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from alignsolve.numerics import FloatArray, IntArray
from alignsolve.solvers.common.sparse_rows import Row, Sense
from alignsolve.solvers.ilp.model import Model

EXACT_TOTAL = 2**50
"""If a row's whole coefficients add up to at most this, they are not rounded."""
ROUNDED_TOTAL = 2.0**45
"""Sum to which other coefficients are scaled; a rounding of one part in 2^45 is far below the tolerance of a row."""
SOFT_TOTAL = 2.0**27
"""Sum to which coefficients of a soft row are scaled; it is smaller, because the row's own columns have costs."""
TYPICAL_COST = 36
"""Number of binary digits to which typical costs are scaled if the costs are not whole."""
LARGEST_TOTAL = 60
"""Largest number of binary digits of the sum of the objective's terms; it limits the scaling of costs."""
ULPS = 4.0 * float(np.finfo(np.float64).eps)
"""Relative rounding error of a row's bound, which was computed in floats; the bound is relaxed by it."""


@dataclass(frozen=True)
class WholeRow:
    """The row least ≤ Σ coefficients·columns ≤ most; None stands for no bound."""

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
        Largest value of each column; the pairs and the openings of experts come first, and theirs is 1.
    cost
        Cost of each column, multiplied by 2^cost_bits and rounded down.
    cost_bits
        Binary digits by which costs are scaled. The objective in the problem's units is
        −cost·columns / 2^cost_bits · the model's ``cost_unit``.
    rows
        All rows.
    """

    most: list[int]
    cost: list[int] = field(default_factory=list)
    cost_bits: int = 0
    rows: list[WholeRow] = field(default_factory=list)


def in_whole_numbers(model: Model) -> WholeProgram:
    """Relax an integer program to whole numbers."""
    # The rows. Every soft row adds two columns with costs of their own.
    program = WholeProgram(most=[1] * model.num_whole)
    own_costs: list[float] = []
    for row in model.rows:
        if len(row.columns) and row.columns[-1] >= model.num_whole:
            _add_soft_row(program, row, float(model.cost[row.columns[-1]]), own_costs)
        else:
            program.rows.append(whole_row(row))
    # The costs of all columns, scaled and rounded down.
    cost = np.concatenate([model.cost[: model.num_whole], own_costs])
    program.cost_bits = _cost_bits(cost, np.array(program.most, dtype=np.float64))
    program.cost = np.floor(np.ldexp(cost, program.cost_bits)).astype(np.int64).tolist()
    return program


def whole_row(row: Row) -> WholeRow:
    """Relax one hard row to whole numbers: where a column is not negative, rounding its coefficient allows more."""
    bits, exact = _row_bits(row.coefficients, row.bound, ROUNDED_TOTAL)
    scaled, bound = np.ldexp(row.coefficients, bits), math.ldexp(row.bound, bits)
    least = None if row.sense is Sense.AT_MOST else math.ceil(bound * (1.0 - ULPS))
    most = None if row.sense is Sense.AT_LEAST else math.floor(bound * (1.0 + ULPS))
    rounded = scaled if exact else np.floor(scaled) if row.sense is Sense.AT_MOST else np.ceil(scaled)
    return WholeRow(row.columns.tolist(), rounded.astype(np.int64).tolist(), least, most)


def _add_soft_row(program: WholeProgram, row: Row, cost: float, own_costs: list[float]) -> None:
    """Relax a soft row, whose last column is the overload (AT_MOST) or the shortfall (AT_LEAST), at a cost."""
    # Scale and round the weights.
    weights = row.coefficients[:-1]
    bits, exact = _row_bits(weights, row.bound, SOFT_TOTAL)
    scaled, bound = np.ldexp(weights, bits), math.ldexp(row.bound, bits)
    over = row.sense is Sense.AT_MOST
    rounded = (scaled if exact else np.floor(scaled) if over else np.ceil(scaled)).astype(np.int64)
    total = int(rounded.sum())
    # ``edge`` is the last whole load within the bound; ``beyond`` is the part of the next unit beyond the bound.
    edge = math.floor(bound) if over else math.ceil(bound)
    beyond = abs(edge + (1 if over else -1) - bound) if edge != bound else 1.0
    # Two columns: the first unit at its reduced cost, and all further units.
    first = len(program.most)
    program.most += [1, max(total, edge, 1)]
    own_costs += [math.ldexp(cost, -bits) * (beyond if exact else 0.0), math.ldexp(cost, -bits)]
    sign = -1 if over else 1
    columns = [*row.columns[:-1].tolist(), first, first + 1]
    coefficients = [*rounded.tolist(), sign, sign]
    program.rows.append(WholeRow(columns, coefficients, None if over else edge, edge if over else None))


def _row_bits(coefficients: FloatArray, bound: float, rounded_total: float) -> tuple[int, bool]:
    """Return the exponent of the power of two to multiply by, and whether that makes all coefficients whole.

    Neither their sum nor the bound, which may be larger, becomes too large.
    """
    size = max(float(np.abs(coefficients).sum()), abs(bound))
    if size == 0.0:
        return 0, True
    bits = _digits_after_the_point(coefficients) if coefficients.any() else 0
    exponent = math.frexp(size)[1]
    if exponent + bits <= math.log2(EXACT_TOTAL):
        return bits, True
    return math.floor(math.log2(rounded_total)) - exponent, False


def _digits_after_the_point(values: FloatArray) -> int:
    """Return the number of binary digits after the point; negative if all values are multiples of a power of two."""
    mantissa, exponent = np.frexp(values[values != 0.0])
    whole: IntArray = np.ldexp(mantissa, 53).astype(np.int64)
    trailing = np.log2((whole & -whole).astype(np.float64)).astype(np.int64)
    return int((53 - exponent - trailing).max(initial=0 if not len(whole) else -(2**31)))


def _cost_bits(cost: FloatArray, most: FloatArray) -> int:
    """Return the exponent of the power of two to multiply costs by; 0 if they are whole and their sum is small."""
    sizes = np.abs(cost[cost != 0.0])
    if not len(sizes):
        return 0
    room = math.floor(LARGEST_TOTAL - math.log2(float((np.abs(cost) * most).sum())))
    if room >= 0 and bool((sizes == np.floor(sizes)).all()):
        return 0
    return min(room, TYPICAL_COST - math.floor(math.log2(float(np.median(sizes)))))

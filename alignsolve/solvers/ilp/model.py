"""An alignment problem as an integer program for floating-point back ends: rows of size 1, costs of a moderate size.

Back ends judge rows and costs by absolute tolerances. So every row is divided by the power of two below its largest
coefficient, and the costs by another power of two: no digit is lost. A weighted bound may be exceeded by a relative
1e-9 (``numerics.FEASIBILITY``). Its row is given that much room, so that no feasible alignment is cut off. What a back
end's own tolerance lets through beyond it is cut off afterwards (:mod:`.covers`). A soft bound gets a continuous column
for what is over or short, at its penalty. Rows that hold for any choice of pairs are left out.
"""

from dataclasses import dataclass

import numpy as np

from alignsolve.numerics import FEASIBILITY, BoolArray, FloatArray, IntArray
from alignsolve.problem import AlignmentProblem
from alignsolve.solvers.common.integer_program import IntegerProgram, RowKind, describe, power_of_two_below
from alignsolve.solvers.common.sparse_rows import Sense, SparseRows

ROOM = FEASIBILITY / (1.0 - FEASIBILITY)
"""A load may exceed a bound by 1e-9 of the larger of the two, the load itself."""
LARGEST_COST = 2.0**16
"""Costs are scaled to this, far above the back ends' absolute tolerances; whole costs up to 2^20 stay as they are."""
LARGEST_WHOLE_COST = 2.0**20
LARGEST_OUTLIER = 2.0**30


@dataclass
class Model:
    """Minimise cost·columns: the pairs first, then what is over or short.

    Attributes
    ----------
    clients, experts
        (num_pairs,) the open pairs.
    load
        (num_pairs,) what each pair loads its expert with, in the problem's units.
    forced
        (num_pairs,) whether the pair is required.
    cost
        (num_columns,) already scaled.
    cost_unit, load_unit
        What was divided by: costs, and (num_experts,) the experts' rows.
    rows
        All of them.
    expert_rows, row_experts
        Which of the rows bound an expert's load, and the expert of each.
    """

    clients: IntArray
    experts: IntArray
    load: FloatArray
    forced: BoolArray
    cost: FloatArray
    cost_unit: float
    load_unit: FloatArray
    rows: SparseRows
    expert_rows: IntArray
    row_experts: IntArray

    @property
    def num_pairs(self) -> int:
        """Binary columns."""
        return len(self.clients)


@dataclass(frozen=True)
class _Bounds:
    """Rows of one kind that are written down, each with one bound.

    Attributes
    ----------
    row
        (num_bounds,) which row of the kind.
    sense, bound
        (num_bounds,) unscaled.
    penalty
        (num_bounds,) the price of a unit beyond the bound; inf where the bound is hard.
    """

    row: IntArray
    sense: IntArray
    bound: FloatArray
    penalty: FloatArray

    @property
    def soft(self) -> BoolArray:
        return np.isfinite(self.penalty)


def build(problem: AlignmentProblem) -> Model:
    """Write the problem down as an integer program."""
    required = np.zeros(problem.shape, dtype=np.bool_) if problem.required is None else problem.required
    program = describe(problem, _open(problem) | required)
    (expert,) = _named(program, "expert")
    expert_unit, bounds = expert.units(), _expert_bounds(program, room=0.0 if problem.client_load is None else ROOM)
    penalties = bounds.penalty[bounds.soft] * expert_unit[bounds.row[bounds.soft]]
    cost = np.concatenate([-program.value, penalties])
    cost_unit = _cost_unit(cost)
    parts = [_written(kind, np.ones(len(kind)), _count_bounds(kind)) for kind in _named(program, "client", "group")]
    parts += [_written(kind, kind.units(), _budget_bounds(kind)) for kind in _named(program, "budget")]
    first = sum(len(part) for part in parts)
    return Model(
        clients=program.clients,
        experts=program.experts,
        load=expert.coefficient,
        forced=program.required,
        cost=cost / cost_unit,
        cost_unit=cost_unit,
        load_unit=expert_unit,
        rows=SparseRows.joined([*parts, _written(expert, expert_unit, bounds)]),
        expert_rows=first + np.arange(len(bounds.row)),
        row_experts=bounds.row,
    )


def _open(problem: AlignmentProblem) -> BoolArray:
    """Pairs that are eligible and that no bound rules out by themselves."""
    open_ = np.ones(problem.shape, dtype=np.bool_) if problem.eligible is None else problem.eligible.copy()
    if problem.client_load is not None:
        open_ &= ~(problem.client_load > problem.experts.most * (1.0 + ROOM))
    if problem.client_budget is not None:
        open_ &= ~(problem.expert_cost > problem.client_budget[:, None, :] * (1.0 + ROOM)).any(axis=2)
    return open_


def _named(program: IntegerProgram, *names: str) -> list[RowKind]:
    """The kinds of these names; budgets are numbered behind theirs."""
    return [kind for kind in program.kinds if kind.name.split("_")[0] in names]


def _cost_unit(cost: FloatArray) -> float:
    """What to divide costs by: nothing if they are whole and small; a lone outlier does not squash all others."""
    sizes = np.abs(cost[cost != 0])
    if not len(sizes):
        return 1.0
    largest = float(sizes.max())
    if largest <= LARGEST_WHOLE_COST and bool((sizes == np.floor(sizes)).all()):
        return 1.0
    typical = float(np.median(sizes))
    return power_of_two_below(max(typical / LARGEST_COST, largest / LARGEST_OUTLIER))


def _count_bounds(kind: RowKind) -> _Bounds:
    """Bounds on numbers of experts: an equation, or most before least where the pairs alone do not keep them."""
    size = np.bincount(kind.row, minlength=len(kind))
    equal = kind.least == kind.most
    above = equal | (kind.most < size)
    below = ~equal & (kind.least > 0)
    row, side = np.nonzero(np.stack([above, below], axis=1))
    sense = np.where(equal[row], Sense.EQUAL, np.where(side == 0, Sense.AT_MOST, Sense.AT_LEAST))
    bound = np.where(side == 0, kind.most[row], kind.least[row])
    return _Bounds(row, sense, bound, np.full(len(row), np.inf))


def _budget_bounds(kind: RowKind) -> _Bounds:
    """Budgets of the clients who could spend too much."""
    row = np.flatnonzero(kind.totals() > kind.most)
    return _hard(row, Sense.AT_MOST, kind.most[row] * (1.0 + ROOM))


def _expert_bounds(program: IntegerProgram, *, room: float) -> _Bounds:
    """Bounds on experts' loads, expert by expert: capacity, demand, soft capacity, soft demand."""
    (hard,) = _named(program, "expert")
    over, short = np.flatnonzero(hard.totals() > hard.most), np.flatnonzero(hard.least > 0)
    parts = [
        _hard(over, Sense.AT_MOST, hard.most[over] * (1.0 + room)),
        _hard(short, Sense.AT_LEAST, hard.least[short] * (1.0 - FEASIBILITY)),
        *_soft_bounds(program),
    ]
    row = np.concatenate([part.row for part in parts])
    order = np.argsort(row, kind="stable")
    return _Bounds(
        row=row[order],
        sense=np.concatenate([part.sense for part in parts])[order],
        bound=np.concatenate([part.bound for part in parts])[order],
        penalty=np.concatenate([part.penalty for part in parts])[order],
    )


def _soft_bounds(program: IntegerProgram) -> list[_Bounds]:
    """Soft bounds that cost something to break."""
    parts = []
    for name, sense in (("soft_capacity", Sense.AT_MOST), ("soft_demand", Sense.AT_LEAST)):
        kind = program.kind(name)
        if kind is not None and kind.penalty is not None:
            row = np.flatnonzero((kind.penalty > 0) & np.isfinite(kind.penalty))
            bound = (kind.most if sense is Sense.AT_MOST else kind.least)[row]
            parts.append(_Bounds(row, np.full(len(row), int(sense)), bound, kind.penalty[row]))
    return parts


def _hard(row: IntArray, sense: Sense, bound: FloatArray) -> _Bounds:
    return _Bounds(row, np.full(len(row), int(sense)), bound, np.full(len(row), np.inf))


def _written(kind: RowKind, units: FloatArray, bounds: _Bounds) -> SparseRows:
    """Rows in arrays, each divided by its unit; a soft row ends with its own column, numbered behind the pairs."""
    order = np.argsort(kind.row, kind="stable")
    ends = np.searchsorted(kind.row[order], np.arange(len(kind) + 1))
    size = np.diff(ends)[bounds.row]
    line = np.repeat(np.arange(len(size)), size)
    within = np.arange(len(line)) - np.repeat(np.cumsum(size) - size, size)
    pair = order[np.repeat(ends[bounds.row], size) + within]
    coefficient = kind.coefficient[pair] / units[kind.row[pair]]
    soft = np.flatnonzero(bounds.soft)
    lines = np.concatenate([line, soft])
    by_line = np.argsort(lines, kind="stable")
    return SparseRows(
        start=np.concatenate([[0], np.cumsum(size + bounds.soft)]),
        columns=np.concatenate([pair, len(kind.row) + np.arange(len(soft))])[by_line],
        coefficients=np.concatenate([coefficient, bounds.sense[soft].astype(np.float64)])[by_line],
        senses=bounds.sense,
        bounds=bounds.bound / units[bounds.row],
    )

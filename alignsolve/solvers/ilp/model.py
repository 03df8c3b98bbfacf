"""An alignment problem as an integer program for floating-point back ends, scaled to suit their tolerances.

Back ends check rows and costs with absolute tolerances. So every row is divided by the power of two below its largest
coefficient, and the costs are divided by another power of two. No digit is lost. A weighted bound may be exceeded by a
relative 1e-9 (``numerics.FEASIBILITY``). Its row gets that much room, so that no feasible alignment is cut off. A
choice that only the back end's own tolerance allows is cut off afterwards (:mod:`.covers`). A soft bound gets a
continuous column for its overload or shortfall, whose cost is the penalty. Rows that hold for any choice of pairs are
left out. Optional demands have rows and columns of their own (:mod:`.openings`).
"""

from dataclasses import dataclass

import numpy as np

from alignsolve.data.expert_sets import ExpertSets
from alignsolve.numerics import FEASIBILITY, BoolArray, FloatArray, IntArray
from alignsolve.problem import AlignmentProblem
from alignsolve.solvers.common.integer_program import IntegerProgram, RowKind, describe, power_of_two_below
from alignsolve.solvers.common.sparse_rows import Sense, SparseRows
from alignsolve.solvers.ilp.openings import opening_rows

ROOM = FEASIBILITY / (1.0 - FEASIBILITY)
"""Room of a capacity, relative to it: a load may exceed its bound by 1e-9 of the load."""
LARGEST_COST = 2.0**16
"""Typical size of scaled costs, far above the back ends' absolute tolerances."""
LARGEST_WHOLE_COST = 2.0**20
LARGEST_OUTLIER = 2.0**30


@dataclass
class Model:
    """Minimise cost·columns: the pairs, whether experts are open, then the overloads and shortfalls of soft bounds.

    Attributes
    ----------
    clients, experts
        (num_pairs,) client and expert of each pair that can be taken.
    load
        (num_pairs,) load that each pair puts on its expert, in the problem's units.
    forced
        (num_pairs,) whether the pair is required.
    cost
        (num_columns,) scaled costs.
    cost_unit, load_unit
        The divisors: of the costs, and (num_experts + num_sets,) of the rows of experts and of sets.
    rows
        All rows.
    expert_rows, row_experts
        Indices of the rows that bound the load of an expert or a set, and the expert of each, or num_experts + the set.
    sets
        The sets of experts; None where there are none.
    num_openings
        Experts with an optional demand; each has a binary column behind those of the pairs.
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
    sets: ExpertSets | None = None
    num_openings: int = 0

    @property
    def num_pairs(self) -> int:
        """Number of pairs."""
        return len(self.clients)

    @property
    def num_whole(self) -> int:
        """Number of binary columns: pairs and openings."""
        return self.num_pairs + self.num_openings


@dataclass(frozen=True)
class _Bounds:
    """The bounds of one kind of rows that the program contains; each bound becomes a row.

    Attributes
    ----------
    row
        (num_bounds,) index of the row within its kind.
    sense, bound
        (num_bounds,) sense and unscaled bound.
    penalty
        (num_bounds,) cost of a unit beyond the bound; inf if the bound is hard.
    """

    row: IntArray
    sense: IntArray
    bound: FloatArray
    penalty: FloatArray

    @property
    def soft(self) -> BoolArray:
        return np.isfinite(self.penalty)


def build(problem: AlignmentProblem) -> Model:
    """Make the integer program of a problem."""
    required = np.zeros(problem.shape, dtype=np.bool_) if problem.required is None else problem.required
    program = describe(problem, _open(problem) | required)
    (expert,) = _named(program, "expert")
    room = 0.0 if problem.client_load is None else ROOM
    loads = [(expert, 0, _load_bounds(program, expert, ("soft_capacity", "soft_demand"), room=room))]
    units = [expert.units()]
    load_unit = np.append(units[0], np.ones(problem.num_sets))
    for kind in _named(program, "set"):
        k = kind.name.split("_")[1]
        bounds = _load_bounds(program, kind, (f"setcapacity_{k}", f"setdemand_{k}"), room=room)
        loads.append((kind, problem.num_experts, bounds))
        units.append(kind.units())
        load_unit[problem.num_experts + bounds.row] = units[-1][bounds.row]
    # Scale the costs of pairs and of soft bounds together.
    penalties = [
        bounds.penalty[bounds.soft] * unit[bounds.row[bounds.soft]]
        for unit, (_, _, bounds) in zip(units, loads, strict=True)
    ]
    opening = problem.experts.opening
    num_openings = int((opening > 0).sum())
    cost = np.concatenate([-program.value, np.zeros(num_openings), *penalties])
    cost_unit = _cost_unit(cost)
    # The rows: counts of experts, budgets, optional demands, then the loads of experts and sets.
    parts = [_written(kind, np.ones(len(kind)), _count_bounds(kind)) for kind in _named(program, "client", "group")]
    parts += [_written(kind, kind.units(), _budget_bounds(kind)) for kind in _named(program, "budget")]
    parts += opening_rows(expert, units[0], opening, room)
    first, missed = sum(len(part) for part in parts), num_openings
    for unit, (kind, _, bounds) in zip(units, loads, strict=True):
        parts.append(_written(kind, unit, bounds, missed))
        missed += int(bounds.soft.sum())
    row_experts = np.concatenate([start + bounds.row for _, start, bounds in loads])
    return Model(
        clients=program.clients,
        experts=program.experts,
        load=expert.coefficient,
        forced=program.required,
        cost=cost / cost_unit,
        cost_unit=cost_unit,
        load_unit=load_unit,
        rows=SparseRows.joined(parts),
        expert_rows=first + np.arange(len(row_experts)),
        row_experts=row_experts,
        sets=problem.sets,
        num_openings=num_openings,
    )


def _open(problem: AlignmentProblem) -> BoolArray:
    """Return the eligible pairs, without those that alone would break a bound, or whose expert can never be open."""
    open_ = np.ones(problem.shape, dtype=np.bool_) if problem.eligible is None else problem.eligible.copy()
    if problem.client_load is not None:
        open_ &= ~(problem.client_load > problem.experts.most * (1.0 + ROOM))
    if problem.client_budget is not None:
        open_ &= ~(problem.expert_cost > problem.client_budget[:, None, :] * (1.0 + ROOM)).any(axis=2)
    return open_ & ~_never_open(problem, open_) if problem.optional_demand is not None else open_


def _never_open(problem: AlignmentProblem, open_: BoolArray) -> BoolArray:
    """Return the pairs with a load on an expert whose optional demand all open pairs together do not meet."""
    load = np.ones((1, 1)) if problem.client_load is None else problem.client_load
    never: BoolArray = np.where(open_, load, 0.0).sum(axis=0) < problem.experts.opening * (1.0 - ROOM)
    return never & (load > 0)


def _named(program: IntegerProgram, *names: str) -> list[RowKind]:
    """Return the kinds of rows with these names; a number after the name, as in budgets, is ignored."""
    return [kind for kind in program.kinds if kind.name.split("_")[0] in names]


def _cost_unit(cost: FloatArray) -> float:
    """Return the divisor of the costs, a power of two.

    Small integer costs stay as they are. Otherwise typical costs get the size LARGEST_COST. If the largest cost would
    then exceed LARGEST_OUTLIER, it gets this size instead.
    """
    sizes = np.abs(cost[cost != 0])
    if not len(sizes):
        return 1.0
    largest = float(sizes.max())
    if largest <= LARGEST_WHOLE_COST and bool((sizes == np.floor(sizes)).all()):
        return 1.0
    typical = float(np.median(sizes))
    return power_of_two_below(max(typical / LARGEST_COST, largest / LARGEST_OUTLIER))


def _count_bounds(kind: RowKind) -> _Bounds:
    """Return bounds on numbers of experts: an equation, or an upper and a lower bound. Redundant ones are left out."""
    size = np.bincount(kind.row, minlength=len(kind))
    equal = kind.least == kind.most
    above = equal | (kind.most < size)
    below = ~equal & (kind.least > 0)
    row, side = np.nonzero(np.stack([above, below], axis=1))
    sense = np.where(equal[row], Sense.EQUAL, np.where(side == 0, Sense.AT_MOST, Sense.AT_LEAST))
    bound = np.where(side == 0, kind.most[row], kind.least[row])
    return _Bounds(row, sense, bound, np.full(len(row), np.inf))


def _budget_bounds(kind: RowKind) -> _Bounds:
    """Return the budgets of the clients that could exceed them."""
    row = np.flatnonzero(kind.totals() > kind.most)
    return _hard(row, Sense.AT_MOST, kind.most[row] * (1.0 + ROOM))


def _load_bounds(program: IntegerProgram, hard: RowKind, soft: tuple[str, str], *, room: float) -> _Bounds:
    """Return the bounds on loads, of experts or of sets one by one: capacity, demand, soft capacity, soft demand."""
    # Only bounds that can be broken; a hard bound gets the room of the tolerance.
    over, short = np.flatnonzero(hard.totals() > hard.most), np.flatnonzero(hard.least > 0)
    parts = [
        _hard(over, Sense.AT_MOST, hard.most[over] * (1.0 + room)),
        _hard(short, Sense.AT_LEAST, hard.least[short] * (1.0 - FEASIBILITY)),
        *_soft_bounds(program, soft),
    ]
    # Sort them by expert, or by set.
    row = np.concatenate([part.row for part in parts])
    order = np.argsort(row, kind="stable")
    return _Bounds(
        row=row[order],
        sense=np.concatenate([part.sense for part in parts])[order],
        bound=np.concatenate([part.bound for part in parts])[order],
        penalty=np.concatenate([part.penalty for part in parts])[order],
    )


def _soft_bounds(program: IntegerProgram, soft: tuple[str, str]) -> list[_Bounds]:
    """Return the soft bounds with a penalty above 0."""
    parts = []
    for name, sense in zip(soft, (Sense.AT_MOST, Sense.AT_LEAST), strict=True):
        kind = program.kind(name)
        if kind is not None and kind.penalty is not None:
            row = np.flatnonzero((kind.penalty > 0) & np.isfinite(kind.penalty))
            bound = (kind.most if sense is Sense.AT_MOST else kind.least)[row]
            parts.append(_Bounds(row, np.full(len(row), int(sense)), bound, kind.penalty[row]))
    return parts


def _hard(row: IntArray, sense: Sense, bound: FloatArray) -> _Bounds:
    return _Bounds(row, np.full(len(row), int(sense)), bound, np.full(len(row), np.inf))


def _written(kind: RowKind, units: FloatArray, bounds: _Bounds, missed: int = 0) -> SparseRows:
    """Return rows in arrays, each divided by its unit; a soft row ends with its own column.

    These columns follow the pairs, and as many columns of openings and soft rows as were written before.
    """
    # The pairs of each row.
    order = np.argsort(kind.row, kind="stable")
    ends = np.searchsorted(kind.row[order], np.arange(len(kind) + 1))
    size = np.diff(ends)[bounds.row]
    line = np.repeat(np.arange(len(size)), size)
    within = np.arange(len(line)) - np.repeat(np.cumsum(size) - size, size)
    pair = order[np.repeat(ends[bounds.row], size) + within]
    coefficient = kind.coefficient[pair] / units[kind.row[pair]]
    # Add the column of each soft row, at the row's end.
    soft = np.flatnonzero(bounds.soft)
    lines = np.concatenate([line, soft])
    by_line = np.argsort(lines, kind="stable")
    return SparseRows(
        start=np.concatenate([[0], np.cumsum(size + bounds.soft)]),
        columns=np.concatenate([pair, len(kind.row) + missed + np.arange(len(soft))])[by_line],
        coefficients=np.concatenate([coefficient, bounds.sense[soft].astype(np.float64)])[by_line],
        senses=bounds.sense,
        bounds=bounds.bound / units[bounds.row],
    )

"""An alignment problem as an integer program, in arrays: one binary per open pair, one row per bound, all of size 1.

Solvers judge rows and costs by absolute tolerances, so every weighted row is divided by the power of two below its
largest coefficient, and the costs by another: no digit is lost. A weighted bound may be exceeded by a relative 1e-9
(``numerics.FEASIBILITY``); its row is given that much room, so that nothing that we call feasible is cut off, and what
the solver's own tolerance lets through beyond it is cut off afterwards (covers.py). Soft bounds have a continuous
column each for what is over or short, at its penalty.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

from alignsolve.numerics import FEASIBILITY, BoolArray, FloatArray, IntArray
from alignsolve.problem import AlignmentProblem

ROOM = FEASIBILITY / (1.0 - FEASIBILITY)
"""A load may exceed a bound by 1e-9 of the larger of the two, the load itself."""
LARGEST_COST = 2.0**16
"""Costs are scaled to this, far above the solvers' absolute tolerances; whole costs up to 2^20 stay as they are."""
LARGEST_WHOLE_COST = 2.0**20
LARGEST_OUTLIER = 2.0**30


class Sense(IntEnum):
    """How a row's sum compares with its right-hand side; PuLP's own numbers."""

    AT_MOST = -1
    EQUAL = 0
    AT_LEAST = 1


@dataclass(frozen=True)
class Row:
    """Σ coefficients·columns (sense) bound."""

    columns: IntArray
    coefficients: FloatArray
    sense: Sense
    bound: float

    @property
    def holds_empty(self) -> bool:
        """Whether the row holds when every column is 0."""
        if self.sense is Sense.EQUAL:
            return self.bound == 0
        return self.bound >= 0 if self.sense is Sense.AT_MOST else self.bound <= 0


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
        Per column, already scaled.
    cost_unit, load_unit
        What was divided by: costs, and (num_experts,) the experts' rows.
    rows
        All of them; ``expert_rows[k]`` is the expert of row k, where it is one.
    """

    clients: IntArray
    experts: IntArray
    load: FloatArray
    forced: BoolArray
    cost: FloatArray
    cost_unit: float
    load_unit: FloatArray
    rows: list[Row] = field(default_factory=list)
    expert_rows: dict[int, int] = field(default_factory=dict)

    @property
    def num_pairs(self) -> int:
        """Binary columns."""
        return len(self.clients)


def build(problem: AlignmentProblem) -> Model:
    """Write the problem down as an integer program."""
    required = np.zeros(problem.shape, dtype=np.bool_) if problem.required is None else problem.required
    clients, experts = np.nonzero(_open(problem) | required)
    load = np.ones(len(clients)) if problem.client_load is None else problem.client_load[clients, experts]
    value = problem.values()[clients, experts].astype(np.float64)
    unit = _expert_units(problem, experts, load)
    soft = [(j, sense) for j in range(problem.num_experts) for sense in _soft_sides(problem, j)]
    penalties = [_penalty(problem, j, sense) * unit[j] for j, sense in soft]
    cost = np.concatenate([-value, penalties])
    cost_unit = _cost_unit(cost)
    model = Model(clients, experts, load, required[clients, experts], cost / cost_unit, cost_unit, unit)
    model.rows += _client_rows(problem, model)
    model.rows += _budget_rows(problem, model)
    elastic_column = {key: model.num_pairs + k for k, key in enumerate(soft)}
    for j, row in _expert_rows(problem, model, elastic_column):
        model.expert_rows[len(model.rows)] = j
        model.rows.append(row)
    return model


def _open(problem: AlignmentProblem) -> BoolArray:
    """Pairs that are eligible and that no bound rules out by themselves."""
    open_ = np.ones(problem.shape, dtype=np.bool_) if problem.eligible is None else problem.eligible.copy()
    if problem.client_load is not None:
        open_ &= ~(problem.client_load > problem.experts.most * (1.0 + ROOM))
    if problem.client_budget is not None:
        open_ &= ~(problem.expert_cost > problem.client_budget[:, None, :] * (1.0 + ROOM)).any(axis=2)
    return open_


def _soft_sides(problem: AlignmentProblem, j: int) -> Iterator[Sense]:
    """Which of an expert's bounds cost something, rather than nothing or everything, to break."""
    if 0 < problem.overload_penalty[j] < math.inf and math.isfinite(problem.expert_capacity[j]):
        yield Sense.AT_MOST
    if 0 < problem.shortfall_penalty[j] < math.inf and problem.expert_demand[j] > 0:
        yield Sense.AT_LEAST


def _penalty(problem: AlignmentProblem, j: int, sense: Sense) -> float:
    return float((problem.overload_penalty if sense is Sense.AT_MOST else problem.shortfall_penalty)[j])


def _expert_units(problem: AlignmentProblem, experts: IntArray, load: FloatArray) -> FloatArray:
    """Power of two below each expert's largest load; 1 where loads are 1, or all 0."""
    largest = np.zeros(problem.num_experts)
    np.maximum.at(largest, experts, load)
    return np.array([power_of_two_below(size) for size in largest.tolist()])


def power_of_two_below(size: float) -> float:
    """The largest power of two that is at most ``size``; 1 for 0."""
    return 1.0 if size == 0 else math.ldexp(1.0, math.frexp(size)[1] - 1)


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


def _client_rows(problem: AlignmentProblem, model: Model) -> Iterator[Row]:
    """Experts per client, and per client and group."""
    yield from _count_rows(model.clients, problem.client_demand, problem.client_capacity)
    if problem.expert_group is not None:
        keys = model.clients * problem.num_groups + problem.expert_group[model.experts]
        yield from _count_rows(keys, problem.group_demand.ravel(), problem.group_capacity.ravel())


def _count_rows(keys: IntArray, least: IntArray, most: IntArray) -> Iterator[Row]:
    """Σ of the pairs of each key within least..most, where the pairs alone do not see to it."""
    order = np.argsort(keys, kind="stable")
    ends = np.searchsorted(keys[order], np.arange(len(least) + 1))
    for k, (low, high) in enumerate(zip(least.tolist(), most.tolist(), strict=True)):
        columns = order[ends[k] : ends[k + 1]]
        ones = np.ones(len(columns))
        if low == high:
            yield Row(columns, ones, Sense.EQUAL, float(low))
            continue
        if high < len(columns):
            yield Row(columns, ones, Sense.AT_MOST, float(high))
        if low > 0:
            yield Row(columns, ones, Sense.AT_LEAST, float(low))


def _budget_rows(problem: AlignmentProblem, model: Model) -> Iterator[Row]:
    """What each client spends of each resource, where it could spend too much."""
    if problem.client_budget is None:
        return
    ends = np.searchsorted(model.clients, np.arange(problem.num_clients + 1))
    for r in range(problem.client_budget.shape[1]):
        costs = problem.expert_cost[model.clients, model.experts, r]
        for i, budget in enumerate(problem.client_budget[:, r].tolist()):
            cost = costs[ends[i] : ends[i + 1]]
            if cost.sum() > budget:
                unit = power_of_two_below(float(cost.max()))
                columns = np.arange(ends[i], ends[i + 1])
                yield Row(columns, cost / unit, Sense.AT_MOST, budget * (1.0 + ROOM) / unit)


def _expert_rows(
    problem: AlignmentProblem, model: Model, elastic_column: dict[tuple[int, Sense], int]
) -> Iterator[tuple[int, Row]]:
    """Load per expert: hard, or with a column for what is over or short."""
    bounds = problem.experts
    room = 0.0 if problem.client_load is None else ROOM
    order = np.argsort(model.experts, kind="stable")
    ends = np.searchsorted(model.experts[order], np.arange(problem.num_experts + 1))
    for j, unit in enumerate(model.load_unit.tolist()):
        columns = order[ends[j] : ends[j + 1]]
        load = model.load[columns]
        if bounds.hard_capacity[j]:
            limit = float(bounds.most[j])
            if load.sum() > limit:
                yield j, Row(columns, load / unit, Sense.AT_MOST, limit * (1.0 + room) / unit)
        if bounds.hard_demand[j]:
            yield j, Row(columns, load / unit, Sense.AT_LEAST, float(bounds.least[j]) * (1.0 - FEASIBILITY) / unit)
        for sense in _soft_sides(problem, j):
            limit = float((bounds.capacity if sense is Sense.AT_MOST else bounds.demand)[j])
            own = elastic_column[j, sense]
            weights = np.append(load / unit, float(sense))
            yield j, Row(np.append(columns, own), weights, sense, limit / unit)

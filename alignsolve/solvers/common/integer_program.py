"""The integer program of an alignment problem: one description for all back ends and file formats.

The columns are pairs of a client and an expert, by client, then by expert. A column is 1 where the pair is taken. The
rows come in kinds: the experts of a client, those of a client and group, what a client spends of a resource, and the
load of an expert. Every pair stands in exactly one row of each kind. Soft bounds are kinds of their own. Sets of
experts are kinds too, each with sets that are disjoint, and with one more row, without bounds, for all other pairs.

Nothing is scaled, rounded or left out here. Each back end does that in its own way: :mod:`alignsolve.solvers.ilp.model`
scales rows to size 1, :mod:`alignsolve.solvers.cpsat.whole` rounds them, and file formats take them as they are.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any

import numpy as np

from alignsolve.data.expert_sets import ExpertSets
from alignsolve.numerics import BoolArray, FloatArray, IntArray
from alignsolve.problem import AlignmentProblem


class Verdict(Enum):
    """What a back end knows when it returns, or on its way."""

    OPTIMAL = auto()
    INCUMBENT = auto()
    INFEASIBLE = auto()
    NOTHING = auto()


@dataclass(frozen=True)
class Reply:
    """What a back end replied, not yet judged.

    Attributes
    ----------
    status
        Its own status.
    told
        The status in its own words.
    feasible
        Whether it calls ``values`` feasible.
    values
        (num_columns,) the columns' values, if there are any.
    duals
        (num_rows,) the rows' duals, if there are any.
    objective
        Of ``values``, minimised.
    bound
        No whole solution has a lower objective; −inf if the back end told none.
    """

    status: Any
    told: str
    feasible: bool = False
    values: FloatArray | None = None
    duals: FloatArray | None = None
    objective: float = math.inf
    bound: float = -math.inf


@dataclass(frozen=True)
class RowKind:
    """The rows of one kind: least ≤ Σ coefficient·pair ≤ most.

    Attributes
    ----------
    name
        What the rows bound: "client", "group", "expert", "soft_capacity", "soft_demand" or "budget_r" of resource r;
        of disjoint sets k "set_k", "setcapacity_k" or "setdemand_k", the last two soft.
    shape
        How the rows are numbered: (num_clients,), (num_experts,), (num_clients, num_groups) or (num_sets + 1,).
    row
        (num_pairs,) the row that each pair stands in.
    coefficient
        (num_pairs,) its coefficient there.
    least, most
        (num_rows,) the bounds; −inf and inf where there is none.
    penalty
        (num_rows,) the price of a unit beyond the bound, for soft kinds; None: the bounds are hard.
    """

    name: str
    shape: tuple[int, ...]
    row: IntArray
    coefficient: FloatArray
    least: FloatArray
    most: FloatArray
    penalty: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.least)

    def row_names(self) -> list[str]:
        """``client_0``, ``client_1``, …; ``group_0_0``, …: the kind and the row's numbers."""
        return ["_".join(map(str, (self.name, *place))) for place in np.ndindex(*self.shape)]

    def totals(self) -> FloatArray:
        """(num_rows,) the sum of the coefficients: what the row reaches when all its pairs are taken."""
        return np.bincount(self.row, weights=self.coefficient, minlength=len(self)).astype(np.float64, copy=False)

    def units(self) -> FloatArray:
        """(num_rows,) the power of two below the largest coefficient; 1 where all are 0."""
        largest = np.zeros(len(self))
        np.maximum.at(largest, self.row, self.coefficient)
        return np.array([power_of_two_below(size) for size in largest.tolist()])

    def divided(self, units: FloatArray) -> "RowKind":
        """Return the same rows, each divided by its unit."""
        return replace(
            self, coefficient=self.coefficient / units[self.row], least=self.least / units, most=self.most / units
        )


@dataclass(frozen=True)
class IntegerProgram:
    """Maximise value·pairs over 0 and 1, within the rows.

    Attributes
    ----------
    clients, experts
        (num_pairs,) the pair of each column.
    value
        (num_pairs,) fitness minus switching cost.
    required
        (num_pairs,) whether the pair must be taken.
    kinds
        The rows, kind by kind.
    """

    clients: IntArray
    experts: IntArray
    value: FloatArray
    required: BoolArray
    kinds: tuple[RowKind, ...]

    def kind(self, name: str) -> RowKind | None:
        """The rows of this name, if the problem has any."""
        return next((kind for kind in self.kinds if kind.name == name), None)


def describe(problem: AlignmentProblem, allowed: BoolArray) -> IntegerProgram:
    """Describe a problem of either class.

    Parameters
    ----------
    allowed
        (num_clients, num_experts) the pairs that get a column.
    """
    clients, experts = np.nonzero(allowed)
    required = (
        np.zeros(len(clients), dtype=np.bool_) if problem.required is None else problem.required[clients, experts]
    )
    return IntegerProgram(
        clients=clients,
        experts=experts,
        value=problem.values()[clients, experts].astype(np.float64),
        required=required,
        kinds=tuple(_kinds(problem, clients, experts)),
    )


def by_columns(kinds: tuple[RowKind, ...]) -> tuple[IntArray, IntArray, FloatArray]:
    """Lay rows out by columns: the start of each column, and the rows and coefficients of its entries.

    Every pair has one entry of each kind, so that nothing needs sorting. Rows are numbered in the order of the kinds.
    """
    first = np.cumsum([0, *(len(kind) for kind in kinds)])
    index = np.stack([kind.row + at for kind, at in zip(kinds, first, strict=False)], axis=1)
    value = np.stack([kind.coefficient for kind in kinds], axis=1)
    start = np.arange(len(index) + 1) * len(kinds)
    return start, index.ravel(), value.ravel()


def power_of_two_below(size: float) -> float:
    """The largest power of two that is at most ``size``; 1 for 0."""
    return 1.0 if size == 0 else math.ldexp(1.0, math.frexp(size)[1] - 1)


def _kinds(problem: AlignmentProblem, clients: IntArray, experts: IntArray) -> Iterator[RowKind]:
    num_clients, num_experts = problem.shape
    ones = np.ones(len(clients))
    demand, capacity = problem.client_demand.astype(np.float64), problem.client_capacity.astype(np.float64)
    yield RowKind("client", (num_clients,), clients, ones, demand, capacity)
    if problem.num_groups:
        group = clients * problem.num_groups + problem.expert_group[experts]
        least, most = (part.astype(np.float64).ravel() for part in (problem.group_demand, problem.group_capacity))
        yield RowKind("group", (num_clients, problem.num_groups), group, ones, least, most)
    load = ones if problem.client_load is None else problem.client_load[clients, experts]
    bounds = problem.experts
    yield RowKind("expert", (num_experts,), experts, load, bounds.least, bounds.most)
    yield from _soft_kinds(problem, experts, load)
    for r in range(0 if problem.client_budget is None else problem.client_budget.shape[1]):
        cost, budget = problem.expert_cost[clients, experts, r], problem.client_budget[:, r]
        yield RowKind(f"budget_{r}", (num_clients,), clients, cost, np.full(num_clients, -np.inf), budget)
    if problem.sets is not None:
        for k, some in enumerate(problem.sets.disjoint):
            yield from _set_kinds(problem.sets, k, some, experts, load)


def _set_kinds(sets: ExpertSets, k: int, some: IntArray, experts: IntArray, load: FloatArray) -> Iterator[RowKind]:
    """Hard and soft bounds of some disjoint sets; rows of other sets, and the last row, have none."""
    bounds, others = sets.bounds, len(sets)
    place, listed = np.full(sets.members.shape[1], others), np.zeros(others + 1, dtype=np.bool_)
    listed[some] = True
    for s in some:
        place[sets.members[s]] = s
    row, shape, none = place[experts], (others + 1,), np.full(others + 1, np.inf)

    def own(values: FloatArray, missing: float) -> FloatArray:
        return np.where(listed, np.append(values, missing), missing)

    yield RowKind(f"set_{k}", shape, row, load, own(bounds.least, -np.inf), own(bounds.most, np.inf))
    over = np.append(np.isfinite(bounds.overload) & np.isfinite(bounds.capacity), False) & listed
    if over.any():
        most, penalty = own(bounds.capacity, np.inf), own(bounds.overload, np.inf)
        most, penalty = np.where(over, most, np.inf), np.where(over, penalty, np.inf)
        yield RowKind(f"setcapacity_{k}", shape, row, load, -none, most, penalty)
    short = np.append(np.isfinite(bounds.shortfall) & (bounds.demand > 0), False) & listed
    if short.any():
        least, penalty = own(bounds.demand, -np.inf), own(bounds.shortfall, np.inf)
        least, penalty = np.where(short, least, -np.inf), np.where(short, penalty, np.inf)
        yield RowKind(f"setdemand_{k}", shape, row, load, least, none, penalty)


def _soft_kinds(problem: AlignmentProblem, experts: IntArray, load: FloatArray) -> Iterator[RowKind]:
    """Bounds of experts that may be missed at a penalty, capacities and demands apart."""
    shape, none = (problem.num_experts,), np.full(problem.num_experts, np.inf)
    bounds = problem.experts
    over = np.isfinite(bounds.overload) & np.isfinite(bounds.capacity)
    if over.any():
        most = np.where(over, bounds.capacity, np.inf)
        yield RowKind("soft_capacity", shape, experts, load, -none, most, np.where(over, bounds.overload, np.inf))
    short = np.isfinite(bounds.shortfall) & (bounds.demand > 0)
    if short.any():
        least = np.where(short, bounds.demand, -np.inf)
        yield RowKind("soft_demand", shape, experts, load, least, none, np.where(short, bounds.shortfall, np.inf))

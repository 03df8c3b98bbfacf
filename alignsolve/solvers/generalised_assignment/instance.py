"""A generalised assignment problem as arrays for its search: costs to minimise, exactly one expert for each client.

A client that may go without an expert gets one more expert, "nobody", which costs nothing and has unlimited capacity.
"""

import math
from dataclasses import dataclass

import numpy as np

from alignsolve.certificate.violations import violations
from alignsolve.data.alignment import Alignment
from alignsolve.numerics import (
    FEASIBILITY,
    MAX_INTEGER,
    OPTIMALITY,
    BoolArray,
    FloatArray,
    IntArray,
    Number,
    relative_gap,
)
from alignsolve.problem import AlignmentProblem

LARGEST_WHOLE = MAX_INTEGER // 4
"""Largest sum of whole costs: a bound and the next whole number above it are different floats."""
PAIRS = 40_000
"""Pairs (clients × experts) up to which this search is worth its time."""
ROOM = FEASIBILITY / (1.0 - FEASIBILITY)
"""A load may exceed a bound by 1e-9 of the larger of the two, which is the load itself."""


def assignment_like(problem: AlignmentProblem) -> bool:
    """Whether a problem is one of generalised assignment, of a size that this search is made for.

    Every client takes one expert, or at most one. Loads are weighted. Experts have hard capacities, no demands and no
    soft bounds. There are no groups and no budgets.
    """
    if problem.client_load is None or problem.client_budget is not None or problem.expert_group is not None:
        return False
    bounds = problem.experts
    soft = np.isfinite(problem.overload_penalty) & np.isfinite(problem.expert_capacity)
    plain = not (bounds.hard_demand.any() or soft.any() or (problem.expert_demand > 0).any())
    one = bool((problem.client_capacity == 1).all() and (problem.client_demand <= 1).all())
    return plain and one and problem.num_clients * problem.num_experts <= PAIRS


@dataclass(frozen=True, eq=False)
class Instance:
    """Minimise Σ cost over one expert for each client, with loads within capacities.

    Attributes
    ----------
    cost
        (num_clients, num_experts) float64, minus the value of the pair; inf where it is closed.
    load
        (num_clients, num_experts) float64, 0 where closed.
    capacity
        (num_experts,) the most that the search lets a load reach: far enough within the tolerance that the order of
        summing does not matter.
    most
        (num_experts,) no feasible load exceeds it; the same as capacity for whole loads.
    whole
        Whether all costs are whole numbers whose sums are exact.
    whole_loads
        Whether all loads are whole numbers.
    """

    problem: AlignmentProblem
    cost: FloatArray
    load: FloatArray
    capacity: FloatArray
    most: FloatArray
    whole: bool
    whole_loads: bool

    @property
    def shape(self) -> tuple[int, int]:
        """Clients and experts, "nobody" included."""
        return self.cost.shape[0], self.cost.shape[1]

    @property
    def open(self) -> BoolArray:
        """(num_clients, num_experts) the pairs that may be taken."""
        opened: BoolArray = np.isfinite(self.cost)
        return opened

    def value(self, chosen: IntArray) -> float:
        """Cost of an alignment, (num_clients,) experts."""
        return float(self.cost[np.arange(len(chosen)), chosen].sum())

    def fits(self, chosen: IntArray) -> bool:
        """Whether the problem's own check finds no violation."""
        return not violations(self.problem, self.alignment(chosen))

    def alignment(self, chosen: IntArray) -> Alignment:
        """Return the alignment for the problem; a client with "nobody" has no expert."""
        real = np.flatnonzero(chosen < self.problem.num_experts)
        return Alignment.from_pairs(real, chosen[real], self.problem.num_clients)

    def chosen(self, alignment: Alignment) -> IntArray | None:
        """Read an alignment; None if it is not feasible for this problem."""
        if violations(self.problem, alignment):
            return None
        chosen = np.full(self.problem.num_clients, self.problem.num_experts)
        chosen[alignment.clients()] = alignment.experts
        return chosen

    def rounded(self, lower: float) -> Number:
        """Round a bound on the cost up to the next cost that is possible: whole costs add up to whole numbers."""
        return int(np.ceil(lower)) if self.whole and np.isfinite(lower) else lower

    def proves(self, lower: float, value: float) -> bool:
        """Whether nothing is cheaper than ``value``, given that nothing is cheaper than ``lower``.

        Costs that are not whole are compared with the tolerance of a proof, as rounding alone keeps them apart.
        """
        if self.whole:
            return self.rounded(lower) >= value
        return math.isfinite(value) and relative_gap(-lower, -value) <= OPTIMALITY


def read(problem: AlignmentProblem) -> Instance:
    """Write a problem that is :func:`assignment_like` as arrays."""
    n, e = problem.shape
    opened = np.ones((n, e), dtype=np.bool_) if problem.eligible is None else problem.eligible.copy()
    if problem.required is not None:
        bound = problem.required.any(axis=1)
        opened[bound] &= problem.required[bound]
    load = np.where(opened, problem.client_load, 0.0)
    most = problem.experts.most * (1.0 + ROOM)
    opened &= load <= most
    free = problem.client_demand == 0
    if problem.required is not None:
        free = free & ~bound
    cost = np.full((n, e), np.inf)
    cost[opened] = -problem.values()[opened].astype(np.float64)
    cost = np.column_stack([cost, np.where(free, 0.0, np.inf)]) if free.any() else cost
    load = np.where(opened, load, 0.0)
    whole_loads = bool((load == np.floor(load)).all())
    most = np.where(np.isfinite(most), most, load.sum(axis=0))
    most = np.floor(most) if whole_loads else most
    capacity = most if whole_loads else np.minimum(most, problem.experts.most * (1.0 + 0.5 * ROOM))
    if free.any():
        load = np.column_stack([load, np.zeros(n)])
        capacity, most = np.append(capacity, 0.0), np.append(most, 0.0)
    finite = np.isfinite(cost)
    largest = np.abs(np.where(finite, cost, 0.0)).max(axis=1, initial=0.0).sum()
    whole = problem.integral and bool(largest <= LARGEST_WHOLE)
    return Instance(problem, cost, np.ascontiguousarray(load), capacity, most, whole, whole_loads)

"""Budgets that are counts of experts, and budgets that never bind, are dropped.

A resource is dropped if in every client's row one of these holds:

- No choice that the row's other bounds allow can exceed the budget: the budget never binds.
- All eligible experts cost the same: the budget is a number of experts, at most this ``client_capacity``.
- Only the experts of one group cost something, and these cost the same: a ``group_capacity``.

A problem without resources is of the cardinality class, if its loads are counts too. Costs that differ by a rounding
are not the same. Groups of several costs are a knapsack of their own, and stay one.
"""

from dataclasses import dataclass

import numpy as np

from alignsolve.data.validation import unspread
from alignsolve.numerics import BoolArray, FloatArray, IntArray
from alignsolve.presolve.reduction import Reduction, Rewritten, able, changed, portions
from alignsolve.presolve.spending import dearest, holds, largest_count
from alignsolve.problem import AlignmentProblem
from alignsolve.subproblem.counted_budgets import places_of


def count_budgets(problem: AlignmentProblem) -> Reduction | None:
    """Drop the resources that are counts or never bind; None if there are none."""
    if problem.client_budget is None:
        return None
    limits = Limits.of(problem)
    left = list(range(problem.client_budget.shape[1]))
    # A resource that became a count leaves less to spend of the others, so these are looked at again.
    while True:
        kept = []
        for r in left:
            tightened = _without(problem, r, limits)
            if tightened is None:
                kept.append(r)
            else:
                limits = tightened
        if kept == left or not kept:
            break
        left = kept
    dropped = problem.client_budget.shape[1] - len(kept)
    if not dropped or not limits.leave_a_choice(problem):
        return None
    told = f"{dropped} of {problem.client_budget.shape[1]} budgets are counts of experts or never bind"
    simpler = changed(problem, **limits.fields(), **_resources(problem, kept))
    by_all = not kept and _are_counted_by_all(problem, limits)
    return Rewritten(simpler, told, proves_more=True, only_by_rounding=by_all)


def _are_counted_by_all(problem: AlignmentProblem, limits: "Limits") -> bool:
    """Whether the bound of prices counts the budgets as well: then it proves as much of the problem before."""
    if limits.group is not None and not np.array_equal(limits.group, problem.group_capacity):
        return False
    places = places_of(problem.expert_cost, problem.client_budget)
    if places is None:
        return False
    e = problem.num_experts
    return np.array_equal(np.minimum(limits.client, e), np.minimum(np.minimum(problem.client_capacity, places), e))


@dataclass(frozen=True, eq=False)
class Limits:
    """Most experts per client, (n,), and per client and group, (n, num_groups); None without groups."""

    client: IntArray
    group: IntArray | None

    @classmethod
    def of(cls, problem: AlignmentProblem) -> "Limits":
        """The limits of a problem."""
        return cls(problem.client_capacity, problem.group_capacity)

    def fields(self) -> dict[str, IntArray | None]:
        """The fields of a problem with these limits."""
        return {"client_capacity": self.client, "group_capacity": self.group}

    def leave_a_choice(self, problem: AlignmentProblem) -> bool:
        """Whether the demands of each row fit its limits; a row that contradicts itself is left to its witness."""
        least = problem.client_demand
        if problem.required is not None:
            least = np.maximum(least, problem.required.sum(axis=1))
        if self.group is not None:
            needed = problem.group_demand
            if problem.required is not None:
                in_group = [problem.required[:, problem.expert_group == g].sum(axis=1) for g in range(needed.shape[1])]
                needed = np.maximum(needed, np.stack(in_group, axis=1))
            if (needed > self.group).any():
                return False
            least = np.maximum(least, needed.sum(axis=1))
        return bool((least <= self.client).all())


def _without(problem: AlignmentProblem, r: int, limits: Limits) -> Limits | None:
    """Return the limits that stand for resource r; None if it is neither a count nor idle in some row."""
    client = limits.client.copy()
    group = None if limits.group is None else limits.group.copy()
    for rows in portions(problem):
        part = _Rows(
            cost=problem.expert_cost[rows, :, r],
            budget=problem.client_budget[rows, r],
            possible=able(problem, rows),
            capacity=limits.client[rows],
            group=problem.expert_group,
            group_capacity=None if limits.group is None else limits.group[rows],
            all_possible=problem.eligible is None,
        )
        if not part.tighten(client[rows], None if group is None else group[rows]):
            return None
    return Limits(client, group)


@dataclass(frozen=True, eq=False)
class _Rows:
    """One resource of some clients: (n, num_experts) costs, (n,) budgets and the other bounds."""

    cost: FloatArray
    budget: FloatArray
    possible: BoolArray
    capacity: IntArray
    group: IntArray | None
    group_capacity: IntArray | None
    all_possible: bool

    def tighten(self, client: IntArray, group: IntArray | None) -> bool:
        """Lower the limits, in place, to what the budgets pay for; return whether this says all of the budgets."""
        low, high = self._extremes(slice(None))
        binding = np.isfinite(self.budget) & (high > 0)
        # All eligible experts cost the same.
        same = binding & (low == high)
        self._lower(client, same, high)
        binding &= ~same
        # Only one group costs something, and its experts cost the same.
        if self.group is not None and group is not None and binding.any():
            binding &= ~self._tighten_groups(group, binding)
        # The dearest choice can be paid for.
        rows = np.flatnonzero(binding)
        if not len(rows):
            return True
        return bool(holds(self._most_spent(rows), self.budget[rows]).all())

    def _extremes(self, experts: slice | BoolArray) -> tuple[FloatArray, FloatArray]:
        """Lowest and highest cost of each client among some experts; inf and −inf where none is eligible."""
        if self.all_possible:
            some = (self.cost[:1] if self.cost.strides[0] == 0 else self.cost)[:, experts]  # costs spread over clients
            low, high = some.min(axis=1, initial=np.inf), some.max(axis=1, initial=-np.inf)
            return np.broadcast_to(low, len(self.cost)), np.broadcast_to(high, len(self.cost))
        cost, possible = self.cost[:, experts], self.possible[:, experts]
        low = np.where(possible, cost, np.inf).min(axis=1, initial=np.inf)
        return low, np.where(possible, cost, -np.inf).max(axis=1, initial=-np.inf)

    def _lower(self, limit: IntArray, rows: BoolArray, cost: FloatArray) -> None:
        """Lower the limits of some rows, whose experts cost the same, to what their budgets pay for."""
        most = np.minimum(limit[rows], self.cost.shape[1])
        limit[rows] = np.minimum(limit[rows], largest_count(cost[rows], self.budget[rows], most))

    def _tighten_groups(self, group: IntArray, binding: BoolArray) -> BoolArray:
        """Lower the limits of groups that alone cost something; return the rows where this says all."""
        assert self.group is not None
        extremes = [self._extremes(self.group == g) for g in range(group.shape[1])]
        costly = np.stack([high > 0 for _, high in extremes], axis=1)
        alone = binding & (costly.sum(axis=1) == 1)
        for g, (low, high) in enumerate(extremes):
            rows = alone & costly[:, g] & (low == high)
            self._lower(group[:, g], rows, high)
            alone &= rows | ~costly[:, g]
        return alone

    def _most_spent(self, rows: IntArray) -> FloatArray:
        """The spending of the dearest choice that the other bounds allow, or more."""
        cost, possible = self.cost[rows], self.possible[rows]
        spent = dearest(cost, possible, self.capacity[rows])
        if self.group is None or self.group_capacity is None:
            return spent
        by_group = np.zeros(len(rows))
        for g in range(self.group_capacity.shape[1]):
            members = self.group == g
            by_group += dearest(cost[:, members], possible[:, members], self.group_capacity[rows, g])
        return np.minimum(spent, by_group * (1.0 + 2.0 * self.group_capacity.shape[1] * np.finfo(np.float64).eps))


def _resources(problem: AlignmentProblem, kept: list[int]) -> dict[str, FloatArray | None]:
    """Budgets and costs of some resources; what is spread over clients or experts stays so."""
    if not kept:
        return {"client_budget": None, "expert_cost": None}
    resources = problem.client_budget.shape[1]
    cost = unspread(problem.expert_cost)
    cost = cost if cost.shape[2] == 1 and resources > 1 else cost[:, :, kept]
    return {
        "client_budget": problem.client_budget[:, kept],
        "expert_cost": np.broadcast_to(cost, (*problem.shape, len(kept))),
    }

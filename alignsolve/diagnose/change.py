"""A repair as a list of changes, computed from an alignment that breaks some bounds.

Each broken bound changes by exactly the amount that the alignment needs. So the alignment is feasible for the repaired
problem.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from alignsolve.certificate.worth import loads_of
from alignsolve.data.alignment import Alignment
from alignsolve.data.labels import NAMES
from alignsolve.data.names import called
from alignsolve.diagnose.weights import Kind
from alignsolve.numerics import BoolArray, FloatArray, RealArray, slack
from alignsolve.problem import AlignmentProblem
from alignsolve.solution import Proof

OF_EXPERT = ("expert", "optional")
"""How the names of the kinds of change begin that belong to an expert."""


@dataclass(frozen=True)
class Change:
    """One bound that a repair changes.

    Attributes
    ----------
    kind
        Name of the problem's field that changes.
    place
        Index of the entry: (expert,), (set,), (client,), (client, group), (client, expert) or (client, resource).
    before, after
        The bound before and after the change; 1 and 0 for a required pair.
    weight
        Cost of one unit of change.
    names
        The words for what ``place`` says, such as ``client Ann``; empty: numbers.
    """

    kind: Kind
    place: tuple[int, ...]
    before: float
    after: float
    weight: float
    names: tuple[str, ...] = ()

    @property
    def amount(self) -> float:
        """The size of the change, 0 or more."""
        return abs(self.after - self.before)

    @property
    def cost(self) -> float:
        """The cost of the change: weight times amount."""
        return self.weight * self.amount

    def of(self, problem: AlignmentProblem, place: tuple[int, ...]) -> "Change":
        """Return the same change at another place, with the problem's words for it."""
        return replace(self, place=place, names=told(self.kind, place, problem))

    def __str__(self) -> str:
        first, *more = self.names or told(self.kind, self.place)
        if self.kind == "required":
            return f"let {first} go without {more[0]}, which it requires"
        owner, _, what = self.kind.partition("_")
        whose = first
        if owner == "group":
            whose = f"{first} in {more[0]}"
        elif what == "budget":
            what = f"budget of {more[0]}"
        if owner == "optional":
            what = "optional demand"
        verb = "raise" if self.after > self.before else "lower"
        return f"{verb} the {what} of {whose} from {self.before:.12g} to {self.after:.12g}"


def told(kind: Kind, place: tuple[int, ...], problem: AlignmentProblem | None = None) -> tuple[str, ...]:
    """Return the words for a place, one for each of its numbers; a problem knows the names."""
    clients, experts, sets = (None if problem is None else getattr(problem, names) for names in NAMES)
    if kind.startswith(OF_EXPERT):
        return (called(experts, "expert", place[0]),)
    if kind.startswith("set"):
        return (called(sets, "set", place[0]),)
    second = {"required": "expert", "client_budget": "resource"}.get(kind, "group")
    names = experts if second == "expert" else None
    return (called(clients, "client", place[0]), *(called(names, second, k) for k in place[1:]))


@dataclass(frozen=True, eq=False)
class Repair:
    """The cheapest way found to give the problem an alignment.

    Attributes
    ----------
    problem
        The repaired problem: the given problem with the changes applied.
    changes
        The changes; empty if the problem needs no repair.
    total
        Cost of the repair: Σ weight·amount over the changes.
    bound
        Lower bound on the cost of every repair.
    proof
        How the bound is proven to equal the total: by PRICES, by a back end's claim (SOLVER), or not at all (NONE; then
        ``bound`` is below ``total``).
    alignment
        An alignment that is feasible for the repaired problem; it need not be the best one.
    """

    problem: AlignmentProblem
    changes: tuple[Change, ...]
    total: float
    bound: float
    proof: Proof
    alignment: Alignment

    @property
    def gap(self) -> float:
        """Share of the total that a cheaper repair might save; 0 if no repair is cheaper."""
        return 0.0 if self.total <= self.bound else (self.total - self.bound) / self.total


def changes_for(
    problem: AlignmentProblem, alignment: Alignment, rows: BoolArray, weights: dict[Kind, FloatArray]
) -> tuple[Change, ...]:
    """Find the changes that make an alignment feasible.

    Parameters
    ----------
    problem
        The problem to repair.
    alignment
        An alignment that breaks only hard bounds and optional demands of experts, hard bounds of sets, and bounds of
        the clients in ``rows``.
    rows
        (num_clients,) bools: the clients whose bounds may change.
    weights
        Weights as returned by :meth:`Weights.spread`.
    """
    found: list[Change] = []
    for kind, broken, before, needed in _broken(problem, alignment, np.flatnonzero(rows)):
        for index in np.argwhere(broken):
            local = tuple(index.tolist())
            place = local if kind.startswith((*OF_EXPERT, "set")) else (int(np.flatnonzero(rows)[local[0]]), *local[1:])
            old, new = float(before[local]), float(needed[local])
            change = Change(kind, place, old, new, float(weights[kind][place]))
            found.append(change.of(problem, place))
    return tuple(found)


_Broken = tuple[Kind, BoolArray, RealArray, RealArray]


def _broken(problem: AlignmentProblem, alignment: Alignment, rows: Any) -> Iterator[_Broken]:
    """Yield, for each kind: the mask of broken bounds, the bounds, and the values that the alignment needs."""
    loads, bounds = loads_of(problem, alignment), problem.experts
    yield "expert_demand", bounds.shortfalls(loads) > 0, problem.expert_demand, loads
    yield "expert_capacity", bounds.overloads(loads) > 0, problem.expert_capacity, loads
    if problem.optional_demand is not None:
        yield "optional_demand", bounds.half_open(loads) > 0, problem.optional_demand, loads
    if problem.sets is not None:
        carried, bounds = problem.sets.loads(loads), problem.sets.bounds
        yield "set_demand", bounds.shortfalls(carried) > 0, problem.set_demand, carried
        yield "set_capacity", bounds.overloads(carried) > 0, problem.set_capacity, carried
    if not len(rows):
        return
    taken = np.zeros((len(rows), problem.num_experts), dtype=np.bool_)
    for k, i in enumerate(rows):
        taken[k, alignment.experts[alignment.indptr[i] : alignment.indptr[i + 1]]] = True
    yield from _two_sided("client", problem, rows, taken.sum(axis=1))
    if problem.expert_group is not None:
        in_group = problem.expert_group[:, None] == np.arange(problem.num_groups)
        yield from _two_sided("group", problem, rows, taken.astype(np.int64) @ in_group)
    if problem.required is not None:
        required = problem.required[rows]
        yield "required", required & ~taken, required, np.zeros_like(required)
    if problem.client_budget is not None:
        budget = problem.client_budget[rows]
        spent = np.where(taken[:, :, None], problem.expert_cost[rows], 0.0).sum(axis=1)
        yield "client_budget", spent - budget > slack(budget, spent), budget, spent


def _two_sided(owner: str, problem: AlignmentProblem, rows: Any, count: RealArray) -> Iterator[_Broken]:
    demand_kind: Kind = "client_demand" if owner == "client" else "group_demand"
    capacity_kind: Kind = "client_capacity" if owner == "client" else "group_capacity"
    demand, capacity = getattr(problem, demand_kind)[rows], getattr(problem, capacity_kind)[rows]
    yield demand_kind, count < demand, demand, count
    yield capacity_kind, count > capacity, capacity, count


def changed(problem: AlignmentProblem, changes: tuple[Change, ...]) -> AlignmentProblem:
    """Return the problem with the changes applied; the same object if there are none."""
    fields: dict[str, Any] = {}
    for change in changes:
        field = fields.setdefault(change.kind, np.array(getattr(problem, change.kind)))
        field[change.place] = change.after
    return replace(problem, **fields) if fields else problem


def total_cost(changes: tuple[Change, ...]) -> float:
    """Return the sum of the changes' costs."""
    return math.fsum(change.cost for change in changes)

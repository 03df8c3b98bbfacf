"""A repair and the changes that it is made of, read off an alignment that breaks some bounds.

Each bound gives way to exactly what the alignment needs, so that it is feasible for the repaired problem.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from alignsolve.certificate.worth import loads_of
from alignsolve.data.alignment import Alignment
from alignsolve.diagnose.weights import Kind
from alignsolve.numerics import BoolArray, FloatArray, RealArray, slack
from alignsolve.problem import AlignmentProblem
from alignsolve.solution import Proof


@dataclass(frozen=True)
class Change:
    """One bound that gives way.

    Attributes
    ----------
    kind
        The field of the problem that changes.
    place
        Which entry: (expert,), (client,), (client, group), (client, expert) or (client, resource), as in the field.
    before, after
        The bound; for a required pair 1 and 0.
    weight
        Price of one unit.
    """

    kind: Kind
    place: tuple[int, ...]
    before: float
    after: float
    weight: float

    @property
    def amount(self) -> float:
        """By how much the bound gives way, 0 or more."""
        return abs(self.after - self.before)

    @property
    def cost(self) -> float:
        """Weight times amount."""
        return self.weight * self.amount

    def __str__(self) -> str:
        if self.kind == "required":
            return f"let client {self.place[0]} go without expert {self.place[1]}, which it requires"
        owner, _, what = self.kind.partition("_")
        whose = f"{owner} {self.place[0]}"
        if owner == "group":
            whose = f"client {self.place[0]} in group {self.place[1]}"
        elif what == "budget":
            what, whose = f"budget of resource {self.place[1]}", f"client {self.place[0]}"
        verb = "raise" if self.after > self.before else "lower"
        return f"{verb} the {what} of {whose} from {self.before:.12g} to {self.after:.12g}"


@dataclass(frozen=True, eq=False)
class Repair:
    """The cheapest way found to give the problem an alignment.

    Attributes
    ----------
    problem
        The repaired problem: the same, with the changes made.
    changes
        Each bound that gives way; none where the problem needs no repair.
    total
        Σ weight·amount over the changes.
    bound
        No repair costs less.
    proof
        Who vouches that none is cheaper: prices, a back end's own word, or nobody (then ``bound`` is below ``total``).
    alignment
        An alignment that is feasible for the repaired problem; not its best one.
    """

    problem: AlignmentProblem
    changes: tuple[Change, ...]
    total: float
    bound: float
    proof: Proof
    alignment: Alignment

    @property
    def gap(self) -> float:
        """Share of the total that a cheaper repair might save, 0 where none is cheaper."""
        return 0.0 if self.total <= self.bound else (self.total - self.bound) / self.total


def changes_for(
    problem: AlignmentProblem, alignment: Alignment, rows: BoolArray, weights: dict[Kind, FloatArray]
) -> tuple[Change, ...]:
    """Find what must give way so that the alignment holds.

    Parameters
    ----------
    problem
        As it is.
    alignment
        Breaks hard bounds of experts, and of the clients in ``rows``; no others.
    rows
        (num_clients,) bools.
    weights
        As :meth:`Weights.spread` gives them.
    """
    found: list[Change] = []
    for kind, broken, before, needed in _broken(problem, alignment, np.flatnonzero(rows)):
        for index in np.argwhere(broken):
            local = tuple(index.tolist())
            place = local if kind.startswith("expert") else (int(np.flatnonzero(rows)[local[0]]), *local[1:])
            old, new = float(before[local]), float(needed[local])
            found.append(Change(kind, place, old, new, float(weights[kind][place])))
    return tuple(found)


_Broken = tuple[Kind, BoolArray, RealArray, RealArray]


def _broken(problem: AlignmentProblem, alignment: Alignment, rows: Any) -> Iterator[_Broken]:
    """For each kind: which bounds do not hold, what they are, and what they would have to be."""
    loads, bounds = loads_of(problem, alignment), problem.experts
    yield "expert_demand", bounds.shortfalls(loads) > 0, problem.expert_demand, loads
    yield "expert_capacity", bounds.overloads(loads) > 0, problem.expert_capacity, loads
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
    """Return the problem with the changes made; the same object where there are none."""
    fields: dict[str, Any] = {}
    for change in changes:
        field = fields.setdefault(change.kind, np.array(getattr(problem, change.kind)))
        field[change.place] = change.after
    return replace(problem, **fields) if fields else problem


def total_cost(changes: tuple[Change, ...]) -> float:
    """Sum what the changes cost."""
    return math.fsum(change.cost for change in changes)

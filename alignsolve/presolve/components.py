"""What falls apart: parts of a problem that no bound couples.

Clients are coupled by the experts with bounds for which they are eligible. An expert without bounds couples nobody and
can be in several parts. The groups of a client (the layers of a model) are coupled by its bounds over all groups and by
its budgets. Where no client's groups are coupled, each group is a problem of its own.

Parts that are too small to be worth a solver's start are packed together.
"""

from dataclasses import dataclass

import numpy as np

from alignsolve.numerics import BoolArray, IntArray
from alignsolve.problem import AlignmentProblem, ProblemClass

PART_PAIRS = {ProblemClass.CARDINALITY: 1 << 12, ProblemClass.GENERAL: 1 << 8}
"""Pairs (clients × experts) that a part should have at least. A search through alignments gains more than a flow."""

FIRST_CLIENTS = 1 << 8
"""Clients that usually couple all experts, so that the others need not be looked at."""


@dataclass(frozen=True, eq=False)
class Part:
    """Clients and experts, ascending, that are solved apart from the others.

    Attributes
    ----------
    clients, experts
        Indices in the problem that falls apart.
    group
        The group of all these experts, whose bounds are then the clients' own; None if groups are not solved apart.
    """

    clients: IntArray
    experts: IntArray
    group: int | None = None

    @property
    def pairs(self) -> int:
        """Number of pairs."""
        return len(self.clients) * len(self.experts)


def components(problem: AlignmentProblem) -> list[Part]:
    """Find the parts that nothing couples, in a fixed order; empty if the problem is a single one."""
    n, e = problem.shape
    if n * e < 2 * PART_PAIRS[problem.class_] or problem.sets is not None:  # sets couple their experts
        return []
    apart = n * e >= problem.num_groups * PART_PAIRS[problem.class_] and _groups_are_apart(problem)
    if not apart and _plainly_one(problem):
        return []
    groups = range(problem.num_groups) if apart else [None]
    parts = [part for group in groups for part in _packed(_components(problem, group), problem, group)]
    if len(parts) < 2 or not all(part.pairs for part in parts):
        return []  # experts whose bounds no client can serve are left to the solver's witness
    return parts


def _plainly_one(problem: AlignmentProblem) -> bool:
    """Whether it is clear from the first clients that all are coupled."""
    if problem.eligible is None:
        return True
    if not couples(problem).all():
        return False
    _, label = _labels(problem.eligible[:FIRST_CLIENTS])
    return not label.any()


def _groups_are_apart(problem: AlignmentProblem) -> bool:
    """Whether no client's bounds over all groups, and no budget, couple its groups."""
    if problem.num_groups < 2 or problem.client_budget is not None:
        return False
    if (problem.group_demand.sum(axis=1) < problem.client_demand).any():
        return False
    sizes = np.bincount(problem.expert_group, minlength=problem.num_groups)
    if problem.eligible is not None:
        members = [problem.eligible[:, problem.expert_group == g].sum(axis=1) for g in range(problem.num_groups)]
        sizes = np.stack(members, axis=1)
    return bool((np.minimum(problem.group_capacity, sizes).sum(axis=1) <= problem.client_capacity).all())


def _components(problem: AlignmentProblem, group: int | None) -> list[tuple[IntArray, IntArray]]:
    """Clients and bounded experts of each component among the experts of a group, or among all.

    Clients that are eligible only for experts without bounds come last, as one component without bounded experts.
    """
    experts = np.arange(problem.num_experts) if group is None else np.flatnonzero(problem.expert_group == group)
    bounded = experts[couples(problem)[experts]]
    everybody = np.arange(problem.num_clients)
    if problem.eligible is None:
        return [(everybody, bounded)] if len(experts) else []
    whole = len(bounded) == problem.num_experts
    client_label, expert_label = _labels(problem.eligible if whole else problem.eligible[:, bounded])
    found = [
        (np.flatnonzero(client_label == label), bounded[expert_label == label])
        for label in range(int(expert_label.max(initial=-1)) + 1)
    ]
    alone = everybody[client_label < 0]
    free = np.setdiff1d(experts, bounded)
    alone = alone[problem.eligible[np.ix_(alone, free)].any(axis=1)]
    return [*found, (alone, bounded[:0])] if len(alone) else found


def couples(problem: AlignmentProblem) -> BoolArray:
    """Which experts have a bound that couples clients, (num_experts,)."""
    coupling: BoolArray = np.isfinite(problem.expert_capacity) | (problem.expert_demand > 0)
    coupling |= problem.experts.opening > 0
    return coupling


def _labels(eligible: BoolArray) -> tuple[IntArray, IntArray]:
    """The component of each client (−1: it is eligible for none of the experts) and of each expert."""
    client, expert = (np.full(size, -1, dtype=np.int64) for size in eligible.shape)
    label = 0
    for first in range(len(expert)):
        if expert[first] >= 0:
            continue
        reached = np.array([first])
        while len(reached):
            expert[reached] = label
            rows = np.flatnonzero(client < 0)
            rows = rows[eligible[np.ix_(rows, reached)].any(axis=1)]
            client[rows] = label
            reached = np.flatnonzero((expert < 0) & eligible[rows].any(axis=0))
        label += 1
    return client, expert


def _packed(found: list[tuple[IntArray, IntArray]], problem: AlignmentProblem, group: int | None) -> list[Part]:
    """Join components, in their order, to parts of at least ``PART_PAIRS`` pairs, and add the unbounded experts."""
    free, enough = ~couples(problem), PART_PAIRS[problem.class_]
    if group is not None:
        free &= problem.expert_group == group
    packed: list[list[tuple[IntArray, IntArray]]] = []
    room = 0
    for clients, experts in found:
        if room <= 0:
            packed.append([])
            room = enough
        packed[-1].append((clients, experts))
        room -= len(clients) * (len(experts) + int(free.sum()))
    if room > 0 and len(packed) > 1:
        last = packed.pop()
        packed[-1] += last
    return [_part(problem, each, free, group) for each in packed]


def _part(
    problem: AlignmentProblem, joined: list[tuple[IntArray, IntArray]], free: BoolArray, group: int | None
) -> Part:
    """Join the components of one part, with the unbounded experts for which a client is eligible."""
    clients = np.sort(np.concatenate([each for each, _ in joined]))
    bounded = np.concatenate([each for _, each in joined])
    used = free if problem.eligible is None else free & problem.eligible[clients].any(axis=0)
    return Part(clients, np.sort(np.concatenate([bounded, np.flatnonzero(used)])), group)

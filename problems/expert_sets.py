"""Sets of experts that share bounds: servers that host experts, projects of lecturers, cells of regions.

A planted alignment, dealt evenly, meets all bounds, so that every instance is feasible. Popular experts are together in
few sets. So the bounds of these sets bind, while those of their experts often do not.
"""

import numpy as np

from alignsolve import AlignmentProblem
from alignsolve.numerics import BoolArray, FloatArray, IntArray
from problems.planted import SPREAD, around_mean, deal, device_tiers, loads
from problems.popular import popular_fitness


def servers(
    rng: np.random.Generator, *, num_clients: int, num_experts: int, hosted: int = 8, room: float = 0.05
) -> AlignmentProblem:
    """Servers that host up to ``hosted`` experts each: the load of a server is within a few per cent of its share.

    An expert alone may have half as much load again as its share.
    """
    capacity, planted = _dealt(rng, num_clients, num_experts)
    members = _in_turn(np.argsort(-rng.random(num_experts)), min(hosted, max(1, num_experts // 2)))
    in_sets = members @ planted
    return AlignmentProblem(
        popular_fitness(rng, num_clients, num_experts),
        client_capacity=capacity,
        client_demand=1,
        expert_capacity=np.ceil(1.5 * planted),
        expert_sets=members,
        set_capacity=np.ceil(in_sets * (1.0 + room)),
        set_demand=np.floor(in_sets * (1.0 - SPREAD)),
    )


def projects(
    rng: np.random.Generator, *, num_clients: int, num_experts: int, lecturers: int | None = None
) -> AlignmentProblem:
    """Students, projects and lecturers: each student gets one project, each lecturer supervises so many students.

    A project takes more students than its share; a lecturer has fewer places than its projects together. Students rank
    the projects: fitness is whole.
    """
    planted = loads(deal(rng, np.ones(num_clients, dtype=np.int64), num_experts), num_experts)
    lecturer = rng.integers(0, lecturers or max(1, num_experts // 3), num_experts)
    _, lecturer = np.unique(lecturer, return_inverse=True)
    members = lecturer[None, :] == np.arange(lecturer.max() + 1)[:, None]
    wish = popular_fitness(rng, num_clients, num_experts)
    return AlignmentProblem(
        wish.argsort(axis=1).argsort(axis=1).astype(np.int64),
        client_capacity=1,
        client_demand=1,
        expert_capacity=planted + 2,
        expert_sets=lecturer,
        set_capacity=members @ planted + 1,
    )


def nested(rng: np.random.Generator, *, num_clients: int, num_experts: int) -> AlignmentProblem:
    """Cells in regions in a network: experts share the bounds of a cell, and cells those of a region.

    The network's own demand is soft, and so are the capacities of cells.
    """
    capacity, planted = _dealt(rng, num_clients, num_experts)
    order = rng.permutation(num_experts)
    members = np.vstack([_in_turn(order, size) for size in (2, 4, num_experts)])
    in_sets, single = members @ planted, members.sum(axis=1) <= 2
    demand, most = around_mean(planted)
    return AlignmentProblem(
        popular_fitness(rng, num_clients, num_experts),
        client_capacity=capacity,
        client_demand=1,
        expert_capacity=most + 1,
        expert_demand=np.floor(demand / 2),
        expert_sets=members,
        set_capacity=np.ceil(in_sets * 1.1),
        set_demand=np.where(single, 0.0, np.floor(in_sets * 0.95)),
        set_overload_penalty=np.where(single, 0.25, np.inf),
        set_shortfall_penalty=np.where(members.all(axis=1), 0.5, np.inf),
    )


def crossing(rng: np.random.Generator, *, num_clients: int, num_experts: int) -> AlignmentProblem:
    """Experts on servers and of languages: every expert is in one set of each kind, so that the sets cross."""
    capacity, planted = _dealt(rng, num_clients, num_experts)
    members = np.vstack([_in_turn(rng.permutation(num_experts), 2) for _ in range(2)])
    in_sets = members @ planted
    return AlignmentProblem(
        np.round(popular_fitness(rng, num_clients, num_experts) * 1024).astype(np.int64),
        client_capacity=capacity,
        client_demand=1,
        expert_sets=members,
        set_capacity=np.ceil(in_sets * 1.05),
        set_demand=np.floor(in_sets * 0.9),
    )


def full_servers(rng: np.random.Generator, *, num_clients: int, num_experts: int) -> AlignmentProblem:
    """Servers that together have one place fewer than the clients need."""
    members = _in_turn(rng.permutation(num_experts), 2)
    share = np.full(len(members), num_clients // len(members))
    share[: num_clients % len(members)] += 1
    share[0] -= 1
    return AlignmentProblem(
        popular_fitness(rng, num_clients, num_experts), client_demand=1, expert_sets=members, set_capacity=share
    )


def greedy_servers(rng: np.random.Generator, *, num_clients: int, num_experts: int) -> AlignmentProblem:
    """A server that must have one client more than there are places for on its experts."""
    members = _in_turn(rng.permutation(num_experts), 2)
    places = np.ones(num_experts)
    return AlignmentProblem(
        popular_fitness(rng, num_clients, num_experts),
        expert_capacity=places,
        expert_sets=members,
        set_demand=np.where(np.arange(len(members)) == 0, members @ places + 1, 0.0),
    )


def _dealt(rng: np.random.Generator, num_clients: int, num_experts: int) -> tuple[IntArray, FloatArray]:
    """The clients' capacities, and the loads of a planted alignment."""
    capacity = device_tiers(rng, num_clients, num_experts)
    return capacity, loads(deal(rng, capacity, num_experts), num_experts)


def _in_turn(order: IntArray, size: int) -> BoolArray:
    """Put experts, in this order, into sets of a size; the last one may be smaller: (num_sets, num_experts)."""
    label = np.empty(len(order), dtype=np.int64)
    label[order] = np.arange(len(order)) // max(1, size)
    members: BoolArray = label[None, :] == np.arange(label.max() + 1)[:, None]
    return members

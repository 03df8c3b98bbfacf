"""Problems of the general class with features drawn at random: what a proof for that class has to close.

Nothing is chosen to be easy. Each problem has weighted loads, budgets, or both; half have layers, and half have soft
bounds. All are feasible: an alignment is planted, and hard bounds and budgets are drawn around it.
"""

from typing import Any

import numpy as np

from alignsolve import Alignment, AlignmentProblem
from alignsolve.numerics import FloatArray, IntArray
from problems.planted import around_mean, deal, device_tiers, loads
from problems.popular import popular_fitness

SLACK = 1.25
"""A budget pays for the planted experts and at most this factor more."""


def mixed(rng: np.random.Generator, *, num_clients: int, num_experts: int) -> AlignmentProblem:
    """Draw loads, budgets, layers, soft bounds and the kind of fitness, each by itself."""
    weighted, paid = [(True, False), (False, True), (True, True)][rng.integers(3)]
    layered, soft = bool(rng.integers(2)) and num_experts > 1, bool(rng.integers(2))
    given: dict[str, Any] = {}
    if layered:
        planted = _deal_by_layer(rng, num_clients, num_experts, given)
    else:
        capacity = device_tiers(rng, num_clients, num_experts)
        planted = deal(rng, capacity, num_experts)
        given |= {"client_capacity": capacity, "client_demand": 1}
    load = _loads(rng, num_clients) if weighted else None
    least, most = around_mean(loads(planted, num_experts, load))
    given |= {"client_load": load, "expert_demand": least, "expert_capacity": most}
    if soft:
        given |= {field: rng.uniform(0.1, 1.0, num_experts) for field in ("overload_penalty", "shortfall_penalty")}
    if paid:
        given |= _budgets(rng, planted, num_experts)
    return AlignmentProblem(_fitness(rng, num_clients, num_experts), **given)


def _deal_by_layer(rng: np.random.Generator, num_clients: int, num_experts: int, given: dict[str, Any]) -> Alignment:
    """Plant one or two experts in each of two layers, and write the clients' bounds."""
    group = np.arange(num_experts) * 2 // num_experts
    sizes = np.bincount(group)
    capacity = np.minimum(rng.integers(1, 3, size=(num_clients, 2)), sizes)
    planted = [deal(rng, capacity[:, g], size) for g, size in enumerate(sizes)]
    clients = np.concatenate([each.clients() for each in planted])
    experts = np.concatenate([planted[0].experts, planted[1].experts + sizes[0]])
    given |= {"client_capacity": capacity.sum(axis=1), "client_demand": 2}
    given |= {"expert_group": group, "group_capacity": capacity, "group_demand": 1}
    return Alignment.from_pairs(clients, experts, num_clients)


def _loads(rng: np.random.Generator, num_clients: int) -> FloatArray | IntArray:
    """Draw the clients' loads: small integers, or a fraction of a data set."""
    whole = rng.integers(1, 10, size=num_clients)
    return whole if rng.integers(2) else rng.lognormal(0.0, 0.5, size=num_clients)


def _budgets(rng: np.random.Generator, planted: Alignment, num_experts: int) -> dict[str, Any]:
    """Draw what experts cost in one or two resources, and budgets around what is planted."""
    resources = int(rng.integers(1, 3))
    cost = np.stack([rng.integers(8, 33, size=num_experts).astype(np.float64) for _ in range(resources)], axis=1)
    spent = np.zeros((planted.num_clients, resources))
    np.add.at(spent, planted.clients(), cost[planted.experts])
    return {"client_budget": spent * rng.uniform(1.0, SLACK, size=spent.shape), "expert_cost": cost}


def _fitness(rng: np.random.Generator, num_clients: int, num_experts: int) -> FloatArray | IntArray:
    """Draw fitness: uniform, with popular experts, or whole numbers with many ties."""
    kind = rng.integers(3)
    if kind == 0:
        return rng.random((num_clients, num_experts))
    if kind == 1:
        return popular_fitness(rng, num_clients, num_experts)
    return rng.integers(100, size=(num_clients, num_experts))

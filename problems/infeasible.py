"""Infeasible instances, with a function for each kind of reason; most are infeasible by one unit only.

Only the side that fails has bounds, so that there is only one reason. If clients demand nothing, no capacity can be
exceeded. If experts demand nothing, no demand can be missed.
"""

import numpy as np

from alignsolve import AlignmentProblem
from alignsolve.numerics import FloatArray
from problems.planted import balanced, device_tiers
from problems.popular import popular_fitness


def contradictory_row(rng: np.random.Generator, *, num_clients: int, num_experts: int) -> AlignmentProblem:
    """One client demands one expert more than it is eligible for."""
    i, demand = rng.integers(num_clients), min(2, num_experts)
    eligible = np.ones((num_clients, num_experts), dtype=np.bool_)
    eligible[i, demand - 1 :] = False
    client_demand = np.zeros(num_clients, dtype=np.int64)
    client_demand[i] = demand
    return AlignmentProblem(
        popular_fitness(rng, num_clients, num_experts),
        client_capacity=2,
        client_demand=client_demand,
        eligible=eligible,
    )


def unaffordable_row(rng: np.random.Generator, *, num_clients: int, num_experts: int) -> AlignmentProblem:
    """One client cannot pay for the cheapest expert, and every client demands one."""
    cost = 1.0 + rng.random(num_experts)
    budget = np.full(num_clients, 4.0)
    budget[rng.integers(num_clients)] = 0.9 * cost.min()
    return AlignmentProblem(
        popular_fitness(rng, num_clients, num_experts),
        client_capacity=num_experts,
        client_demand=1,
        client_budget=budget,
        expert_cost=cost,
    )


def scarce_clients(rng: np.random.Generator, *, num_clients: int, num_experts: int) -> AlignmentProblem:
    """Together the experts demand one client more than all clients have room for."""
    capacity = device_tiers(rng, num_clients, num_experts)
    return AlignmentProblem(
        popular_fitness(rng, num_clients, num_experts),
        client_capacity=capacity,
        expert_demand=_split(int(capacity.sum()) + 1, num_experts),
    )


def scarce_experts(rng: np.random.Generator, *, num_clients: int, num_experts: int) -> AlignmentProblem:
    """Together the clients demand one expert more than all experts have room for."""
    capacity = device_tiers(rng, num_clients, num_experts)
    return AlignmentProblem(
        popular_fitness(rng, num_clients, num_experts),
        client_capacity=capacity,
        client_demand=capacity,
        expert_capacity=_split(int(capacity.sum()) - 1, num_experts),
    )


def scarce_bytes(rng: np.random.Generator, *, num_clients: int, num_experts: int) -> AlignmentProblem:
    """Every client must place about a gigabyte, and the experts have room for 1 % less than all of them need."""
    load = 1_000_000_000 + rng.integers(0, 1_000, size=num_clients)
    return AlignmentProblem(
        popular_fitness(rng, num_clients, num_experts),
        client_demand=1,
        expert_capacity=0.99 * float(load.sum()) / num_experts,
        client_load=load,
    )


def crossed_bounds(rng: np.random.Generator, *, num_clients: int, num_experts: int) -> AlignmentProblem:
    """One expert demands one client more than its own capacity admits."""
    problem = balanced(rng, popular_fitness(rng, num_clients, num_experts), spread=0.5)
    demand = np.zeros(num_experts)
    j = rng.integers(num_experts)
    demand[j] = problem.expert_capacity[j] + 1
    return AlignmentProblem(
        problem.fitness,
        client_capacity=problem.client_capacity,
        expert_capacity=problem.expert_capacity,
        expert_demand=demand,
    )


def few_eligible(
    rng: np.random.Generator, *, num_clients: int, num_experts: int, share: float = 0.2
) -> AlignmentProblem:
    """A third of the experts have few eligible clients, and demand one client more than these have room for."""
    capacity = device_tiers(rng, num_clients, num_experts)
    wanted = -(-num_experts // 3)
    # Only the ``able`` clients are eligible for the first ``wanted`` experts, which demand one client too many.
    able = rng.permutation(num_clients)[: int(share * num_clients)]
    eligible = np.ones((num_clients, num_experts), dtype=np.bool_)
    eligible[:, :wanted] = False
    eligible[able, :wanted] = True
    demand = np.zeros(num_experts)
    demand[:wanted] = _split(int(np.minimum(capacity[able], wanted).sum()) + 1, wanted)
    return AlignmentProblem(
        popular_fitness(rng, num_clients, num_experts),
        client_capacity=capacity,
        expert_demand=demand,
        eligible=eligible,
    )


def narrow_layer(
    rng: np.random.Generator, *, num_clients: int, num_experts: int, num_layers: int = 4
) -> AlignmentProblem:
    """Every client needs an expert of each layer, but the first layer has room for all clients except one."""
    group = np.arange(num_experts) * min(num_layers, num_experts) // num_experts
    room = np.full(num_experts, np.inf)
    room[group == 0] = _split(num_clients - 1, int((group == 0).sum()))
    return AlignmentProblem(
        popular_fitness(rng, num_clients, num_experts),
        client_capacity=2 * num_layers,
        expert_capacity=room,
        expert_group=group,
        group_demand=1,
        group_capacity=2,
    )


def _split(total: int, parts: int) -> FloatArray:
    """Split a total into whole parts that differ by at most 1."""
    return (total // parts + (np.arange(parts) < total % parts)).astype(np.float64)

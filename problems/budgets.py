"""Clients pay for their experts from budgets of memory and time: a knapsack for each client."""

import numpy as np

from alignsolve import Alignment, AlignmentProblem
from alignsolve.numerics import FloatArray
from problems.planted import around_mean, deal, device_tiers, loads
from problems.popular import popular_fitness

MEGABYTE = 2.0**20


def memory_budget(rng: np.random.Generator, *, num_clients: int, num_experts: int) -> AlignmentProblem:
    """One budget, memory in bytes: experts differ in size, and devices in memory."""
    return _paid(rng, num_clients, _sizes(rng, num_experts)[:, None])


def memory_and_time_budgets(rng: np.random.Generator, *, num_clients: int, num_experts: int) -> AlignmentProblem:
    """Two budgets: bytes of memory, and seconds until the deadline for downloading and training."""
    sizes = _sizes(rng, num_experts)
    seconds_per_byte = 1.0 / (MEGABYTE * rng.lognormal(np.log(8.0), 0.5, size=num_clients))
    seconds_to_train = rng.uniform(2.0, 6.0, size=num_experts)
    slowness = rng.lognormal(0.0, 0.5, size=num_clients)
    cost = np.empty((num_clients, num_experts, 2))
    cost[:, :, 0] = sizes
    np.multiply.outer(seconds_per_byte, sizes, out=cost[:, :, 1])
    cost[:, :, 1] += np.multiply.outer(slowness, seconds_to_train)
    return _paid(rng, num_clients, cost)


def _sizes(rng: np.random.Generator, num_experts: int) -> FloatArray:
    """Draw the bytes of each expert: 8 to 32 whole megabytes."""
    return MEGABYTE * rng.integers(8, 33, size=num_experts).astype(np.float64)


def _paid(rng: np.random.Generator, num_clients: int, cost: FloatArray) -> AlignmentProblem:
    """Make a problem with popular experts; a budget pays for the client's planted experts and up to a quarter more."""
    num_experts, num_resources = cost.shape[-2:]
    planted = deal(rng, device_tiers(rng, num_clients, num_experts), num_experts)
    demand, most = around_mean(loads(planted, num_experts))
    return AlignmentProblem(
        popular_fitness(rng, num_clients, num_experts),
        client_capacity=num_experts,
        client_demand=1,
        expert_demand=demand,
        expert_capacity=most,
        client_budget=_spent(planted, cost) * rng.uniform(1.0, 1.25, size=(num_clients, num_resources)),
        expert_cost=cost,
    )


def _spent(planted: Alignment, cost: FloatArray) -> FloatArray:
    """Return the cost of every client's planted experts, (num_clients, num_resources)."""
    paid = cost[planted.experts] if cost.ndim == 2 else cost[planted.clients(), planted.experts]
    return np.add.reduceat(paid, planted.indptr[:-1], axis=0)

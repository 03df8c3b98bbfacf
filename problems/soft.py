"""Soft bounds: imbalance has a price per unit of load, and every new expert has a switching cost."""

import numpy as np

from alignsolve import AlignmentProblem
from problems.planted import deal, device_tiers
from problems.popular import popular_fitness


def soft(rng: np.random.Generator, *, num_clients: int, num_experts: int) -> AlignmentProblem:
    """Popular experts under soft bounds that are not whole, after a round in which clients held other experts."""
    capacity = device_tiers(rng, num_clients, num_experts)
    mean = capacity.sum() / num_experts
    return AlignmentProblem(
        popular_fitness(rng, num_clients, num_experts),
        client_capacity=capacity,
        client_demand=1,
        expert_capacity=1.1 * mean,
        expert_demand=0.9 * mean,
        overload_penalty=rng.uniform(0.1, 1.0, size=num_experts),
        shortfall_penalty=rng.uniform(0.1, 1.0, size=num_experts),
        previous=deal(rng, capacity, num_experts).to_dense(num_experts),
        switching_cost=rng.uniform(0.0, 0.3, size=num_experts),
    )

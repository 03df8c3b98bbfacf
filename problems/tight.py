"""All bounds are equations: demand equals capacity for every client and every expert."""

import numpy as np

from alignsolve import AlignmentProblem
from problems.planted import deal, device_tiers, loads


def tight(rng: np.random.Generator, *, num_clients: int, num_experts: int) -> AlignmentProblem:
    """Independent fitness in [−0.5, 0.5), so that some clients must take experts of negative fitness."""
    capacity = device_tiers(rng, num_clients, num_experts)
    exactly = loads(deal(rng, capacity, num_experts), num_experts)
    fitness = rng.random((num_clients, num_experts))
    fitness -= 0.5
    return AlignmentProblem(
        fitness, client_capacity=capacity, client_demand=capacity, expert_capacity=exactly, expert_demand=exactly
    )

"""Some pairs are required: the client must be assigned the expert, whatever the fitness."""

import math

import numpy as np

from alignsolve import AlignmentProblem
from problems.planted import around_mean, deal, device_tiers, loads
from problems.popular import popular_fitness


def required(rng: np.random.Generator, *, num_clients: int, num_experts: int, share: float = 0.1) -> AlignmentProblem:
    """Popular experts; a ``share`` of the pairs of a planted alignment is required, at least one pair."""
    capacity = device_tiers(rng, num_clients, num_experts)
    planted = deal(rng, capacity, num_experts)
    settled = rng.choice(len(planted.experts), size=math.ceil(share * len(planted.experts)), replace=False)
    pairs = np.zeros((num_clients, num_experts), dtype=np.bool_)
    pairs[planted.clients()[settled], planted.experts[settled]] = True
    demand, most = around_mean(loads(planted, num_experts))
    return AlignmentProblem(
        popular_fitness(rng, num_clients, num_experts),
        client_capacity=capacity,
        client_demand=1,
        expert_demand=demand,
        expert_capacity=most,
        required=pairs,
    )

"""Few pairs are eligible. The fitness of all others was never measured: it is NaN and must not be read."""

import numpy as np

from alignsolve import AlignmentProblem
from problems.planted import around_mean, deal, device_tiers, loads


def sparse(rng: np.random.Generator, *, num_clients: int, num_experts: int, density: float = 0.2) -> AlignmentProblem:
    """Independent fitness on a share ``density`` of the pairs, and on the pairs of a planted alignment."""
    capacity = device_tiers(rng, num_clients, num_experts)
    planted = deal(rng, capacity, num_experts)
    eligible = rng.random((num_clients, num_experts), dtype=np.float32) < density
    eligible[planted.clients(), planted.experts] = True
    fitness = rng.random((num_clients, num_experts))
    fitness[~eligible] = np.nan
    demand, most = around_mean(loads(planted, num_experts))
    return AlignmentProblem(
        fitness,
        client_capacity=capacity,
        client_demand=1,
        expert_demand=demand,
        expert_capacity=most,
        eligible=eligible,
    )

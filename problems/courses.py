"""Sparse: each client lists about twenty experts, as students list courses; a few experts are on most lists."""

import numpy as np
from scipy.sparse import csr_array

from alignsolve import AlignmentProblem
from problems.planted import around_mean, deal, device_tiers, loads


def courses(
    rng: np.random.Generator, *, num_clients: int, num_experts: int, listed: int = 20, skew: float = 0.7
) -> AlignmentProblem:
    """Lists drawn by Zipf's law, 1/rank^skew, and the pairs of a planted alignment; nothing of the full size is made.

    Fitness is a number in [0, 1) for each pair, plus the expert's popularity relative to the most popular one.
    """
    capacity = device_tiers(rng, num_clients, num_experts)
    planted = deal(rng, capacity, num_experts)
    popularity = rng.permutation(np.arange(1.0, num_experts + 1.0) ** -skew)
    chance = np.cumsum(popularity)
    drawn = np.searchsorted(chance, rng.random(num_clients * listed) * chance[-1])
    places = np.repeat(np.arange(num_clients), listed) * num_experts + np.minimum(drawn, num_experts - 1)
    places = np.unique(np.concatenate([places, planted.clients() * num_experts + planted.experts]))
    clients, experts = np.divmod(places, num_experts)
    fitness = rng.random(len(places)) + popularity[experts]
    indptr = np.searchsorted(clients, np.arange(num_clients + 1))
    demand, most = around_mean(loads(planted, num_experts))
    return AlignmentProblem(
        csr_array((fitness, experts.astype(np.int32), indptr), shape=(num_clients, num_experts)),
        client_capacity=capacity,
        client_demand=1,
        expert_demand=demand,
        expert_capacity=most,
    )

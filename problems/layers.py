"""Experts of several MoE layers: a client needs some in each, or it cannot run a forward pass."""

import numpy as np

from alignsolve import AlignmentProblem
from problems.planted import around_mean, deal, loads
from problems.popular import popular_fitness


def layers(rng: np.random.Generator, *, num_clients: int, num_experts: int, num_layers: int = 4) -> AlignmentProblem:
    """One or two experts of each layer for every client; loads balanced within each layer."""
    group = np.arange(num_experts) * min(num_layers, num_experts) // num_experts
    sizes = np.bincount(group)
    capacity = np.minimum(rng.integers(1, 3, size=(num_clients, 1)), sizes)
    demand, most = np.empty(num_experts), np.empty(num_experts)
    for g, size in enumerate(sizes):
        planted = deal(rng, capacity[:, g], size)
        demand[group == g], most[group == g] = around_mean(loads(planted, size))
    return AlignmentProblem(
        popular_fitness(rng, num_clients, num_experts),
        client_capacity=capacity.sum(axis=1),
        client_demand=len(sizes),
        expert_capacity=most,
        expert_demand=demand,
        expert_group=group,
        group_capacity=capacity,
        group_demand=1,
    )

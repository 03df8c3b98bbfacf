"""Experts of several MoE layers: a client needs at least one in each, or it cannot run a forward pass."""

import numpy as np

from alignsolve import AlignmentProblem, join_layers
from alignsolve.numerics import FloatArray
from problems.budgets import MEGABYTE
from problems.planted import around_mean, deal, loads
from problems.popular import popular_fitness


def layers(rng: np.random.Generator, *, num_clients: int, num_experts: int, num_layers: int = 4) -> AlignmentProblem:
    """One or two experts of each layer for every client; loads are balanced within each layer."""
    group = np.arange(num_experts) * min(num_layers, num_experts) // num_experts
    sizes = np.bincount(group)
    capacity = np.minimum(rng.integers(1, 3, size=(num_clients, 1)), sizes)
    # Plant an alignment in each layer, and set the layer's bounds around it.
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


def layers_under_one_budget(
    rng: np.random.Generator, *, num_clients: int, num_experts: int, num_layers: int = 4
) -> AlignmentProblem:
    """One memory budget for the experts of all layers: one or two experts of each layer; later layers are larger.

    A budget pays for the client's planted experts, one or two of each layer, and up to a quarter more.
    """
    num_layers = min(num_layers, num_experts)
    sizes = np.bincount(np.arange(num_experts) * num_layers // num_experts)
    spent = np.zeros(num_clients)
    parts: list[AlignmentProblem] = []
    costs: list[FloatArray] = []
    # One problem per layer, with a planted alignment. The planted experts' costs add up to the clients' spending.
    for k, size in enumerate(sizes):
        planted = deal(rng, np.minimum(rng.integers(1, 3, size=num_clients), size), size)
        demand, most = around_mean(loads(planted, size))
        cost = MEGABYTE * (k + 1) * rng.integers(4, 9, size=size)
        spent += np.add.reduceat(cost[planted.experts], planted.indptr[:-1])
        fitness = popular_fitness(rng, num_clients, size)
        parts.append(AlignmentProblem(fitness, 2, 1, most, demand))
        costs.append(cost)
    budget = spent * rng.uniform(1.0, 1.25, size=num_clients)
    return join_layers(parts, client_budget=budget, expert_costs=costs).problem

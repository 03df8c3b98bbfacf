"""Clients have different loads, in examples or bytes: a generalised assignment problem."""

import numpy as np

from alignsolve import AlignmentProblem
from alignsolve.numerics import RealArray
from problems.planted import around_mean, deal, device_tiers, loads
from problems.popular import popular_fitness


def weighted(rng: np.random.Generator, *, num_clients: int, num_experts: int) -> AlignmentProblem:
    """Small integer loads of the clients, 1..9."""
    return _loaded(rng, rng.integers(1, 10, size=num_clients), num_experts)


def weighted_bytes(rng: np.random.Generator, *, num_clients: int, num_experts: int) -> AlignmentProblem:
    """Integer loads of slightly more than a gigabyte; absolute tolerances for loads of about 1 do not work here."""
    return _loaded(rng, 1_000_000_000 + rng.integers(0, 1_000, size=num_clients), num_experts)


def _loaded(rng: np.random.Generator, load: RealArray, num_experts: int) -> AlignmentProblem:
    """Make a problem with popular experts, whose loads are bounded around their mean."""
    capacity = device_tiers(rng, len(load), num_experts)
    demand, most = around_mean(loads(deal(rng, capacity, num_experts), num_experts, load))
    return AlignmentProblem(
        popular_fitness(rng, len(load), num_experts),
        client_capacity=capacity,
        client_demand=1,
        expert_demand=demand,
        expert_capacity=most,
        client_load=load,
    )

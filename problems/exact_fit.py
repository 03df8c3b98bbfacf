"""Weighted loads that fill the capacities exactly, and all of which must be placed.

A comparison of floats without tolerance finds no room for them. All clients have the same load. So a feasible alignment
is easy to find, and only the arithmetic is hard.
"""

import numpy as np

from alignsolve import AlignmentProblem
from problems.planted import deal, device_tiers, loads
from problems.popular import popular_fitness


def exact_decimals(rng: np.random.Generator, *, num_clients: int, num_experts: int) -> AlignmentProblem:
    """Loads with two decimals: 0.1 + 0.1 + 0.1 is not 0.3 in floats, but it fits a capacity of 0.3."""
    return _fitting(rng, num_clients, num_experts, hundredths=int(rng.integers(1, 100)))


def exact_bytes(rng: np.random.Generator, *, num_clients: int, num_experts: int) -> AlignmentProblem:
    """Loads of slightly more than a gigabyte, in bytes."""
    return _fitting(rng, num_clients, num_experts, hundredths=100 * (1_000_000_000 + int(rng.integers(1, 1_000))))


def _fitting(rng: np.random.Generator, num_clients: int, num_experts: int, *, hundredths: int) -> AlignmentProblem:
    """Make a problem with popular experts whose capacities equal the loads that the clients must place."""
    capacity = device_tiers(rng, num_clients, num_experts)
    counts = loads(deal(rng, capacity, num_experts), num_experts)
    return AlignmentProblem(
        popular_fitness(rng, num_clients, num_experts),
        client_capacity=capacity,
        client_demand=capacity,
        expert_capacity=counts * hundredths / 100.0,
        client_load=np.full(num_clients, hundredths / 100.0),
    )

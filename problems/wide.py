"""Many experts and few places at each: prices on experts are as many as the clients, or more."""

import numpy as np

from alignsolve import AlignmentProblem
from alignsolve.numerics import IntArray
from problems import fitness as kinds

MOST = 4
"""Largest capacity of a client and of an expert."""


def wide(
    rng: np.random.Generator,
    *,
    num_clients: int,
    num_experts: int,
    per_client: int | None = None,
    per_expert: int | None = None,
    fitness: str = "uniform",
) -> AlignmentProblem:
    """Capacities of 1 to 4 on both sides, and no demands.

    ``per_client`` and ``per_expert`` are capacities that all have in common; without them, each client and each expert
    draws its own. ``fitness`` is a kind in ``problems.fitness.KINDS``.
    """
    return AlignmentProblem(
        kinds.draw(fitness, rng, num_clients, num_experts),
        client_capacity=_capacity(rng, num_clients, per_client),
        expert_capacity=_capacity(rng, num_experts, per_expert),
    )


def _capacity(rng: np.random.Generator, number: int, given: int | None) -> IntArray:
    """Return the capacities of so many clients or experts."""
    if given is not None:
        return np.full(number, given, dtype=np.int64)
    return rng.integers(1, MOST + 1, size=number)

"""Every client prefers the same few experts: a greedy choice leaves the others without clients; capacities bind."""

import numpy as np

from alignsolve import AlignmentProblem
from alignsolve.numerics import FloatArray
from problems.planted import balanced


def popular(rng: np.random.Generator, *, num_clients: int, num_experts: int, skew: float = 1.0) -> AlignmentProblem:
    """An expert's popularity by Zipf's law, 1/rank^skew, plus an independent number in [0, 1) for each pair."""
    return balanced(rng, popular_fitness(rng, num_clients, num_experts, skew))


def popular_fitness(rng: np.random.Generator, num_clients: int, num_experts: int, skew: float = 1.0) -> FloatArray:
    """Draw fitness with a few experts that most clients prefer, (num_clients, num_experts)."""
    fitness = rng.random((num_clients, num_experts))
    fitness += rng.permutation(np.arange(1.0, num_experts + 1.0) ** -skew)
    return fitness

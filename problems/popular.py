"""Every client wants the same few experts: greed starves the others, and the capacities bind."""

import numpy as np

from alignsolve import AlignmentProblem
from alignsolve.numerics import FloatArray
from problems.planted import balanced


def popular(rng: np.random.Generator, *, num_clients: int, num_experts: int, skew: float = 1.0) -> AlignmentProblem:
    """Zipf's popularity 1/rank^skew of the experts, plus a client's own taste in [0, 1)."""
    return balanced(rng, popular_fitness(rng, num_clients, num_experts, skew))


def popular_fitness(rng: np.random.Generator, num_clients: int, num_experts: int, skew: float = 1.0) -> FloatArray:
    """(num_clients, num_experts) fitness with a few experts that most clients prefer."""
    fitness = rng.random((num_clients, num_experts))
    fitness += rng.permutation(np.arange(1.0, num_experts + 1.0) ** -skew)
    return fitness

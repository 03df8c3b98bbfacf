"""Few distinct values: many optima, and augmenting paths of length zero everywhere."""

import numpy as np

from alignsolve import AlignmentProblem
from problems.planted import balanced


def ties(rng: np.random.Generator, *, num_clients: int, num_experts: int, num_values: int = 4) -> AlignmentProblem:
    """Fitness in 0, 1/num_values, … below 1."""
    fitness = rng.integers(num_values, size=(num_clients, num_experts)).astype(np.float64)
    fitness /= num_values
    return balanced(rng, fitness)

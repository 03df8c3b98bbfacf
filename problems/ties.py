"""Few distinct values: there are many optima and many augmenting paths of length zero."""

import numpy as np

from alignsolve import AlignmentProblem
from problems.planted import balanced


def ties(rng: np.random.Generator, *, num_clients: int, num_experts: int, num_values: int = 4) -> AlignmentProblem:
    """Fitness drawn from the multiples of 1/num_values from 0 to below 1."""
    fitness = rng.integers(num_values, size=(num_clients, num_experts)).astype(np.float64)
    fitness /= num_values
    return balanced(rng, fitness)

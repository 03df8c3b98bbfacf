"""One value is much larger than all others; scaling to integers or to [0, 1] would lose the others' digits.

The family also tests tolerances that are relative to the largest value.
"""

import numpy as np

from alignsolve import AlignmentProblem
from problems.planted import balanced


def outlier(rng: np.random.Generator, *, num_clients: int, num_experts: int, value: float = 1e9) -> AlignmentProblem:
    """Independent fitness in [0, 1), except ``value`` for one pair."""
    fitness = rng.random((num_clients, num_experts))
    fitness[rng.integers(num_clients), rng.integers(num_experts)] = value
    return balanced(rng, fitness)

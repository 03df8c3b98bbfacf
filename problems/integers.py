"""Integer fitness of both signs: all arithmetic is exact, and all exact solvers must find the same objective."""

import numpy as np

from alignsolve import AlignmentProblem
from problems.planted import balanced


def integers(rng: np.random.Generator, *, num_clients: int, num_experts: int, largest: int = 100) -> AlignmentProblem:
    """Independent integer fitness in −largest..largest."""
    return balanced(rng, rng.integers(-largest, largest + 1, size=(num_clients, num_experts)))

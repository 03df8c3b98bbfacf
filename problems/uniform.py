"""Uniformly random fitness, without any structure: the first family to try."""

import numpy as np

from alignsolve import AlignmentProblem
from problems.planted import balanced


def uniform(rng: np.random.Generator, *, num_clients: int, num_experts: int) -> AlignmentProblem:
    """Independent fitness in [0, 1)."""
    return balanced(rng, rng.random((num_clients, num_experts)))

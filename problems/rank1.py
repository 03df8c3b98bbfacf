"""Fitness a_i·b_j: all clients rank the experts in the same order, and differ only in the size of their fitness."""

import numpy as np

from alignsolve import AlignmentProblem
from problems.planted import balanced


def rank1(rng: np.random.Generator, *, num_clients: int, num_experts: int) -> AlignmentProblem:
    """Outer product of two vectors in [0, 1)."""
    return balanced(rng, np.outer(rng.random(num_clients), rng.random(num_experts)))

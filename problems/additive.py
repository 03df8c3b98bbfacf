"""Fitness a_i + b_j: a swap of experts between two clients changes nothing, the worst case for augmenting paths."""

import numpy as np

from alignsolve import AlignmentProblem
from problems.planted import balanced


def additive(rng: np.random.Generator, *, num_clients: int, num_experts: int) -> AlignmentProblem:
    """Sums of two vectors in [0, 1): in exact arithmetic the objective depends only on loads and client counts."""
    return balanced(rng, np.add.outer(rng.random(num_clients), rng.random(num_experts)))

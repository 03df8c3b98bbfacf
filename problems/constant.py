"""One fitness for all pairs: every feasible alignment of full size is optimal. In a first round all fitness is 0."""

import numpy as np

from alignsolve import AlignmentProblem
from problems.planted import balanced


def constant(rng: np.random.Generator, *, num_clients: int, num_experts: int, value: float = 0.5) -> AlignmentProblem:
    """Fitness ``value`` for all pairs."""
    return balanced(rng, np.full((num_clients, num_experts), value))


def zeros(rng: np.random.Generator, *, num_clients: int, num_experts: int) -> AlignmentProblem:
    """Fitness 0 everywhere, as in a first round: the objective is 0, and so is its bound."""
    return constant(rng, num_clients=num_clients, num_experts=num_experts, value=0.0)

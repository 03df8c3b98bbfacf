"""One client for one expert: the classical assignment problem, square and rectangular."""

import numpy as np

from alignsolve import AlignmentProblem
from problems import fitness as kinds
from problems.planted import deal, loads


def square(
    rng: np.random.Generator, *, num_clients: int, num_experts: int, fitness: str = "uniform"
) -> AlignmentProblem:
    """As many places as clients: every client has one expert, and every place is filled.

    With as many experts as clients each expert has one place, and the problem is the square assignment problem. With
    fewer, experts have several places; with more, some have none. ``fitness`` is a kind in ``problems.fitness.KINDS``.
    """
    one = np.ones(num_clients, dtype=np.int64)
    places = loads(deal(rng, one, num_experts), num_experts)
    return AlignmentProblem(
        kinds.draw(fitness, rng, num_clients, num_experts),
        client_capacity=1,
        client_demand=1,
        expert_capacity=places,
        expert_demand=places,
    )


def rectangular(
    rng: np.random.Generator, *, num_clients: int, num_experts: int, fitness: str = "uniform"
) -> AlignmentProblem:
    """At most one client for each expert, and at most one expert for each client; the smaller side is matched fully."""
    return AlignmentProblem(
        kinds.draw(fitness, rng, num_clients, num_experts),
        client_capacity=1,
        client_demand=int(num_clients <= num_experts),
        expert_capacity=1,
        expert_demand=int(num_experts <= num_clients),
    )

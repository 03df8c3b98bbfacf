"""Electives: courses that are not given with too few students. An expert has no client, or at least so many."""

import numpy as np

from alignsolve import AlignmentProblem
from alignsolve.numerics import FloatArray, IntArray
from problems.planted import deal, device_tiers, loads
from problems.popular import popular_fitness


def electives(rng: np.random.Generator, *, num_clients: int, num_experts: int, given: float = 0.6) -> AlignmentProblem:
    """Courses of which about ``given`` can be given at once: the others would take their students away.

    A planted alignment closes the others, and gives each open course its optional demand or a few clients more.
    Students rank the courses: fitness is whole.
    """
    number = device_tiers(rng, num_clients, max(1, num_experts // 3))
    planted = _planted(rng, number, num_experts, max(1, round(given * num_experts)))
    share = np.floor(0.8 * planted.sum() / max(1, int((planted > 0).sum())))
    wish = popular_fitness(rng, num_clients, num_experts)
    return AlignmentProblem(
        wish.argsort(axis=1).argsort(axis=1).astype(np.int64),
        client_capacity=number,
        client_demand=number,
        expert_capacity=np.where(planted > 0, planted + 2, share + 2),
        optional_demand=np.where(planted > 0, np.minimum(share, planted), share + 1),
    )


def _planted(rng: np.random.Generator, number: IntArray, num_experts: int, num_open: int) -> FloatArray:
    """The loads of experts of which only some are open, (num_experts,)."""
    num_open = max(num_open, int(number.max()))
    some = np.sort(rng.permutation(num_experts)[:num_open])
    found = np.zeros(num_experts)
    found[some] = loads(deal(rng, number, num_open), num_open)
    return found

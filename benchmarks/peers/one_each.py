"""Shared by assignment and transport peers: their limit of one expert per client, and the places at experts."""

from dataclasses import dataclass

import numpy as np

from alignsolve import AlignmentProblem
from alignsolve.numerics import BoolArray, FloatArray, IntArray
from benchmarks.contender import PLAIN, beyond


def refusal(problem: AlignmentProblem) -> str | None:
    """Name features that an assignment cannot express."""
    if (problem.client_capacity > 1).any():
        return "gives each client one expert at most (c = 1)"
    return beyond(problem, PLAIN)


def full_places(problem: AlignmentProblem) -> IntArray | None:
    """Return the number of places at each expert, if a matching that is as large as possible solves the problem.

    That is so where all pairs are eligible, no demand is left out by such a matching, and filling places is never bad.
    Otherwise None.
    """
    if problem.eligible is not None or problem.required is not None or (problem.client_capacity != 1).any():
        return None
    n = problem.num_clients
    most = np.floor(np.minimum(problem.expert_capacity, n)).astype(np.int64)
    total = int(most.sum())
    if (n > total and problem.client_demand.any()) or (n < total and problem.expert_demand.any()):
        return None
    if (problem.expert_demand > most).any():
        return None
    all_clients, all_places = problem.client_demand.all(), (problem.expert_demand == most).all()
    forced = (n <= total and all_clients) or (n >= total and all_places)
    return most if forced or problem.values().min(initial=0.0) >= 0.0 else None


@dataclass(frozen=True)
class Places:
    """Places at experts, which must or may be filled, and places for clients without an expert.

    Attributes
    ----------
    must, may
        (num_experts,) number of places that must be filled, and of further places that may be filled.
    idle
        Number of places for clients without an expert.
    demanding
        (num_clients,) bools: clients that must have an expert.
    value
        (num_clients, num_experts) fitness; 0 for forbidden pairs.
    forbidden
        (num_clients, num_experts) bools: pairs that are not allowed.
    """

    must: IntArray
    may: IntArray
    idle: int
    demanding: BoolArray
    value: FloatArray
    forbidden: BoolArray


def places(problem: AlignmentProblem) -> Places:
    """Count the places of a problem with at most one expert per client."""
    must = np.ceil(problem.expert_demand).astype(np.int64)
    most = np.floor(np.minimum(problem.expert_capacity, problem.num_clients)).astype(np.int64)
    demanding = problem.client_demand > 0
    forbidden = np.zeros(problem.shape, dtype=np.bool_) if problem.eligible is None else ~problem.eligible
    forbidden = forbidden | (problem.client_capacity == 0)[:, None]
    value = np.where(forbidden, 0.0, problem.values())
    idle = 0 if demanding.all() else max(problem.num_clients - int(must.sum()), 0)
    return Places(must, most - must, idle, demanding, value, forbidden)


def penalty(value: FloatArray) -> float:
    """Return a big M: a loss that exceeds every possible gain."""
    return float(np.ptp(value)) * value.shape[0] + 1.0 if value.size else 1.0

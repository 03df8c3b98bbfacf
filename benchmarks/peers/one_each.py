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


def one_to_one(problem: AlignmentProblem) -> bool:
    """Return whether a matching of the fitness as it is solves the problem.

    All pairs are eligible, all capacities are 1, and the smaller side is matched fully, and it alone has demands.
    """
    n, e = problem.shape
    if problem.eligible is not None or problem.required is not None:
        return False
    if (problem.client_capacity != 1).any() or (np.floor(np.minimum(problem.expert_capacity, n)) != 1).any():
        return False
    clients, experts = problem.client_demand > 0, problem.expert_demand > 0
    if n == e:
        return bool(clients.all() or experts.all())
    smaller, larger = (clients, experts) if n < e else (experts, clients)
    return bool(smaller.all() and not larger.any())


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

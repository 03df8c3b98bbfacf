"""Planted alignments, which make instances feasible: a family plants one first and draws its bounds around it.

The planted alignment deals the experts like cards. The clients come in random order. Each takes the next experts of the
endless sequence 0, 1, …, E−1, 0, 1, …. So no client gets an expert twice, and the numbers of clients of two experts
differ by at most one.
"""

from typing import Any

import numpy as np

from alignsolve import Alignment, AlignmentProblem, RowBlocks
from alignsolve.numerics import FloatArray, IntArray, RealArray

TIERS, SHARES = (1, 2, 4), (0.5, 0.3, 0.2)
"""Number of experts that a weak, a medium and a strong device can train, and the share of these devices."""
SPREAD = 0.15
"""Largest relative distance of an expert's load from the mean; small enough that the bounds bind."""


def balanced(
    rng: np.random.Generator, fitness: RealArray | RowBlocks, *, spread: float = SPREAD, **more: Any
) -> AlignmentProblem:
    """Return the standard problem for a fitness: device tiers, at least one expert per client, balanced loads."""
    capacity = device_tiers(rng, *fitness.shape)
    demand, most = around_mean(loads(deal(rng, capacity, fitness.shape[1]), fitness.shape[1]), spread)
    return AlignmentProblem(
        fitness, client_capacity=capacity, client_demand=1, expert_demand=demand, expert_capacity=most, **more
    )


def device_tiers(rng: np.random.Generator, num_clients: int, num_experts: int) -> IntArray:
    """Draw the number of experts that each client can train, (num_clients,)."""
    return np.minimum(rng.choice(TIERS, size=num_clients, p=SHARES), num_experts)


def deal(rng: np.random.Generator, number: IntArray, num_experts: int) -> Alignment:
    """Deal ``number[i]`` experts, at most num_experts, to each client i."""
    # ``first`` is the place in the endless sequence at which a client's experts begin.
    order = rng.permutation(len(number))
    first = np.empty(len(number), dtype=np.int64)
    first[order] = np.cumsum(number[order]) - number[order]
    indptr = np.concatenate([[0], np.cumsum(number)])
    turn = np.arange(indptr[-1]) + np.repeat(first - indptr[:-1], number)
    return Alignment.from_pairs(np.repeat(np.arange(len(number)), number), turn % num_experts, len(number))


def loads(planted: Alignment, num_experts: int, client_load: RealArray | None = None) -> FloatArray:
    """Return the load of each expert, (num_experts,); without ``client_load`` every client counts 1."""
    weights = None if client_load is None else client_load[planted.clients()]
    return np.bincount(planted.experts, weights=weights, minlength=num_experts).astype(np.float64)


def around_mean(planted_loads: FloatArray, spread: float = SPREAD) -> tuple[FloatArray, FloatArray]:
    """Return integer demands and capacities at mean·(1 ∓ spread), widened where planted loads lie outside."""
    mean = planted_loads.mean()
    demand = np.minimum(np.floor(mean * (1.0 - spread)), planted_loads)
    capacity = np.maximum(np.ceil(mean * (1.0 + spread)), planted_loads)
    return demand, capacity

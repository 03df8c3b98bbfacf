"""Caches and prefetching as switching costs: what a client already has costs nothing, and what was prefetched, little.

Caches, prefetching and offloading of experts are surveyed for inference; the formula is the bytes that a link carries.
An expert that is not in the cache costs the seconds of its download, times the price of a second in fitness.
Prefetching went on between the rounds, and left a share of the download undone.
"""

import numpy as np

from alignsolve import AlignmentProblem
from problems.phones import draw_phones
from problems.planted import around_mean, deal, device_tiers, loads
from problems.popular import popular_fitness

MEGABYTES = 4.0, 24.0
"""Smallest and largest size of an expert."""
PRICE = 0.05
"""Fitness that a second of download is worth."""
PREFETCHED = 0.3
"""Share of the pairs that were prefetched."""


def caches(rng: np.random.Generator, *, num_clients: int, num_experts: int, cached: int = 2) -> AlignmentProblem:
    """Clients with experts in their cache, chosen in an earlier round by another fitness.

    This traps rules that look at fitness alone, and those that never move: popular experts are in many caches, and
    their capacity lets only some of the clients stay.
    """
    phones = draw_phones(rng, num_clients)
    sizes = 1e6 * rng.uniform(*MEGABYTES, size=num_experts)
    left = np.where(rng.random((num_clients, num_experts)) < PREFETCHED, rng.random((num_clients, num_experts)), 1.0)
    fitness = popular_fitness(rng, num_clients, num_experts)
    before = fitness + rng.normal(scale=0.5, size=fitness.shape)
    rank = np.argsort(np.argsort(-before, axis=1), axis=1)
    capacity = device_tiers(rng, num_clients, num_experts)
    demand, most = around_mean(loads(deal(rng, capacity, num_experts), num_experts))
    return AlignmentProblem(
        fitness,
        client_capacity=capacity,
        client_demand=1,
        expert_demand=demand,
        expert_capacity=most,
        previous=rank < min(cached, num_experts),
        switching_cost=PRICE * left * np.multiply.outer(phones.seconds_per_byte, sizes),
    )

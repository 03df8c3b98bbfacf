"""One alignment of 100,000 clients and 64 experts takes less than half a second of computing, estimators included."""

import dataclasses
import time

import numpy as np
import pytest

from alignsolve import POLICIES, CapacityProfiler, NeededFitness, Parts, RouterFitness, Status


def seconds_of(aligner, state, cohort) -> float:
    started = time.process_time()
    solution, _ = aligner.align(state, cohort)
    assert solution.status is Status.OPTIMAL
    return time.process_time() - started


@pytest.mark.slow
def test_an_alignment_of_a_hundred_thousand_clients_takes_less_than_half_a_second():
    """By the processor's time, which other programs lengthen less than the clock's: the best of three."""
    rng, num_clients, num_experts = np.random.default_rng(0), 100_000, 64
    domains = rng.dirichlet(np.full(num_experts, 0.3), 8)[rng.integers(0, 8, num_clients)]
    mass = 0.5 * rng.dirichlet(np.full(num_experts, 0.3), num_clients) + 0.5 * domains
    capacity = CapacityProfiler(client_capacity=rng.integers(1, 5, num_clients))
    aligner = POLICIES["ours"](Parts(capacity, NeededFitness(RouterFitness())))
    cohort, state = np.arange(num_clients), aligner.init(num_clients, num_experts)
    chance = [seconds_of(aligner, state, cohort) for _ in range(4)]

    need = state.fitness
    known = dataclasses.replace(need, is_open=True, inner=dataclasses.replace(need.inner, value=mass))
    state = dataclasses.replace(state, fitness=known)
    learned = [seconds_of(aligner, state, cohort) for _ in range(4)]
    assert min(chance[1:]) < 0.5
    assert min(learned[1:]) < 0.5
    assert learned[0] < 5.0  # the first round with another fitness does not start from the last one's prices

"""Large-neighbourhood search over a few experts: as good as enumeration, feasible; other experts keep their clients."""

import itertools

import numpy as np
import pytest

from alignsolve import AlignmentProblem
from alignsolve.solvers.generalised_assignment import large_neighbourhood, program
from alignsolve.solvers.generalised_assignment.instance import read
from alignsolve.solvers.generalised_assignment.local_search import FIRST, LocalSearch
from alignsolve.solvers.generalised_assignment.meet_in_the_middle import empty_halves, meet
from tests.gap_instances import make

ANYTHING = 1e6
"""A rise that every alignment stays below."""


def fractions(seed, num_clients, num_experts):
    """Return an instance of the hard family with fractional numbers."""
    whole = make("gap-d", num_clients, num_experts, seed)
    load = whole.client_load / 7.3 + np.random.default_rng(seed).uniform(0.0, 1e-2, whole.shape)
    capacity = whole.experts.most / 7.0
    return AlignmentProblem(whole.values() / 3.7, client_demand=1, expert_capacity=capacity, client_load=load)


def search_on(problem, descents=20):
    """Return the problem as arrays, its prices, and a local search with a feasible solution."""
    instance = read(problem)
    relaxed = program.relax(instance, 10.0)
    local = LocalSearch(instance, relaxed.prices, relaxed.chosen(), 0)
    local.run(descents, np.inf)
    while local.best is None:  # penalties rise until they are heeded
        local.run(1, np.inf)
    return instance, relaxed.prices, local


def cheapest(instance, start, few, banned):
    """Return the least cost of placing the clients of a few experts among these experts; inf if none fits."""
    movable = [i for i, j in enumerate(start) if j in few]
    places = np.array(list(itertools.product(few, repeat=len(movable))))
    fits = np.ones(len(places), dtype=bool)
    for j in few:
        fits &= np.where(places == j, instance.load[movable, j], 0.0).sum(axis=1) <= instance.capacity[j]
    if banned >= 0:
        fits &= places[:, movable.index(banned)] != start[banned]
    stay = [i for i, j in enumerate(start) if j not in few]
    costs = instance.cost[movable, places].sum(axis=1) + instance.cost[stay, start[stay]].sum()
    return float(costs[fits].min(initial=np.inf))


@pytest.mark.kernels
@pytest.mark.parametrize("few", [[0, 2], [3, 1, 0]])
@pytest.mark.parametrize("driven_out", [False, True])
@pytest.mark.parametrize("whole", [True, False])
def test_a_few_experts_are_realigned_as_cheaply_as_enumeration_finds(whole, driven_out, few):
    for seed in range(3):
        problem = make("gap-d", 12, 4, seed) if whole else fractions(seed, 12, 4)
        instance, prices, local = search_on(problem)
        start, random = local.best, np.array([seed + 1], dtype=np.uint64)
        banned = int(np.flatnonzero(np.isin(start, few))[0]) if driven_out else -1
        chosen, experts = start.copy(), np.array(few)
        args = (local._terms, prices, empty_halves(), chosen, experts, ANYTHING, banned, instance.whole_loads, random)
        found = meet(*args)
        best = cheapest(instance, start, few, banned)
        assert found == np.isfinite(best)
        if found:
            assert instance.fits(chosen)
            assert instance.value(chosen) == pytest.approx(best, rel=1e-9)
        others = ~np.isin(start, few)
        assert np.array_equal(chosen[others], start[others])


def test_nothing_moves_where_nothing_is_cheap_enough():
    _, prices, local = search_on(make("gap-d", 12, 4))
    start, random = local.best, np.array([7], dtype=np.uint64)
    chosen, most = start.copy(), -1e5
    assert not meet(local._terms, prices, empty_halves(), chosen, np.array([0, 1, 2]), most, -1, True, random)
    assert np.array_equal(chosen, start)


@pytest.mark.kernels
@pytest.mark.parametrize("whole", [True, False])
def test_a_walk_only_keeps_what_fits_and_is_better(whole, monkeypatch):
    monkeypatch.setattr(large_neighbourhood, "WORK", 20_000)  # of the interpreted code; what is compiled has its own
    instance, prices, local = search_on(make("gap-d", 30, 4) if whole else fractions(2, 30, 4), 1)
    stroll = large_neighbourhood.LargeNeighbourhoodSearch(
        local._terms, prices, whole_loads=instance.whole_loads, random=np.array([3], dtype=np.uint64)
    )
    stroll.start(local.best, local.value)
    values = [local.value]
    for _ in range(5):
        stroll.run()
        assert instance.fits(stroll.best)
        assert instance.value(stroll.best) == pytest.approx(stroll.value)
        values.append(stroll.value)
    assert values == sorted(values, reverse=True)
    assert values[-1] < values[0]


def test_descents_and_walk_together_repeat_themselves():
    problem = make("gap-d", 80, 4)
    first, second = (search_on(problem, FIRST + 20)[2] for _ in range(2))
    assert first.value == second.value
    assert np.array_equal(first.best, second.best)
    assert first.value <= search_on(problem, FIRST)[2].value

"""Generalised assignment: the restricted problem of the clients that the stronger relaxation leaves undecided."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alignsolve import solve
from alignsolve.solvers.generalised_assignment import iterated_tree as trees
from alignsolve.solvers.generalised_assignment import restricted
from alignsolve.solvers.generalised_assignment.instance import read
from alignsolve.solvers.generalised_assignment.knapsacks import Knapsacks, evaluate, mix, new_table
from alignsolve.solvers.generalised_assignment.multipliers import Multipliers
from alignsolve.solvers.generalised_assignment.restricted import SURE, Restrictions, in_turn
from alignsolve.solvers.generalised_assignment.solver import solve_generalised_assignment
from problems import FAMILIES

NOBODY = np.zeros(0, dtype=np.int64)
"""An incumbent that nobody looks at."""


def make(name, num_clients, num_experts, seed=0):
    return FAMILIES[name](np.random.default_rng(seed), num_clients=num_clients, num_experts=num_experts)


def undecided_of(problem, value, *, around=False, trees=False):
    instance = read(problem)
    multipliers = Multipliers(instance, np.zeros(problem.num_clients))
    multipliers.climb(value, math.inf, 300)
    return instance, Restrictions(instance, multipliers, around=around, trees=trees)


@pytest.mark.kernels
def test_what_is_mixed_are_the_knapsacks_choices_and_who_is_missing_grows_dearer():
    rng = np.random.default_rng(1)
    cost, weight, size = rng.uniform(0, 5, (2, 6)), rng.integers(1, 6, (2, 6)), np.array([9, 4])
    sacks, multipliers = Knapsacks(cost, weight, size), rng.uniform(0, 6, 6)
    best, taken = np.empty(2), np.empty(6, dtype=np.int64)
    evaluate(sacks, multipliers, new_table(sacks), best, taken)
    mixed, moved = np.zeros((6, 2)), multipliers.copy()
    unmet = mix(sacks, moved, new_table(sacks), 0.0, 3, mixed)
    assert np.array_equal(mixed.sum(axis=1), 3 * taken)
    assert np.array_equal(moved, multipliers)
    assert unmet == ((1 - taken) ** 2).sum()
    for j in range(2):
        chosen = np.flatnonzero(mixed[:, j])
        assert weight[j, chosen].sum() <= size[j]
        assert (multipliers[chosen] - cost[j, chosen]).sum() == pytest.approx(best[j])
    mix(sacks, moved, new_table(sacks), 0.5, 1, mixed)
    np.testing.assert_allclose(moved - multipliers, 0.5 * (1 - taken))


@given(st.integers(0, 2**32), st.sampled_from(["gap-b", "gap-c", "gap-e"]), st.integers(0, len(SURE) - 1))
@settings(max_examples=15)
def test_whatever_the_rest_decides_completes_to_an_alignment_that_fits(seed, name, sure):
    problem = make(name, 40, 4, seed)
    value = -float(solve(problem, "greedy").objective)
    instance, found = undecided_of(problem, value)
    found._sure = sure
    rest = found.next(NOBODY, value, value, math.inf)
    if rest is None:
        return
    assert rest.opened.sum() <= restricted.MOST_OPEN
    assert rest.opened.shape == rest.instance.shape == (len(rest.clients), instance.shape[1])
    rng = np.random.default_rng(seed)
    for _ in range(40):
        decided = np.array([rng.choice(np.flatnonzero(row)) for row in rest.opened])
        carried = np.bincount(decided, rest.instance.load[np.arange(len(decided)), decided], len(problem.experts.most))
        whole = rest.completed(decided)
        assert instance.value(whole) == rest.spent + rest.instance.value(decided)
        assert instance.fits(whole) == bool((carried <= rest.instance.capacity).all())


def test_the_rest_keeps_all_that_costs_less_than_the_aim():
    kept = 0
    for seed in range(10):
        problem = make("gap-b", 12, 3, seed)
        value = -float(solve(problem, "ilp").objective) + 6.0
        instance, found = undecided_of(problem, value)
        rest = found.next(NOBODY, value, value, math.inf)
        if rest is None or len(rest.clients) > 8:
            continue
        for decided in itertools.product(range(3), repeat=len(rest.clients)):
            chosen = np.array(decided)
            whole = rest.completed(chosen)
            if instance.value(whole) < value and instance.fits(whole):
                assert rest.opened[np.arange(len(chosen)), chosen].all()
                kept += 1
    assert kept > 5


def test_around_the_incumbent_it_is_one_of_what_there_is_to_decide():
    kept = 0
    for seed in range(6):
        problem = make("gap-c", 40, 4, seed)
        solution = solve(problem, "greedy")
        value = -float(solution.objective)
        instance, found = undecided_of(problem, value, around=True)
        incumbent = instance.chosen(solution.assigned)
        rest = found.next(incumbent, value, value, math.inf)
        if rest is not None:
            assert np.array_equal(rest.completed(rest.start), incumbent)
            assert rest.opened[np.arange(len(rest.start)), rest.start].all()
            kept += 1
    assert kept > 2


def test_what_is_solved_widens_the_rest_until_all_are_open_and_what_is_not_narrows_it():
    _, found = undecided_of(make("gap-c", 40, 4), 1e3)
    for _ in range(len(SURE) - restricted.FIRST):
        assert found.pays
        found.learn(solved=True, found=math.inf, value=1e3)
    assert not found.pays
    _, found = undecided_of(make("gap-c", 40, 4), 1e3)
    found.learn(solved=True, found=1e3, value=1e3)
    for _ in range(restricted.FIRST + 2):
        assert found.pays
        found.learn(solved=False, found=math.inf, value=1e3)
    assert not found.pays


def test_a_first_rest_that_finds_nothing_near_the_incumbent_is_the_last():
    for worse, pays in ((1.5, True), (2.5, False)):
        _, found = undecided_of(make("gap-c", 40, 4), 1e3)
        lower = found.multipliers.lower
        found.learn(solved=False, found=lower + worse * (1e3 - lower), value=1e3)
        assert found.pays == pays
        assert found.far != pays


def test_around_the_incumbent_is_decided_by_turns_once_the_other_way_came_to_an_end():
    _, afresh = undecided_of(make("gap-c", 40, 4), 1e3)
    _, around = undecided_of(make("gap-c", 40, 4), 1e3, around=True)
    assert in_turn(afresh, around, 1) is afresh
    afresh.learn(solved=True, found=1e3, value=1e3)
    assert [in_turn(afresh, around, vain) for vain in range(4)] == [afresh, around, afresh, around]
    around.pays = False
    assert in_turn(afresh, around, 1) is afresh
    afresh.pays, around.pays = False, True
    assert in_turn(afresh, around, 0) is around
    afresh.far = True
    assert in_turn(afresh, around, 0) is None


def test_rests_with_too_many_pairs_are_not_handed_out(monkeypatch):
    monkeypatch.setattr(restricted, "MOST_OPEN", 0)
    _, found = undecided_of(make("gap-d", 40, 4), 1e4)
    assert found.next(NOBODY, 1e4, 1e4, math.inf) is None
    assert not found.pays


def test_trees_decide_rests_of_any_size_and_go_on_whatever_comes_of_them(monkeypatch):
    monkeypatch.setattr(restricted, "MOST_OPEN", 0)
    _, found = undecided_of(make("gap-d", 40, 4), 1e4, trees=True)
    for solved in (True, False):
        for _ in range(2 * len(SURE)):
            found.learn(solved=solved, found=math.inf, value=1e4)
            assert found.pays
            assert not found.far
    assert found.next(NOBODY, 1e4, 1e4, math.inf).opened.sum() > 0


@pytest.mark.parametrize("name", ["gap-c", "gap-e"])
def test_a_tree_decides_a_rest_as_highs_does(name):
    better = 0
    for seed in range(4):
        problem = make(name, 24, 4, seed)
        value = -float(solve(problem, "greedy").objective)
        instance, found = undecided_of(problem, value, trees=True)
        found._sure = len(SURE) - 1
        rest = found.next(NOBODY, value, value, math.inf)
        if rest is None:
            continue
        ours, solved = rest.by_tree(value, math.inf)
        theirs, agreed = rest.by_program(math.inf, 0)
        assert solved
        assert agreed
        assert rest.by_tree(value, 0.0) == (None, False)
        if ours is None:
            assert theirs is None or instance.value(theirs) >= value
            continue
        assert instance.fits(ours)
        assert instance.value(ours) == instance.value(theirs) < value
        better += 1
    assert better > 0


def test_no_time_is_no_rest():
    _, found = undecided_of(make("gap-c", 40, 4), 1e3)
    assert found.next(NOBODY, 1e3, 1e3, 0.0) is None
    assert found.pays


@pytest.mark.slow
def test_undecided_clients_are_decided_under_a_time_limit_and_the_bound_still_holds(monkeypatch):
    monkeypatch.setattr(trees, "suits", lambda instance: False)
    problem = make("gap-c", 600, 20, 3)
    solution = solve(problem, solve_generalised_assignment, time_limit=12)
    assert solution.stats["decided"] >= 1
    assert solution.gap <= 2e-3

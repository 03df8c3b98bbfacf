"""Blind baselines: feasible on the problems that they take, true to their names, and refused on other problems."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alignsolve import SOLVERS, AlignmentProblem, Feature, Status, UnsupportedError, solve
from alignsolve.front import capabilities, resolve
from alignsolve.solvers.baseline import ExpertChoice, Random, Rolling, TopK
from tests import oracle
from tests.strategies import problems

NAMES = ("topk", "random", "rolling", "expert-choice")
BLIND = ("topk", "random", "rolling")


@pytest.mark.parametrize("name", NAMES)
@given(problem=problems(max_clients=4, max_experts=4), seed=st.integers(0, 3))
@settings(max_examples=100)
def test_answers_are_feasible_whatever_is_asked_of_what_they_take(name, problem, seed):
    if not problem.features <= capabilities(resolve(name)[1]).takes:
        with pytest.raises(UnsupportedError, match=name):
            solve(problem, name)
        return
    solution = solve(problem, name, seed=seed, throw=False)
    possible = all(oracle.row_choices(problem, i) for i in range(problem.num_clients))
    assert (solution.x is not None) == possible
    if possible:
        picked = oracle.chosen(solution.x)
        assert oracle.feasible(problem, picked)
        worth = float(oracle.objective(problem, picked))
        assert solution.objective == pytest.approx(worth, abs=1e-9 * max(1.0, oracle.magnitude(problem, picked)))
        assert solution.objective <= solution.bound


@given(problem=problems(max_clients=3, max_experts=4))
@settings(max_examples=150)
def test_topk_is_every_clients_own_optimum(problem):
    if not problem.features <= TopK.capabilities.takes:
        return
    solution = solve(problem, "topk", throw=False)
    zero = [oracle.Fraction(0)] * problem.num_experts
    bests = [oracle.best_row(problem, i, zero) for i in range(problem.num_clients)]
    if None in bests:
        assert solution.status is Status.INFEASIBLE
        return
    for i, best in enumerate(bests):
        chosen = np.flatnonzero(solution.x[i])
        own = sum((oracle.pair_value(problem, i, int(j)) for j in chosen), oracle.Fraction(0))
        assert float(own) == pytest.approx(float(best), abs=1e-6)


def test_topk_without_expert_bounds_is_proven_optimal():
    solution = solve(AlignmentProblem(np.random.default_rng(0).normal(size=(20, 5)), client_capacity=2), "topk")
    assert solution.status is Status.OPTIMAL


@pytest.mark.parametrize("name", ["random", "rolling"])
def test_fitness_is_not_looked_at_and_capacities_are_filled(name):
    rng = np.random.default_rng(1)
    eligible = rng.random((50, 8)) < 0.5
    first = AlignmentProblem(-rng.random((50, 8)), client_capacity=3, eligible=eligible)
    second = AlignmentProblem(rng.normal(size=(50, 8)), client_capacity=3, eligible=eligible)
    one, two = solve(first, name, seed=5).x, solve(second, name, seed=5).x
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(one.sum(axis=1), np.minimum(3, eligible.sum(axis=1)))


def test_random_is_uniform_and_seeded():
    problem = AlignmentProblem(np.zeros((6000, 4)), client_capacity=2)
    once, again, other = (solve(problem, "random", seed=seed).x for seed in (3, 3, 4))
    np.testing.assert_array_equal(once, again)
    assert (once != other).any()
    pairs, counts = np.unique(once, axis=0, return_counts=True)
    assert len(pairs) == 6  # every choice of two experts out of four
    assert (np.abs(counts - 1000) < 150).all()  # five standard deviations


def test_random_does_not_depend_on_how_clients_are_read_in_blocks(monkeypatch):
    problem = AlignmentProblem(np.zeros((100, 7)), client_capacity=2)
    whole = solve(problem, "random", seed=1).x
    monkeypatch.setattr("alignsolve.problem.block_rows", lambda num_experts: 9)
    np.testing.assert_array_equal(solve(problem, "random", seed=1).x, whole)


def test_rolling_windows_move_on_with_the_round_and_reach_every_expert_alike():
    problem = AlignmentProblem(np.zeros((12, 6)), client_capacity=np.arange(12) % 3 + 1)
    for number in (0, 1, 7):
        x = solve(problem, Rolling(round=number)).x
        for i in range(12):
            window = {(number + i + step) % 6 for step in range(i % 3 + 1)}
            assert set(np.flatnonzero(x[i]).tolist()) == window
    even = AlignmentProblem(np.zeros((12, 6)), client_capacity=2)
    np.testing.assert_array_equal(solve(even, "rolling").loads, 4)


def test_rolling_passes_over_what_a_row_forbids_and_keeps_what_it_requires():
    eligible = np.array([[True, False, True, True]])
    required = np.array([[False, False, False, True]])
    problem = AlignmentProblem(np.zeros((1, 4)), client_capacity=2, eligible=eligible, required=required)
    assert solve(problem, "rolling").x.tolist() == [[True, False, False, True]]
    assert solve(problem, Rolling(round=1)).x.tolist() == [[False, False, True, True]]


@pytest.mark.parametrize("wrong", [-1, 1.5, "2", None])
def test_rolling_refuses_what_is_no_round(wrong):
    with pytest.raises(ValueError, match="round"):
        Rolling(round=wrong)


@pytest.mark.parametrize("name", BLIND)
def test_hard_expert_bounds_are_refused_and_soft_ones_raced(name):
    problem = AlignmentProblem(np.ones((6, 3)), expert_capacity=2, expert_demand=1)
    with pytest.raises(UnsupportedError, match=r"soften"):
        solve(problem, name)
    softened = problem.soften(overload=0.5, shortfall=0.5)
    assert solve(softened, name).objective <= solve(softened, "flow").objective


def test_expert_choice_gives_every_expert_its_best_and_every_client_no_more_than_it_holds():
    fitness = np.random.default_rng(2).random((30, 5))
    solution = solve(AlignmentProblem(fitness, client_capacity=2, expert_capacity=6), "expert-choice")
    taken = np.argsort(np.argsort(-fitness, axis=0), axis=0) < 6
    for i in range(30):
        kept = sorted(np.flatnonzero(taken[i]), key=lambda j: -fitness[i, j])[:2]
        assert set(np.flatnonzero(solution.x[i])) == set(kept)


def test_expert_choice_fills_loads_that_fit_exactly_and_goes_on_after_one_that_does_not():
    problem = AlignmentProblem([[5.0], [4.0], [3.0], [2.0]], client_load=[0.1, 0.7, 0.2, 0.0], expert_capacity=0.3)
    assert solve(problem, "expert-choice").x.ravel().tolist() == [True, False, True, True]


def test_expert_choice_without_capacities_shares_what_the_clients_can_serve():
    solution = solve(AlignmentProblem(np.ones((10, 4)), client_capacity=[1, 3] * 5), "expert-choice")
    assert solution.loads.max() <= 5


def test_expert_choice_refuses_demands():
    for field in ({"client_demand": 1}, {"expert_demand": 1}, {"required": np.eye(3, dtype=bool)}):
        with pytest.raises(UnsupportedError, match="expert-choice"):
            solve(AlignmentProblem(np.ones((3, 3)), **field), "expert-choice")


def test_names_and_declarations():
    declared = {TopK: "topk", Random: "random", Rolling: "rolling", ExpertChoice: "expert-choice"}
    for solver, name in declared.items():
        assert isinstance(resolve(name)[1], solver)
        assert name in SOLVERS
        assert not solver.capabilities.exact
        assert Feature.HARD_EXPERT_DEMANDS not in solver.capabilities.takes


@pytest.mark.parametrize("name", NAMES)
def test_nobody_and_nothing(name):
    assert solve(AlignmentProblem(np.zeros((0, 3))), name).objective == 0
    assert solve(AlignmentProblem(np.zeros((3, 0))), name).objective == 0
    assert solve(AlignmentProblem(np.array([[-2.0]])), name).x.shape == (1, 1)

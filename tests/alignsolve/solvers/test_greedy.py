"""Greedy and regret: in the cardinality class, an alignment if one exists, else a witness; and a known gap."""

import itertools
import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alignsolve import AlignmentProblem, Proof, Status, solve
from alignsolve.solver import Answer, WarmStart
from alignsolve.solvers.common.level_method import FoundPrices, prices_by_level_method
from alignsolve.solvers.greedy import Greedy, Regret, fill, solver
from problems import FAMILIES
from tests import oracle
from tests.strategies import cardinality_problems, general_problems

SOLVERS = ("greedy", "regret")
EXACT_FIT = ("exact-decimals", "exact-bytes")


def assert_feasible(problem, solution):
    picked = oracle.chosen(solution.x)
    assert oracle.feasible(problem, picked)
    worth = float(oracle.objective(problem, picked))
    assert solution.objective == pytest.approx(worth, abs=1e-9 * max(1.0, oracle.magnitude(problem, picked)))
    assert solution.objective <= solution.bound
    assert np.isfinite(solution.gap)


@pytest.mark.kernels
@pytest.mark.parametrize("name", SOLVERS)
@given(problem=cardinality_problems(max_clients=4, max_experts=4))
@settings(max_examples=75)
def test_in_the_cardinality_class_feasible_exactly_when_the_problem_is(name, problem):
    best = oracle.best(problem)
    solution = solve(problem, name, throw=False)
    if best is None:
        assert (solution.status, solution.proof) == (Status.INFEASIBLE, Proof.PRICES)
        assert solution.witness is None or oracle.confirms(problem, solution.witness)
        return
    assert_feasible(problem, solution)
    rounding = 1e-9 * max(1.0, abs(float(best.objective)))
    assert solution.objective <= float(best.objective) + rounding
    assert solution.bound >= float(best.objective) - rounding


@st.composite
def crowded(draw):
    """Return a problem with tight demands, capacities and groups, which needs paths of several arcs."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n, e = draw(st.integers(2, 14)), draw(st.integers(2, 7))
    group = rng.integers(0, draw(st.integers(1, 3)), e)
    num_groups = int(group.max()) + 1
    eligible = rng.random((n, e)) < draw(st.sampled_from([0.3, 0.5, 0.8]))
    mean = n * draw(st.sampled_from([0.5, 1.0, 1.5])) / e
    least = rng.integers(0, int(mean) + 2, e)
    capacity = rng.integers(1, 4, n)
    return AlignmentProblem(
        rng.integers(-3, 9, (n, e)),
        client_capacity=capacity,
        client_demand=rng.integers(0, 2, n),
        eligible=eligible,
        required=eligible & (rng.random((n, e)) < 0.05),
        expert_group=group,
        group_capacity=rng.integers(1, 3, (n, num_groups)),
        group_demand=rng.integers(0, draw(st.integers(1, 2)), (n, num_groups)),
        expert_demand=least,
        expert_capacity=least + rng.integers(0, 2, e),
    )


@pytest.mark.kernels
@given(problem=crowded())
@settings(max_examples=75)
def test_crowded_problems_are_repaired_exactly_when_a_flow_exists(problem):
    flow = solve(problem, "flow", throw=False)
    for name in SOLVERS:
        solution = solve(problem, name, throw=False)
        assert (solution.x is None) == (flow.status is Status.INFEASIBLE)
        if solution.x is None:
            assert (solution.status, solution.proof) == (Status.INFEASIBLE, Proof.PRICES)
            assert oracle.confirms(problem, solution.witness)
        else:
            assert_feasible(problem, solution)
            assert solution.objective <= flow.objective <= solution.bound


@pytest.mark.kernels
@pytest.mark.parametrize("name", SOLVERS)
@given(problem=general_problems(max_clients=4, max_experts=4))
@settings(max_examples=75)
def test_in_the_general_class_answers_are_feasible_and_seldom_missed(name, problem):
    best = oracle.best(problem)
    solution = solve(problem, name, throw=False)
    if best is None:
        assert solution.x is None
        return
    assert solution.status is not Status.INFEASIBLE
    if solution.x is not None:
        assert_feasible(problem, solution)
        assert solution.bound >= float(best.objective) - 1e-9 * max(1.0, abs(float(best.objective)))


@pytest.mark.parametrize("name", SOLVERS)
def test_tight_small_general_problems_are_mostly_repaired(name):
    rng, found = np.random.default_rng(5), 0
    for _ in range(50):
        load = rng.integers(1, 10, (12, 4)).astype(float)
        planted = rng.integers(0, 4, 12)
        carried = np.bincount(planted, weights=load[np.arange(12), planted], minlength=4)
        problem = AlignmentProblem(
            rng.random((12, 4)), client_demand=1, client_load=load, expert_capacity=carried, expert_demand=0.7 * carried
        )
        solution = solve(problem, name, throw=False)
        found += solution.x is not None
        if solution.x is not None:
            assert_feasible(problem, solution)
    assert found >= 45


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("family", [name for name, family in FAMILIES.items() if family.feasible])
def test_every_family_has_a_checked_answer(name, family):
    problem = FAMILIES[family](np.random.default_rng(6), num_clients=40, num_experts=6).to_dense()
    solution = solve(problem, name, throw=False)
    if solution.x is None:
        assert family in EXACT_FIT, solution.explain()
        assert solution.status is Status.UNKNOWN
    else:
        assert_feasible(problem, solution)


@pytest.mark.parametrize("name", SOLVERS)
def test_gaps_on_large_problems_are_small_and_known(name):
    for family in ("uniform", "popular", "layers", "tight"):
        problem = FAMILIES[family](np.random.default_rng(7), num_clients=2000, num_experts=16)
        solution, optimum = solve(problem, name), solve(problem, "flow").objective
        assert solution.objective >= 0.95 * optimum
        assert solution.bound <= 1.005 * optimum


def test_global_greed_takes_the_best_pair_and_regret_looks_at_the_second_best():
    problem = AlignmentProblem([[3.0, 2.0], [2.5, 0.5]], expert_capacity=1)
    assert solve(problem, "greedy").x.tolist() == [[True, False], [False, True]]
    assert solve(problem, "regret").x.tolist() == [[False, True], [True, False]]


@pytest.mark.parametrize("name", SOLVERS)
def test_ties_go_to_the_lower_index(name):
    problem = AlignmentProblem(np.ones((4, 3)), expert_capacity=[1, 2, 1])
    np.testing.assert_array_equal(solve(problem, name).x.argmax(axis=1), [0, 1, 1, 2])


@pytest.mark.parametrize("name", SOLVERS)
def test_nothing_is_taken_that_costs_unless_somebody_demands_it(name):
    fitness = np.array([[-1.0, -2.0], [-3.0, 0.0], [-5.0, -1.0]])
    assert solve(AlignmentProblem(fitness), name).objective == 0
    assert solve(AlignmentProblem(fitness, client_demand=1), name).objective == pytest.approx(-2.0)
    assert solve(AlignmentProblem(fitness, expert_demand=[2, 0]), name).objective == pytest.approx(-4.0)


@pytest.mark.parametrize("name", SOLVERS)
def test_soft_bounds_are_paid_only_where_they_are_worth_it(name):
    problem = AlignmentProblem(
        [[5.0], [3.0], [1.0], [-1.0]], expert_capacity=1, overload_penalty=2.0, expert_demand=1, shortfall_penalty=9.0
    )
    assert solve(problem, name).x.ravel().tolist() == [True, True, False, False]
    lonely = AlignmentProblem([[-5.0], [-7.0]], expert_demand=2, shortfall_penalty=6.0)
    assert solve(lonely, name).x.ravel().tolist() == [True, False]


@pytest.mark.parametrize("name", SOLVERS)
def test_density_rescues_knapsacks_that_greed_by_gain_loses(name):
    problem = AlignmentProblem([[10.0, 9.0, 9.0]], client_capacity=3, client_budget=2.0, expert_cost=[2.0, 1.0, 1.0])
    solution = solve(problem, name)
    assert solution.objective == pytest.approx(18.0)
    assert solution.stats["ranking"] == "gain per use"


@pytest.mark.parametrize("name", SOLVERS)
def test_rows_whose_demands_only_a_cheap_choice_meets(name):
    problem = AlignmentProblem(
        [[10.0, 1.0, 1.0, 1.0]],
        client_capacity=3,
        client_demand=2,
        expert_group=[0, 0, 1, 1],
        group_demand=1,
        client_budget=[[3.0, 3.0]],
        expert_cost=[[2.0, 3.0], [1.0, 2.0], [2.0, 0.5], [0.5, 1.0]],
    )
    assert solve(problem, name).objective == pytest.approx(2.0)


@pytest.mark.parametrize("name", SOLVERS)
def test_same_answer_every_time_and_for_any_seed_and_threads(name):
    problem = FAMILIES["weighted"](np.random.default_rng(8), num_clients=200, num_experts=8)
    first, again = solve(problem, name), solve(problem, name, seed=9, threads=1)
    np.testing.assert_array_equal(first.x, again.x)
    assert (first.objective, first.bound) == (again.objective, again.bound)


@pytest.mark.parametrize("name", SOLVERS)
def test_nobody_nothing_and_one(name):
    assert solve(AlignmentProblem(np.zeros((0, 3))), name).objective == 0
    assert solve(AlignmentProblem(np.zeros((3, 0))), name).objective == 0
    assert solve(AlignmentProblem([[2.0, 3.0]]), name).status is Status.OPTIMAL
    assert solve(AlignmentProblem([[2.0], [3.0], [1.0]], expert_capacity=2), name).status is Status.OPTIMAL
    assert solve(AlignmentProblem(np.zeros((5, 4)), client_demand=1, expert_capacity=2), name).status is Status.OPTIMAL


@pytest.mark.parametrize("name", SOLVERS)
def test_a_deadline_gone_by_is_told_and_a_short_one_kept(name):
    problem = FAMILIES["popular"](np.random.default_rng(9), num_clients=300, num_experts=8)
    late = solve(problem, name, time_limit=0, throw=False)
    assert late.status is Status.UNKNOWN
    assert "time limit" in late.explain()
    hopeless = AlignmentProblem(
        np.zeros((60, 8)), client_load=np.full(60, 3.0), client_demand=1, expert_capacity=23.0, expert_demand=22.0
    )
    started = time.monotonic()
    assert solve(hopeless, name, time_limit=0.2, throw=False).status is Status.UNKNOWN
    assert time.monotonic() - started < 2.0


@pytest.mark.parametrize("solver", [Greedy, Regret])
def test_without_passes_the_bound_is_that_of_no_prices(solver):
    problem = FAMILIES["popular"](np.random.default_rng(10), num_clients=100, num_experts=5)
    assert solve(problem, solver(passes=0)).bound == problem.bound(np.zeros(5))
    assert solve(problem, solver()).bound < problem.bound(np.zeros(5))


def last_prices(problem, **how) -> FoundPrices:
    """The prices that the search ends with."""
    *_, last = prices_by_level_method(problem, **how)
    return last


@pytest.mark.parametrize("family", ["popular", "layers", "soft", "weighted", "budgets"])
def test_prices_are_never_worse_than_where_they_started(family):
    problem = FAMILIES[family](np.random.default_rng(11), num_clients=300, num_experts=6)
    good = last_prices(problem, passes=40).prices
    assert problem.bound(good) < problem.bound(np.zeros(6))
    assert problem.bound(last_prices(problem, start=good, passes=5).prices) <= problem.bound(good)


def test_prices_found_on_a_sample_serve_all():
    problem = FAMILIES["popular"](np.random.default_rng(12), num_clients=60_000, num_experts=8)
    few = last_prices(problem, passes=40)
    assert few.passes <= 40
    assert problem.bound(few.prices) <= 1.001 * solve(problem, "flow").objective


def test_an_order_that_was_interrupted_is_not_used(monkeypatch):
    """Clients that were not ranked any more have numbers of no client: compiled code read beyond its arrays."""
    asked = itertools.count()
    for place in (fill, solver):
        monkeypatch.setattr(place, "late", lambda deadline: next(asked) > 0)
    problem = FAMILIES["weighted"](np.random.default_rng(0), num_clients=30, num_experts=4)
    answers = list(Greedy().answers(problem, math.inf, WarmStart()))
    assert all(not isinstance(answer, Answer) or answer.x is None for answer in answers)

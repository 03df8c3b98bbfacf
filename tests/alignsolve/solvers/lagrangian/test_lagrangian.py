"""``lagrangian``: as good as brute force on small problems; feasible with valid bounds on larger ones."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from alignsolve import AlignmentProblem, Status, WarmStart, solve
from alignsolve.solvers.lagrangian import Lagrangian
from problems import FAMILIES
from tests import oracle, strategies


def made(family, num_clients, num_experts, seed=0):
    return FAMILIES[family](np.random.default_rng(seed), num_clients=num_clients, num_experts=num_experts)


def judged(problem, solution):
    """Check that the alignment is feasible and that no bound is below its objective."""
    assert oracle.feasible(problem, oracle.chosen(solution.x))
    assert solution.objective <= solution.bound
    return solution


@settings(max_examples=60, deadline=None)
@given(strategies.general_problems(max_clients=4, max_experts=4), st.integers(0, 3))
def test_the_optimum_lies_between_objective_and_bound(problem, seed):
    best = oracle.best(problem)
    solution = solve(problem, "lagrangian", seed=seed, throw=False)
    if best is None:
        assert solution.assigned is None
        return
    assert solution.status is not Status.INFEASIBLE
    scale = 1e-9 * max(1.0, abs(float(best.objective)), oracle.magnitude(problem, best.choices))
    assert float(solution.bound) >= float(best.objective) - scale
    if solution.assigned is not None:
        judged(problem, solution)
        assert solution.objective <= float(best.objective) + scale


@pytest.mark.parametrize("family", ["budget", "budgets", "weighted", "weighted-bytes"])
def test_small_problems_are_solved_as_the_integer_program_solves_them(family):
    problem = made(family, 12, 4)
    ours, exact = solve(problem, "lagrangian"), solve(problem, "ilp")
    assert ours.objective == pytest.approx(exact.objective, rel=1e-3)
    assert ours.bound >= exact.objective * (1.0 - 1e-9)


@pytest.mark.parametrize(("family", "gap"), [("budgets", 5e-3), ("budget", 5e-3), ("weighted", 5e-3)])
def test_the_gap_is_small_where_clients_are_many(family, gap):
    problem = made(family, 400, 12)
    assert judged(problem, solve(problem, Lagrangian(rounds=2), time_limit=5)).gap <= gap


def test_the_order_of_experts_and_the_unit_of_costs_do_not_matter():
    problem = made("budgets", 40, 6)
    order = np.random.default_rng(1).permutation(6)
    turned = AlignmentProblem(
        problem.fitness[:, order],
        client_capacity=problem.client_capacity,
        client_demand=problem.client_demand,
        expert_capacity=problem.expert_capacity[order],
        expert_demand=problem.expert_demand[order],
        client_budget=problem.client_budget * 1e9,
        expert_cost=problem.expert_cost[:, order] * 1e9,
    )
    one, other = solve(problem, "lagrangian"), solve(turned, "lagrangian")
    assert max(one.objective, other.objective) <= min(one.bound, other.bound) * (1.0 + 1e-9)
    assert one.objective == pytest.approx(other.objective, rel=0.01)


@pytest.mark.parametrize("family", ["budgets", "weighted", "layers"])
def test_threads_do_not_change_the_answer(family):
    problem = made(family, 150, 8)
    solver = Lagrangian(rounds=2)
    one, two = (solve(problem, solver, seed=5, threads=threads) for threads in (1, 2))
    assert np.array_equal(one.assigned.experts, two.assigned.experts)
    assert np.array_equal(one.assigned.indptr, two.assigned.indptr)
    assert np.array_equal(one.prices, two.prices)


def test_in_haste_there_is_an_answer_wherever_greed_finds_one():
    problem = made("budgets", 100, 16)
    judged(problem, solve(problem, "lagrangian", time_limit=1.0))


def test_a_warm_start_is_never_lost():
    problem = made("budgets", 60, 8)
    cold = solve(problem, "lagrangian")
    warm = solve(problem, "lagrangian", time_limit=0.2, warm_start=cold)
    assert warm.objective >= cold.objective
    only = solve(problem, "lagrangian", warm_start=WarmStart(prices=np.full(8, 1e6)))
    judged(problem, only)


@pytest.mark.parametrize("exponent", [-9, 9])
def test_loads_of_any_magnitude_mean_the_same(exponent):
    unit = 10.0**exponent
    rng = np.random.default_rng(3)
    fitness, load = rng.random((30, 4)), rng.integers(1, 10, 30).astype(float)
    room = {"client_demand": 1, "client_capacity": 2}
    plain = AlignmentProblem(fitness, client_load=load, expert_capacity=load.sum() / 3, **room)
    scaled = AlignmentProblem(fitness, client_load=load * unit, expert_capacity=load.sum() / 3 * unit, **room)
    one, other = solve(plain, "lagrangian"), solve(scaled, "lagrangian")
    judged(scaled, other)
    assert one.objective == pytest.approx(other.objective, rel=0.01)


def test_loads_of_mixed_magnitude_are_not_rounded():
    load = np.array([1e9, 1e-9, 1e-9])
    problem = AlignmentProblem([[5.0, 1.0], [3.0, 1.0], [3.0, 1.0]], client_load=load, expert_capacity=[1e-9, np.inf])
    assert judged(problem, solve(problem, "lagrangian")).objective == 5.0


def test_free_experts_fit_any_budget_and_dear_ones_none():
    problem = AlignmentProblem(
        [[1.0, 9.0, 2.0], [1.0, 9.0, 2.0]],
        client_capacity=3,
        expert_capacity=2,
        client_budget=[1.0, 0.0],
        expert_cost=[0.0, 5.0, 1.0],
    )
    solution = judged(problem, solve(problem, "lagrangian"))
    assert solution.x.tolist() == [[True, False, True], [True, False, False]]


def test_a_negative_cost_is_refused_by_name():
    with pytest.raises(ValueError, match="expert_cost"):
        AlignmentProblem([[1.0, 2.0]], client_budget=1.0, expert_cost=[-1.0, 1.0])


def test_every_phase_is_told():
    told = []
    solve(made("budgets", 60, 8), "lagrangian", progress=told.append)
    assert {"prices", "checked"} <= {report.phase for report in told}
    objectives = [report.objective for report in told]
    assert objectives == sorted(objectives)


@pytest.mark.kernels
@pytest.mark.parametrize("family", ["weighted", "budgets", "layers-budget", "gap-c", "gap-d"])
def test_a_handful_of_clients_is_solved_as_the_integer_program_solves_it(family):
    problem = made(family, 14, 4, seed=3)
    solution = solve(problem, Lagrangian(rounds=3))
    best = solve(problem, "ilp").objective
    assert best - 0.1 * abs(best) <= solution.objective <= best + 1e-9 * abs(best)
    assert solution.bound >= best - 1e-9 * abs(best)

"""Extreme numbers and far bounds: solvers see tame ones, and the answer is that of the problem as given."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from alignsolve import AlignmentProblem, InfeasibleError, Proof, SolveError, Status, solve
from alignsolve.presolve.far_bounds import move_far_bounds
from alignsolve.presolve.pipeline import tamed
from alignsolve.presolve.scale import FEW_CLIENTS, scale_extremes
from alignsolve.solver import Answer

EXACT = ["auto", "price", "flow", "sift", "cpsat", "ilp"]


@pytest.mark.parametrize("solver", EXACT)
@pytest.mark.parametrize("size", [1e-300, 1e-120, 1e139])
def test_fitness_of_extreme_size_is_proven(solver: str, size: float):
    problem = AlignmentProblem(np.array([[3.0, 1.0], [2.0, 1.5]]) * size, expert_capacity=1)
    solution = solve(problem, solver)
    assert (solution.status, solution.objective) == (Status.OPTIMAL, pytest.approx(4.5 * size, rel=1e-12))


@pytest.mark.parametrize("solver", ["auto", "sift"])
@pytest.mark.parametrize("size", [1e-300, 1e-120, 1e139])
def test_stored_fitness_of_extreme_size_is_proven(solver: str, size: float):
    """The fuzzer found an OverflowError."""
    fitness, cost = (csr_array(np.array(each) * size) for each in ([[3.0, 1.0], [2.0, 1.5]], [[0.0, 0.5], [0.0, 0.0]]))
    problem = AlignmentProblem(fitness, expert_capacity=1, switching_cost=cost)
    solution = solve(problem, solver)
    assert (solution.status, solution.objective) == (Status.OPTIMAL, pytest.approx(4.5 * size, rel=1e-12))


@pytest.mark.parametrize("solver", ["auto", "price", "flow", "sift", "cpsat", "greedy"])
def test_a_soft_demand_that_nobody_can_meet_costs_what_it_costs(solver: str):
    problem = AlignmentProblem([[1.0, 0.5]], expert_demand=1e9, shortfall_penalty=1.0)
    solution = solve(problem, solver, time_limit=30.0)
    assert (solution.status, solution.objective) == (Status.OPTIMAL, -1999999998)


@pytest.mark.parametrize("solver", EXACT)
def test_a_capacity_that_nobody_can_reach_is_none(solver: str):
    assert solve(AlignmentProblem([[1.0, 0.5]], expert_capacity=1e19, overload_penalty=1.0), solver).objective == 1
    assert solve(AlignmentProblem(np.ones((8, 3)), client_demand=1, expert_capacity=1e20), solver).objective == 8


@pytest.mark.parametrize("load", [None, [1.0], [0.3]])
def test_a_hard_demand_that_nobody_can_meet_has_a_witness(load: list[float] | None):
    solution = solve(AlignmentProblem([[1.0, 0.5]], expert_demand=1e19, client_load=load), throw=False)
    assert (solution.status, solution.proof) == (Status.INFEASIBLE, Proof.PRICES)
    assert solution.witness is not None


def test_bounds_of_sets_that_no_load_comes_near_are_moved_near():
    """The fuzzer found a TypeError of price: a capacity of 10¹⁹ is no int64; one of 10⁹ took for ever."""
    for solver in ("price", "flow", "networkx", "cpsat", "ilp"):
        for bounds, best in (
            ({"set_capacity": [1e19, 1]}, 6),
            ({"set_capacity": [1e9, 1], "set_overload_penalty": 2.0}, 6),
            ({"set_demand": [1e19, 0], "set_shortfall_penalty": 1.0}, 7 + 4 - 10**19),
            ({"set_demand": [1e9, 0], "set_shortfall_penalty": 1.0}, 7 + 4 - 10**9),
            ({"set_demand": [1e19, 0]}, None),
            ({"set_demand": [1e9, 0]}, None),
        ):
            fields = {"client_capacity": 2, "expert_sets": [[True, True], [True, False]], **bounds}
            solution = solve(AlignmentProblem([[1, 2], [3, 1]], **fields), solver, throw=False)
            told = (solver, bounds, solution)
            assert solution.status is (Status.INFEASIBLE if best is None else Status.OPTIMAL), told
            assert solution.objective == (best and pytest.approx(best, rel=1e-15)), told
            assert solution.proof is Proof.PRICES, told


@pytest.mark.usefixtures("small_problems_are_presolved")
def test_prices_of_a_warm_start_beside_a_tiny_fitness_and_a_penalty_are_no_reason_to_fail():
    """The fuzzer found it: scaled with the fitness, the prices were 1e120, and a window between them NaN."""
    problem = AlignmentProblem(
        [[0.0, 0.0, 0.0, 2.5e-300]],
        client_capacity=3,
        expert_capacity=[0.0, 0.0, 0.0, 1.0],
        expert_sets=[[False, True, False, False]],
        set_shortfall_penalty=1.0,
    )
    solution = solve(problem, "price", warm_start=np.array([6.7, -1.5, 2.8, -1.2]), throw=False)
    assert solution.objective == 2.5e-300


@pytest.mark.parametrize("price", [1e17, -1e17, 1e300])
@pytest.mark.parametrize("solver", ["price", "auto"])
def test_only_speed_depends_on_the_prices_of_a_warm_start(solver: str, price: float):
    problem = AlignmentProblem(
        np.random.default_rng(2).random((40, 5)), client_demand=1, expert_capacity=9, expert_demand=6
    )
    assert solve(problem, solver, warm_start=np.full(5, price)).status is Status.OPTIMAL


def test_large_fitness_beside_small_is_proven_by_auto():
    assert solve(AlignmentProblem([[-1e9, 0.001]])).status is Status.OPTIMAL


def test_whole_costs_near_the_largest_and_a_barred_pair_end_the_search_for_assignments():
    assert solve(AlignmentProblem([[0], [2**53]], client_load=[[9.0], [9.0]])).objective == 2**53
    barred = AlignmentProblem([[0.0], [5.0]], client_load=[[9.0], [9.0]], eligible=[[False], [True]])
    solution = solve(barred, time_limit=60.0)
    assert solution.status is Status.OPTIMAL
    assert "stopped" not in solution.stats


@pytest.mark.parametrize("solver", ["auto", "ilp", "cpsat", "lagrangian", "greedy"])
def test_loads_and_costs_of_extreme_sizes_end_in_a_documented_way(solver: str):
    large = AlignmentProblem(
        [[5e139, -1e100, 1e139]],
        client_capacity=3,
        client_load=[[0.3, 0.4, 1.1]],
        expert_capacity=0.0,
        overload_penalty=[np.inf, 0.94, 0.97],
        client_budget=[[1.0, 0.0]],
        expert_cost=[[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]],
    )
    small = AlignmentProblem(
        [[0.05, 0.25], [0.8, 0.8], [-0.4, -0.25]],
        client_capacity=[2, 0, 2],
        client_load=[1e-12, 1e-300, 1.0],
        expert_demand=1e-12,
        client_budget=[0.0, 4e9, 0.0],
        expert_cost=[[1e9 + 0.5, 1.0], [1e9, 3e9], [1e9, 1e9]],
        shortfall_penalty=[np.inf, 1.0],
    )
    assert solve(large, solver).objective == pytest.approx(1e139)
    with pytest.raises(SolveError) as error:
        solve(small, solver)
    assert isinstance(error.value, InfeasibleError) or error.value.solution is not None


def test_prices_come_back_in_the_units_of_the_problem():
    problem = AlignmentProblem(
        [[3e200 / 1e100, 1.0], [2e100, 1.5]], client_load=[[1e-90, 1.0], [1e-90, 1.0]], expert_capacity=[1e-90, 1.0]
    )
    reduction = scale_extremes(problem)
    assert reduction is not None
    assert np.abs(reduction.problem.fitness).max() <= 1.0
    assert reduction.problem.client_load.max() <= 1.0
    solution = solve(problem, "lagrangian")
    assert solution.bound >= solution.objective == pytest.approx(3e100)


def test_tame_problems_stay_as_they_are():
    problem = AlignmentProblem([[3.0, 1.0]], expert_capacity=1, expert_demand=1, shortfall_penalty=2.0)
    assert tamed(problem) == (problem, ())
    assert move_far_bounds(problem) is None
    assert scale_extremes(problem) is None


@pytest.mark.parametrize("solver", ["auto", "ilp", "cpsat"])
def test_no_number_becomes_0(solver: str):
    """A fitness of 1.5e-214 beside -1e119 is something; scaled to the latter it would be nothing."""
    problem = AlignmentProblem([[1.5e-214, -1e119]], client_budget=1.0, expert_cost=[1.0, 0.5])
    solution = solve(problem, solver)
    assert solution.bound >= 1.5e-214
    assert solution.status is not Status.OPTIMAL or solution.objective == 1.5e-214


def test_the_price_of_a_demand_beyond_any_load_is_known_to_the_last_digit():
    problem = AlignmentProblem(
        [[0]],
        client_capacity=0,
        expert_demand=4.93827156e8,
        shortfall_penalty=4.05000004e-9,
        client_budget=[[np.inf]],
        expert_cost=[[[0.0]]],
    )
    simpler = move_far_bounds(problem)
    assert simpler is not None
    assert simpler.lift_answer(Answer(prices=np.array([-4.05e-9]))).prices.tolist() == [-4.05000004e-9]
    assert solve(problem, "ilp-cbc").status is Status.OPTIMAL


@pytest.mark.parametrize("solver", ["auto", "price", "lagrangian", "branch"])
def test_prices_of_a_warm_start_far_above_all_fitness_are_left_out(solver: str):
    """The fuzzer found a ValueError: in the unit of a fitness of 1e-300, a price of 2.4 is 1e241."""
    budget = {"client_budget": [[1.0]], "expert_cost": [[0.5], [0.5], [0.5]]} if solver != "price" else {}
    problem = AlignmentProblem([[0.0, 0.0, 2.5e-300]], expert_capacity=1, **budget)
    solution = solve(problem, solver, warm_start=np.array([-2.4, 1.5, 3.7]))
    assert (solution.status, solution.objective) == (Status.OPTIMAL, 2.5e-300)


@pytest.mark.usefixtures("small_problems_are_presolved")
@pytest.mark.parametrize("solver", ["flow", "price"])
def test_a_switching_cost_that_no_client_pays_does_not_overflow_in_the_unit_of_a_tiny_fitness(solver: str):
    problem = AlignmentProblem(
        [[0.0, 1e-300]],
        expert_group=[0, 1],
        group_capacity=[0, 0],
        switching_cost=[[0.0, 1.0]],
        previous=[[True, True]],
    )
    assert solve(problem, solver).objective == 0


def test_fitness_of_clients_that_are_not_looked_at_does_not_overflow():
    fitness = np.full((FEW_CLIENTS + 2, 2), 1e-250)
    fitness[-1] = 1e139
    reduction = scale_extremes(AlignmentProblem(fitness))
    assert reduction is not None
    assert np.abs(reduction.problem.fitness).max() < 2.0**401
    np.testing.assert_array_equal(np.ldexp(reduction.problem.fitness, reduction.value), fitness)

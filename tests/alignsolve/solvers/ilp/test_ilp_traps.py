"""Traps of floating-point integer programming: loads that fit exactly are accepted, slightly larger ones are not."""

import math

import numpy as np
import pytest

from alignsolve import AlignmentProblem, solve
from alignsolve.numerics import IntArray
from alignsolve.solution import InfeasibleError, Status
from alignsolve.solvers.ilp.solver import Ilp
from tests.integer_programs import assert_best


def test_byte_sized_loads_are_not_called_infeasible(ilp: Ilp):
    """Without scaling, CBC calls these loads infeasible with a capacity of 2e9."""
    load = np.array([1e9 + 100, 1e9])
    tight = AlignmentProblem(np.ones((2, 1)), client_load=load, expert_capacity=2e9)
    solution = solve(tight, solver=ilp)
    assert (solution.status, solution.objective) == (Status.OPTIMAL, 1.0)
    fits = AlignmentProblem(np.ones((2, 1)), client_load=load, expert_capacity=2e9 + 100, client_demand=1)
    solution = solve(fits, solver=ilp)
    assert (solution.status, solution.objective) == (Status.OPTIMAL, 2.0)
    over = AlignmentProblem(np.ones((2, 1)), client_load=load, expert_capacity=2e9, client_demand=1)
    with pytest.raises(InfeasibleError):
        solve(over, solver=ilp)


def test_a_tiny_capacity_is_not_exceeded(ilp: Ilp):
    """Without scaling, HiGHS accepts 200 % of a capacity of 1e-9."""
    problem = AlignmentProblem(np.ones((2, 1)), client_load=np.full(2, 1e-9), expert_capacity=1e-9)
    solution = solve(problem, solver=ilp)
    assert (solution.status, solution.objective) == (Status.OPTIMAL, 1.0)


def test_decimals_that_fit_exactly_fit(ilp: Ilp):
    load = np.array([0.1, 0.2])
    assert load.sum() > 0.3
    problem = AlignmentProblem(np.ones((2, 1)), client_load=load, expert_capacity=0.3, client_demand=1)
    assert solve(problem, solver=ilp).objective == 2.0
    budget = AlignmentProblem(np.ones((1, 2)), client_capacity=2, client_demand=2, client_budget=0.3, expert_cost=load)
    assert solve(budget, solver=ilp).objective == 2.0


def test_a_demand_that_is_met_exactly_is_met(ilp: Ilp):
    problem = AlignmentProblem(-np.ones((3, 1)), client_load=[0.1, 0.2, 0.7], expert_demand=0.3)
    assert solve(problem, solver=ilp).objective == -1.0
    problem = AlignmentProblem(-np.ones((2, 1)), client_load=[0.7, 0.1], expert_demand=0.8)
    assert solve(problem, solver=ilp).objective == -2.0


@pytest.mark.parametrize("excess", [3e-9, 3e-8, 3e-7])
def test_what_exceeds_a_capacity_by_a_hair_is_cut_off(ilp: Ilp, excess: float):
    """Our tolerance (1e-9 of the row) is tighter than a back end's; cover inequalities close the difference."""
    rng = np.random.default_rng(4)
    load = rng.uniform(0.5, 1.0, size=8)
    fitness = (load * (1.0 + rng.uniform(0, 1e-3, size=8)))[:, None]
    chosen = load[[0, 2, 5, 7]].sum()
    problem = AlignmentProblem(fitness, client_load=load, expert_capacity=chosen / (1.0 + excess))
    assert_best(problem, solve(problem, solver=ilp))


@pytest.mark.parametrize("excess", [3e-9, 3e-8, 3e-7])
def test_what_misses_a_demand_by_a_hair_is_cut_off(ilp: Ilp, excess: float):
    load = np.array([0.5, 0.25, 0.125, 0.8])
    problem = AlignmentProblem(-load[:, None], client_load=load, expert_demand=0.875 * (1.0 + excess))
    assert_best(problem, solve(problem, solver=ilp))


@pytest.mark.parametrize("excess", [3e-9, 3e-8, 3e-7])
def test_what_exceeds_a_budget_by_a_hair_is_cut_off(ilp: Ilp, excess: float):
    cost = np.array([0.5, 0.25, 0.125, 0.8])
    problem = AlignmentProblem(
        cost[None, :], client_capacity=4, client_budget=0.875 / (1.0 + excess), expert_cost=cost, expert_capacity=1
    )
    assert_best(problem, solve(problem, solver=ilp))


def test_infinite_bounds_and_budgets_bind_nobody(ilp: Ilp):
    problem = AlignmentProblem(
        np.ones((2, 2)),
        client_capacity=2,
        client_load=[2.0, 3.0],
        expert_capacity=math.inf,
        client_budget=[math.inf, 1.0],
        expert_cost=[1.0, 1.0],
    )
    assert solve(problem, solver=ilp).objective == 3.0


def test_bounds_soft_on_both_sides_are_solved_to_the_optimum(ilp: Ilp):
    """The presolve of HiGHS 1.14 ends at −3: it is misled by equal rows for the overload and for the shortfall.

    Without the pair two units are missing, at 1 each. With it one unit is too much, at 2, and the fitness is −1.
    """
    problem = AlignmentProblem(
        [[-1]], client_load=[2.0], expert_capacity=1.0, expert_demand=2.0, overload_penalty=2.0, shortfall_penalty=1.0
    )
    solution = solve(problem, solver=ilp)
    assert (solution.status, solution.objective) == (Status.OPTIMAL, -2.0)


def test_two_budgets_and_a_penalty_are_solved_to_the_optimum():
    """HiGHS 1.14 with tolerances of 1e-9 and presolve off ends at 75115, and calls it optimal."""
    rng = np.random.default_rng(500055)
    for low, high in ((30, 301), (8, 13), (0, 6)):
        rng.integers(low, high)
    fitness = np.round(rng.random((245, 11))[:60] * 1000).astype(int)
    budget = (
        "cdebeaddcebbebcccdedaeeccbeecbacbdcdbcbaaacdeecccaaaddabeecd"
        "aeceebdacbddecdccccababbbbcebcdcabdebbbeebdcaceaaebbbeadbcda"
    )
    problem = AlignmentProblem(
        fitness,
        overload_penalty=754,
        expert_capacity=[42, 37, 93, 75, 89, 65, 75, 93, 70, 47, 37],
        client_capacity=digits("313142412331141223143134441221232143143211144412221141241232"),
        client_load=digits("764473424325114764434655464523318675777464755743743854373474"),
        client_budget=np.array([5, 6, 10, 13, 20])[["abcde".index(each) for each in budget]].reshape(60, 2),
        expert_cost=digits("737a7172272a17371213aa").reshape(11, 2),
    )
    solution = solve(problem, Ilp())
    assert (solution.status, solution.objective) == (Status.OPTIMAL, 75521)


def digits(text: str) -> IntArray:
    """The numbers of a text, one a character; ``a`` is 10."""
    return np.array([int(each, 36) for each in text])


def test_costs_of_very_different_sizes_are_not_called_infeasible(ilp: Ilp):
    """HiGHS 1.14 with tolerances of 1e-9 calls this infeasible, though nothing is demanded."""
    problem = AlignmentProblem(
        [[1, 1e6, 1e6, 1], [1, 2e6, 2e6, 1e6]],
        client_budget=[[2, 2], [1, 3]],
        expert_cost=[[0, 1], [1, 0], [1, 1], [0, 0]],
    )
    solution = solve(problem, solver=ilp)
    assert (solution.status, solution.objective) == (Status.OPTIMAL, 3e6)

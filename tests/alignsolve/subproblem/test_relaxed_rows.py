"""The relaxed rows of clients with budgets, against the exact knapsacks and against a linear program."""

import numpy as np
import pytest
from scipy.optimize import linprog

from alignsolve import AlignmentProblem
from alignsolve.subproblem.knapsack import MANY_WITH_DEMANDS, best_rows_within_budgets
from alignsolve.subproblem.relaxed_rows import budget_rows, relax_rows, whole_units

pytestmark = pytest.mark.kernels


def small_problem(seed):
    """Three clients with up to three budgets and three groups; some pairs are not eligible, some are required."""
    rng = np.random.default_rng(seed)
    n, num_experts, resources = 3, int(rng.integers(1, 11)), int(rng.integers(1, 4))
    eligible = rng.random((n, num_experts)) < 0.8
    cost = rng.integers(0, 6, (num_experts, resources)) if seed % 2 else 4 * rng.random((n, num_experts, resources))
    return AlignmentProblem(
        rng.normal(size=(n, num_experts)),
        client_capacity=int(rng.integers(1, num_experts + 1)),
        client_demand=int(rng.integers(0, 2)),
        expert_group=np.arange(num_experts) % min(num_experts, int(rng.integers(1, 4))),
        group_demand=int(rng.integers(0, 2)),
        group_capacity=int(rng.integers(1, 4)),
        client_budget=rng.integers(1, 12, (n, resources)).astype(float),
        expert_cost=cost.astype(float),
        eligible=eligible,
        required=eligible & (rng.random((n, num_experts)) < 0.05) if seed % 3 == 0 else None,
    )


def relaxed(problem, **options):
    block = problem.block(0, problem.num_clients)
    worth = np.where(block.allowed, block.value, 0.0) if block.allowed is not None else block.value
    rows = budget_rows(block, block.budget * (1 + 1e-9))
    return relax_rows(rows, worth, np.zeros(block.budget.shape), **options), worth, block


@pytest.mark.parametrize("first", range(0, 300, 100))
def test_the_bound_holds_and_the_choice_is_possible(first):
    found = 0
    for seed in range(first, first + 100):
        answer, worth, block = relaxed(small_problem(seed))
        optimum, feasible, _ = best_rows_within_budgets(block, worth)
        for i in range(len(optimum)):
            if not feasible[i]:
                assert answer.worth[i] == -np.inf, seed
                continue
            assert answer.bound[i] >= optimum[i] - 1e-9, seed
            assert answer.worth[i] <= optimum[i] + 1e-9, seed
            if answer.worth[i] > -np.inf:
                found += 1
                chosen = answer.chosen[i]
                assert worth[i][chosen].sum() == pytest.approx(answer.worth[i])
                assert (block.cost[i][chosen].sum(axis=0) <= block.budget[i] * (1 + 1e-8)).all()
    assert found > 200


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("resources", [1, 2])
def test_the_bound_of_one_or_two_budgets_is_the_relaxations_optimum(seed, resources):
    rng = np.random.default_rng(seed)
    worth, cost = rng.normal(size=30), rng.random((30, resources))
    problem = AlignmentProblem(
        worth[None], client_capacity=30, client_budget=np.full((1, resources), 2.5), expert_cost=cost
    )
    answer, _, _ = relaxed(problem)
    program = linprog(-worth, A_ub=cost.T, b_ub=np.full(resources, 2.5 * (1 + 1e-9)), bounds=(0, 1))
    assert answer.bound[0] == pytest.approx(-program.fun, rel=1e-8)


def test_a_demand_that_no_budget_pays_for_leaves_no_choice():
    problem = AlignmentProblem(
        np.ones((2, 4)),
        client_capacity=4,
        expert_group=[0, 0, 1, 1],
        group_demand=1,
        client_budget=[3.0, 5.0],
        expert_cost=[2.0, 3.0, 2.0, 4.0],
    )
    answer, _, _ = relaxed(problem)
    assert answer.bound[0] == -np.inf
    assert answer.chosen[1].tolist() == [True, False, True, False]


def test_budgets_are_rounded_down_to_whole_units():
    cost, budget = np.array([[4e6, 0.5], [6e6, 1.0]]), np.array([[9.5e6, 0.7], [np.inf, 2.0]])
    assert whole_units(cost, budget).tolist() == [[8e6, 0.7], [np.inf, 2.0]]
    assert whole_units(np.zeros((2, 1)), np.array([[3.5]])).tolist() == [[3.5]]


def test_rows_with_many_experts_and_demands_that_bind_get_a_bound_and_a_choice():
    rng = np.random.default_rng(3)
    num_experts = 2 * MANY_WITH_DEMANDS
    problem = AlignmentProblem(
        -rng.random((4, num_experts)),
        client_capacity=num_experts,
        expert_group=np.arange(num_experts) // 4,
        group_demand=1,
        client_budget=np.full((4, 1), 15.0),
        expert_cost=rng.random((num_experts, 1)),
    )
    value, feasible, chosen = best_rows_within_budgets(problem.block(0, 4), problem.fitness)
    assert feasible.all()
    reached = np.where(chosen, problem.fitness, 0.0).sum(axis=1)
    assert (reached <= value + 1e-9).all()
    assert (value - reached <= 0.02 * np.abs(value)).all()
    assert (np.add.reduceat(chosen, np.arange(0, num_experts, 4), axis=1) >= 1).all()

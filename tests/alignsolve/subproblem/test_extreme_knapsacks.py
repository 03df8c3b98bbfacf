"""Knapsacks with numbers of extreme sizes, against all sets of experts; the fuzzer found bounds below the optimum."""

import itertools

import numpy as np
import pytest

from alignsolve import AlignmentProblem
from alignsolve.subproblem.knapsack import best_rows_within_budgets

pytestmark = pytest.mark.kernels

FOUND = {
    "tiny worths": AlignmentProblem(
        [[6e-300, 8e-300]], client_capacity=2, client_budget=[[1.0]], expert_cost=[[0.4], [0.8]]
    ),
    "tiny costs": AlignmentProblem(
        [[7e9, 1e9, 5e9, 6e9]],
        client_capacity=4,
        client_budget=[[1.3e-299]],
        expert_cost=[[3e-300], [5e-300], [3e-300], [4e-300]],
    ),
    "tiny costs, huge worths": AlignmentProblem(
        [[2e100, 1.0, 4e100]],
        client_capacity=3,
        client_budget=[[1.3848793164572276e-300]],
        expert_cost=[[7.253290008264334e-301], [0.0], [7.474574105572023e-301]],
    ),
}


def best_of_all_sets(problem):
    worth, cost, budget = problem.fitness[0], problem.expert_cost[0, :, 0], problem.client_budget[0, 0]
    sets = itertools.chain.from_iterable(
        itertools.combinations(range(len(worth)), size) for size in range(len(worth) + 1)
    )
    return max(sum(worth[list(each)]) for each in sets if cost[list(each)].sum() <= budget * (1 + 1e-9))


@pytest.mark.parametrize("name", FOUND)
def test_what_was_found(name):
    problem = FOUND[name]
    best = best_of_all_sets(problem)
    assert best <= problem.bound(np.zeros(problem.num_experts)) <= best * (1 + 1e-12)


def solved(arrays, value, fee):
    worth, cost, budget = arrays
    problem = AlignmentProblem(worth * value, client_capacity=4, client_budget=budget * fee, expert_cost=cost * fee)
    return best_rows_within_budgets(problem.block(0, 2), problem.fitness)


@pytest.mark.parametrize("unit", [1e-300, 1e-150, 1e-60, 1e60, 1e100, 1e139])
@pytest.mark.parametrize("fee", [1e-300, 1e-120, 1e120])
def test_units_do_not_change_a_choice(unit, fee):
    rng = np.random.default_rng(7)
    for _ in range(10):
        arrays = rng.random((2, 6)), rng.random((6, 2)), rng.random((2, 2)) + 0.5
        plain, scaled = solved(arrays, 1.0, 1.0), solved(arrays, unit, fee)
        np.testing.assert_array_equal(scaled[2], plain[2])
        np.testing.assert_allclose(scaled[0] / unit, plain[0], rtol=1e-12)


def test_a_load_that_no_integer_holds_is_no_integer():
    problem = AlignmentProblem(np.array([[0, 1]]), client_load=[1e100])
    assert problem.bound([0.0, 0.0]) >= 1

"""Rows with budgets whose experts are of few sizes, against enumeration and against the search over experts."""

import itertools

import numpy as np
import pytest

from alignsolve import AlignmentProblem
from alignsolve.numerics import FEASIBILITY
from alignsolve.subproblem.knapsack import _searched, _sized, best_rows_within_budgets
from alignsolve.subproblem.relaxed_rows import budget_rows, relax_rows
from alignsolve.subproblem.sized_rows import size_rows, sizes_of

pytestmark = pytest.mark.kernels


@pytest.mark.parametrize("seed", range(30))
def test_numbers_of_each_size_are_the_best(seed):
    rng = np.random.default_rng(seed)
    sizes_cost = rng.permutation([2.0, 3.0, 5.0])
    of = np.repeat([0, 1, 2], 4)
    problem = AlignmentProblem(
        rng.random((5, 12)),
        expert_group=of,
        group_demand=int(seed % 2),
        group_capacity=3,
        client_capacity=7,
        client_budget=rng.uniform(10.0, 25.0, 5),
        expert_cost=sizes_cost[of],
    )
    rows = budget_rows(problem.block(0, 5), problem.client_budget)
    rate = np.zeros((5, 1))
    relax_rows(rows, problem.fitness, rate)
    sizes = sizes_of(rows)
    found = size_rows(rows, problem.fitness, rate, sizes)

    def worth(i, number):
        ranked = -np.sort(-problem.fitness[i].reshape(3, 4), axis=1)
        return sum(ranked[g, : number[sizes.of[4 * g]]].sum() for g in range(3))

    for i in range(5):
        possible = [
            number
            for number in itertools.product(range(seed % 2, 4), repeat=3)
            if np.dot(number, sizes.cost[:, 0]) <= problem.client_budget[i, 0] and sum(number) <= 7
        ]
        assert tuple(found.numbers[i]) in possible
        assert worth(i, found.numbers[i]) == pytest.approx(max(worth(i, number) for number in possible))
        assert found.worth[i] == pytest.approx(problem.fitness[i] @ found.chosen[i])


def test_sizes_are_found_only_where_costs_are_the_same_within_groups():
    group = [0, 0, 1, 1]

    def sizes(cost, **options):
        problem = AlignmentProblem(
            np.ones((2, 4)), expert_group=group, client_budget=np.full(2, 9.0), expert_cost=cost, **options
        )
        return sizes_of(budget_rows(problem.block(0, 2), problem.client_budget))

    assert sizes([2.0, 2.0, 3.0, 3.0]).of.tolist() == [0, 0, 1, 1]
    assert sizes([2.0, 3.0, 3.0, 3.0], group_demand=1) is None
    assert sizes([2.0, 3.0, 3.0, 3.0], group_capacity=1) is None
    assert sizes([2.0, 3.0, 3.0, 3.0]).of.tolist() == [0, 1, 1, 1]  # groups that bound nothing
    assert sizes([[2.0, 2.0, 3.0, 3.0], [1.0, 1.0, 3.0, 3.0]]) is None


@pytest.mark.parametrize("shape", [(1, 0), (0, 8), (1, 1)])
def test_nobody_and_nothing_to_choose_from(shape):
    problem = AlignmentProblem(np.ones(shape), client_budget=np.full(shape[0], 2.0), expert_cost=np.ones(shape[1]))
    block = problem.block(0, shape[0])
    value, feasible, chosen = best_rows_within_budgets(block, np.ones(shape))
    assert (value.tolist(), feasible.all(), chosen.sum()) == ([float(shape[1])] * shape[0], True, shape[0] * shape[1])


def rows_of(rng):
    """Clients with layers of two or three sizes, as drawn by the generator, and their reduced fitness."""
    layers, width, resources = rng.integers(2, 5), rng.integers(4, 7), rng.integers(1, 3)
    num_experts, n = int(layers * width), 6
    kinds = rng.choice([0.5, 1.0, 3.0, 7.0, 1e-9, 1e6], (3, resources))
    cost = kinds[np.repeat(rng.integers(0, 3, layers), width)]
    demand = int(rng.integers(0, 3))
    few = cost[:: int(width)].sum(axis=0)
    reduced = rng.integers(-3, 9, (n, num_experts)) * rng.choice([1.0, 0.1, 1e-12, 1e9])
    if rng.random() < 0.3:
        reduced = reduced * rng.random((n, num_experts))
    problem = AlignmentProblem(
        np.abs(reduced),
        eligible=rng.random((n, num_experts)) < 0.9,
        expert_group=np.repeat(np.arange(layers), width),
        group_demand=demand,
        group_capacity=max(demand, int(rng.integers(1, width + 1))),
        client_capacity=int(rng.integers(demand * layers, num_experts + 1)),
        client_demand=int(rng.integers(0, 3)) * (rng.random() < 0.3),
        client_budget=few * rng.uniform(0.5, 1.5 * width, (n, 1)),
        expert_cost=cost,
    )
    return problem.block(0, n), reduced


@pytest.mark.parametrize("seed", range(60))
def test_equals_the_search_over_experts(seed):
    """Ties, demands that bind, clients that cannot pay, two budgets, negative worth, and costs far apart."""
    block, reduced = rows_of(np.random.default_rng(seed))
    budget = block.budget + FEASIBILITY * np.abs(block.budget)
    value, feasible, chosen, solved = _sized(block, reduced, budget)
    expected, possible, _, known = _searched(block, reduced, budget)
    sure = solved & known
    assert (feasible[sure] == possible[sure]).all()
    sure &= possible
    size = np.abs(reduced).max()
    assert value[sure] == pytest.approx(expected[sure], abs=1e-12 * size)
    for i in np.flatnonzero(sure):
        assert reduced[i] @ chosen[i] == pytest.approx(value[i], abs=1e-12 * size)
        assert (block.cost[i][chosen[i]].sum(axis=0) <= budget[i] * (1 + 1e-15)).all()
        count = np.bincount(block.group[chosen[i]], minlength=block.group_demand.shape[1])
        assert (count >= block.group_demand[i]).all()
        assert (count <= block.group_capacity[i]).all()
        assert block.demand[i] <= count.sum() <= block.capacity[i]
        assert block.allowed[i][chosen[i]].all()


def test_most_rows_of_few_sizes_are_solved_by_numbers():
    blocks = [rows_of(np.random.default_rng(seed)) for seed in range(20)]
    solved = [_sized(block, reduced, block.budget)[3] for block, reduced in blocks]
    assert np.mean(solved) > 0.8


def test_a_row_whose_own_demand_binds_is_left_to_the_search():
    """Three experts are demanded, and only one of each size is worth something."""
    worth = np.array([[2.0, -1.0, -1.0, -1.0, 3.0, -2.0, -2.0, -2.0]])
    problem = AlignmentProblem(
        np.abs(worth), client_demand=3, client_capacity=8, client_budget=[9.0], expert_cost=np.repeat([2.0, 3.0], 4)
    )
    block = problem.block(0, 1)
    assert not _sized(block, worth, block.budget)[3].any()
    value, feasible, chosen = best_rows_within_budgets(block, worth)
    assert feasible.all()
    assert value.tolist() == [4.0]
    assert chosen.sum() == 3

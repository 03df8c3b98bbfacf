"""Budgets that are counts of experts, in the arithmetic by which budgets are checked."""

import numpy as np
import pytest

from alignsolve import AlignmentProblem, ProblemClass, Proof, solve
from alignsolve.certificate import row_witness
from alignsolve.presolve.budgets import count_budgets
from alignsolve.presolve.spending import _count_by_adding, dearest, largest_count

pytestmark = pytest.mark.usefixtures("small_problems_are_presolved")


def posed(cost, budget, **fields):
    """Return a problem with these costs and budgets, and no other bounds than those given."""
    budget = np.asarray(budget, dtype=float)
    cost = np.asarray(cost, dtype=float)
    shape = cost.shape[:2] if cost.ndim == budget.ndim + 1 else (len(budget), len(cost))
    fields = {"client_capacity": shape[1]} | fields
    return AlignmentProblem(np.ones(shape), client_budget=budget, expert_cost=cost, **fields)


def test_equal_costs_become_a_capacity():
    reduction = count_budgets(posed([4.0, 4.0, 4.0], [3.9, 4.0, 11.9, 12.0, 100.0]))
    assert reduction.problem.client_capacity.tolist() == [0, 1, 2, 3, 3]
    assert reduction.problem.class_ is ProblemClass.CARDINALITY
    assert reduction.problem.expert_cost is None
    assert "1 of 1 budgets" in reduction.told


def test_the_count_is_the_largest_that_the_check_admits():
    rng = np.random.default_rng(0)
    cost = rng.choice([0.1, 0.7, 1e-9, 3e7, 1 / 3], 300)
    budget = cost * rng.integers(0, 12, 300) * rng.choice([1.0, 1 - 2e-9, 1 - 1e-9, 1 - 5e-10, 1 + 1e-15], 300)
    problem = posed(np.repeat(cost[:, None], 10, axis=1), budget)
    capacity = count_budgets(problem).problem.client_capacity
    for i in range(300):
        accepted = [k for k in range(11) if not any(" of resource" in told for told in broken(problem, i, k))]
        assert accepted == list(range(capacity[i] + 1))


def broken(problem, i, count):
    """Return what client i breaks by taking so many experts."""
    x = np.zeros(problem.shape, dtype=bool)
    x[i, :count] = True
    return problem.violations(x)


def test_costs_that_differ_by_a_rounding_are_not_equal():
    assert count_budgets(posed([0.3, 0.1 + 0.2, 0.3], [0.6])) is None


def test_only_eligible_pairs_have_costs():
    eligible = np.array([[True, True, False], [True, False, True]])
    cost = np.where(eligible, 2.0, np.nan)
    reduction = count_budgets(posed(cost, [3.0, 4.0], eligible=eligible))
    assert reduction.problem.client_capacity.tolist() == [1, 2]
    nobody = posed(np.full((2, 3), np.nan), [3.0, 4.0], eligible=np.zeros((2, 3), bool))
    assert count_budgets(nobody).problem.client_budget is None


def test_budgets_that_never_bind_are_dropped():
    idle = count_budgets(posed([1.0, 2.0, 3.0], [5.0, 6.0], client_capacity=2))
    assert (idle.problem.client_budget, idle.problem.client_capacity.tolist()) == (None, [2, 2])
    assert count_budgets(posed([1.0, 2.0, 3.0], [4.9, 6.0], client_capacity=2)) is None
    assert count_budgets(posed([1.0, 2.0, 3.0], [np.inf, 6.0])).problem.client_budget is None
    assert count_budgets(posed([0.0, 0.0], [0.0])).problem.client_capacity.tolist() == [2]
    exactly = posed([0.1, 0.2, 0.3], [0.1 + 0.2 + 0.3])
    assert count_budgets(exactly).problem.client_budget is None


def test_a_budget_of_zero_leaves_free_experts_only():
    assert count_budgets(posed([1.0, 1.0], [0.0])).problem.client_capacity.tolist() == [0]
    assert count_budgets(posed([1.0, 0.0], [0.0])) is None


def test_groups_say_what_the_dearest_choice_is():
    groups = {"expert_group": [0, 0, 1, 1], "group_capacity": 1}
    assert count_budgets(posed([4.0, 3.0, 2.0, 1.0], [6.0], **groups)).problem.client_budget is None
    assert count_budgets(posed([4.0, 3.0, 2.0, 1.0], [5.9], **groups)) is None


def test_costs_of_one_group_become_its_capacity():
    groups = {"expert_group": [0, 0, 0, 1], "group_capacity": [3, 1]}
    reduction = count_budgets(posed([4.0, 4.0, 4.0, 0.0], [8.5, 100.0], **groups))
    assert reduction.problem.group_capacity.tolist() == [[2, 1], [3, 1]]
    assert reduction.problem.client_capacity.tolist() == [4, 4]
    # A free expert within the costly group, and two costly groups, stay a knapsack.
    assert count_budgets(posed([4.0, 4.0, 0.0, 0.0], [4.0], **groups)) is None
    assert count_budgets(posed([4.0, 4.0, 4.0, 3.0], [8.0], **groups)) is None


def test_one_of_several_resources_is_dropped():
    cost = np.array([[2.0, 1.0], [2.0, 2.0], [2.0, 3.0]])
    reduction = count_budgets(posed(cost, [[4.0, 4.0], [2.0, 3.0]]))
    assert reduction.problem.client_capacity.tolist() == [2, 1]
    assert reduction.problem.client_budget.tolist() == [[4.0], [3.0]]
    assert reduction.problem.expert_cost[0].tolist() == [[1.0], [2.0], [3.0]]
    assert reduction.problem.class_ is ProblemClass.GENERAL
    # The second never binds once the first is a capacity.
    assert count_budgets(posed(cost[:, ::-1], [[5.0, 4.0], [3.0, 2.0]])).problem.client_budget is None


@pytest.mark.parametrize("field", [{"client_demand": 2}, {"required": [[True, True, False]]}])
def test_a_row_that_contradicts_itself_is_left_as_it_is(field):
    assert count_budgets(posed([4.0, 4.0, 4.0], [4.0], **field)) is None
    assert count_budgets(posed([4.0, 4.0, 4.0], [8.0], **field)).problem.client_capacity.tolist() == [2]


def test_without_budgets_there_is_nothing_to_count():
    assert count_budgets(AlignmentProblem(np.ones((2, 2)))) is None


def test_spending_is_added_up_one_by_one():
    tenth = np.array([0.1])
    assert largest_count(tenth, np.array([1.0]), np.array([20])).tolist() == [10]
    assert largest_count(tenth, np.array([np.inf]), np.array([20])).tolist() == [20]
    assert largest_count(np.zeros(0), np.zeros(0), np.zeros(0, dtype=int)).tolist() == []
    assert dearest(np.array([[1.0, 5.0, 3.0]]), np.array([[True, False, True]]), np.array([2]))[0] == pytest.approx(4)
    assert dearest(np.zeros((2, 0)), np.zeros((2, 0), bool), np.array([1, 1])).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("seed", range(20))
def test_products_count_what_adding_one_by_one_counts(seed):
    rng = np.random.default_rng(seed)
    cost = rng.choice([0.0, 1e-9, 0.1, 1 / 3, 1.0, 3.7, 1e9], 300) * rng.choice([1.0, rng.random()], 300)
    near = rng.choice([0.0, 1e-16, -1e-16, -1e-9, -1.0000001e-9, -1e-9 / (1 + 1e-9), 1e-10], 300)
    budget = cost * rng.integers(0, 300, 300) * (1.0 + near) + rng.choice([0.0, 0.0, 1e-3], 300)
    budget = np.where(rng.random(300) < 0.1, rng.choice([np.inf, -1.0], 300), budget)
    most = rng.integers(0, 310, 300)
    count = largest_count(cost, budget, most)
    assert count.tolist() == _count_by_adding(cost, budget, most).tolist()


@pytest.mark.parametrize("eligible", [None, "some"])
@pytest.mark.parametrize("spread", ["all alike", "by client", "by expert"])
def test_the_bound_counts_budgets_too_where_all_experts_cost_a_client_the_same(spread, eligible):
    rng = np.random.default_rng(0)
    cost = {"all alike": np.ones(12), "by client": np.ones((20, 12)) * rng.random((20, 1)), "by expert": rng.random(12)}
    problem = AlignmentProblem(
        rng.random((20, 12)),
        client_capacity=6,
        expert_capacity=4,
        client_budget=rng.uniform(1.0, 5.0, 20),
        expert_cost=cost[spread],
        eligible=None if eligible is None else rng.random((20, 12)) < 0.8,
    )
    reduction = count_budgets(problem)
    assert (reduction is None) == (spread == "by expert")
    if reduction is not None:
        prices = rng.random(12)
        assert reduction.only_by_rounding
        assert problem.bound(prices) == pytest.approx(reduction.problem.bound(prices), rel=1e-12)
        assert solve(problem, presolve=True).proof is Proof.PRICES


def test_clients_that_can_pay_for_the_dearest_expert_of_each_layer_have_a_choice():
    rng = np.random.default_rng(0)
    cost, group, least = rng.uniform(1.0, 2.0, (1, 12, 1)), np.arange(12) // 3, np.ones((5, 4), dtype=np.int64)
    dearest = cost.reshape(4, 3).max(axis=1).sum()
    assert row_witness._dearest_fit(cost, np.full((5, 1), dearest * (1.0 + 1e-12)), group, least)
    assert not row_witness._dearest_fit(cost, np.full((5, 1), dearest * 0.999), group, least)
    assert not row_witness._dearest_fit(cost, np.full((5, 1), np.inf), group, 0 * least)
    assert not row_witness._dearest_fit(cost, np.full((5, 1), np.inf), np.minimum(group, 2), least)

"""Pairs, expert capacities and groups that say nothing."""

import numpy as np
import pytest

from alignsolve import AlignmentProblem, Answer
from alignsolve.presolve.groups import drop_groups
from alignsolve.presolve.idle_bounds import drop_idle_bounds
from alignsolve.presolve.impossible_pairs import drop_impossible_pairs

pytestmark = pytest.mark.usefixtures("small_problems_are_presolved")


def posed(num_clients, num_experts, **fields):
    return AlignmentProblem(np.ones((num_clients, num_experts)), **fields)


def test_pairs_that_no_budget_pays_for_become_ineligible():
    budget = np.array([2.0, 2.0 * (1 - 0.9e-9), 2.0 * (1 - 1.1e-9), np.inf])
    reduction = drop_impossible_pairs(posed(4, 2, client_budget=budget, expert_cost=[1.0, 2.0]))
    assert reduction.problem.eligible.tolist() == [[True, True], [True, True], [True, False], [True, True]]
    assert reduction.told == "1 pairs cost more than the client's budget"
    assert drop_impossible_pairs(posed(1, 2, client_budget=[2.0], expert_cost=[1.0, 2.0])) is None
    assert drop_impossible_pairs(posed(1, 2)) is None


def test_every_resource_counts_and_required_pairs_stay():
    cost = np.array([[1.0, 9.0], [9.0, 1.0], [1.0, 1.0]])
    required = np.array([[True, False, False], [False, False, False]])
    eligible = np.array([[True, True, True], [False, True, True]])
    cost = np.where(eligible[:, :, None], cost, np.nan)
    problem = posed(2, 3, client_budget=np.full((2, 2), 2.0), expert_cost=cost, required=required, eligible=eligible)
    assert drop_impossible_pairs(problem).problem.eligible.tolist() == [[True, False, True], [False, False, True]]
    assert problem.eligible.tolist() == eligible.tolist()


def test_capacities_that_all_clients_cannot_exceed_are_dropped():
    reduction = drop_idle_bounds(posed(3, 4, expert_capacity=[2.0, 3.0, 3.0 - 1e-9, 2.9], expert_demand=[0, 0, 1, 0]))
    assert reduction.problem.expert_capacity.tolist() == [2.0, np.inf, np.inf, 2.9]
    lifted = reduction.lift_answer(Answer(prices=np.array([1.0, -1.0, -1.0, 1.0])))
    assert lifted.prices.tolist() == [1.0, 0.0, -1.0, 1.0]
    assert drop_idle_bounds(posed(3, 2, expert_capacity=2.0)) is None
    assert drop_idle_bounds(posed(3, 2)) is None


def test_only_eligible_clients_load_an_expert():
    eligible = np.array([[True, True], [True, False], [False, False]])
    load = np.where(eligible, [[2.0, 3.0]], np.nan)
    fields = {"eligible": eligible, "client_load": load}
    assert drop_idle_bounds(posed(3, 2, **fields, expert_capacity=[4.0, 2.9])).problem.expert_capacity[0] == np.inf
    assert drop_idle_bounds(posed(3, 2, **fields, expert_capacity=[3.9, 2.9])) is None
    assert drop_idle_bounds(posed(3, 2, eligible=eligible, expert_capacity=[1.0, 1.0])).problem.expert_capacity[1] > 1


def test_a_soft_capacity_is_idle_only_if_nothing_is_paid():
    assert drop_idle_bounds(posed(3, 1, expert_capacity=3.0 - 1e-10, overload_penalty=1e9)) is None
    assert drop_idle_bounds(posed(3, 1, expert_capacity=3.0, overload_penalty=1e9)).problem.experts.penalty(9.0) == 0


def test_groups_without_binding_bounds_are_dropped():
    groups = {"expert_group": [0, 0, 1]}
    assert drop_groups(posed(2, 3, client_capacity=3, **groups)).problem.expert_group is None
    assert drop_groups(posed(2, 3, client_capacity=1, group_capacity=1, **groups)).problem.num_groups == 0
    assert drop_groups(posed(2, 3, client_capacity=2, group_capacity=1, **groups)) is None
    assert drop_groups(posed(2, 3, client_capacity=2, group_demand=[1, 0], **groups)) is None
    eligible = [[True, False, True], [False, True, True]]
    assert drop_groups(posed(2, 3, client_capacity=2, group_capacity=1, eligible=eligible, **groups)) is not None
    assert drop_groups(posed(2, 3)) is None


@pytest.mark.parametrize(("capacity", "demand"), [([1, 3], [0, 2]), ([3, 1], [2, 0])])
def test_one_group_gives_its_bounds_to_the_clients(capacity, demand):
    fields = {"group_capacity": [[3], [1]], "group_demand": [[1], [0]], "expert_group": [0, 0, 0]}
    reduced = drop_groups(posed(2, 3, client_capacity=capacity, client_demand=demand, **fields)).problem
    assert reduced.client_capacity.tolist() == np.minimum(capacity, [3, 1]).tolist()
    assert reduced.client_demand.tolist() == np.maximum(demand, [1, 0]).tolist()
    assert (reduced.expert_group, reduced.group_capacity, reduced.group_demand) == (None, None, None)

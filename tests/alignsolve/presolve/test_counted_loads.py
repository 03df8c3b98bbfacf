"""Loads that are counts of clients, and the way back of prices."""

import math

import numpy as np
import pytest

from alignsolve import AlignmentProblem, Answer, ProblemClass, WarmStart
from alignsolve.presolve.loads import count_loads

pytestmark = pytest.mark.usefixtures("small_problems_are_presolved")


def posed(weight, num_clients=5, **fields):
    """Return a problem in which every client loads expert j by ``weight[j]``."""
    return AlignmentProblem(
        np.ones((num_clients, len(weight))), client_load=np.tile(weight, (num_clients, 1)), **fields
    )


def test_bounds_are_counted_in_clients():
    problem = posed([2.0, 5.0], expert_capacity=[7.0, 10.0], expert_demand=[2.1, 5.0])
    reduced = count_loads(problem).problem
    assert (reduced.expert_capacity.tolist(), reduced.expert_demand.tolist()) == ([3.0, 2.0], [2.0, 1.0])
    assert reduced.class_ is ProblemClass.CARDINALITY


def test_the_counts_are_those_that_the_check_admits():
    rng = np.random.default_rng(1)
    weight = rng.choice([0.1, 0.7, 1 / 3, 1e-9, 123456789.0], 200)
    near = weight * rng.integers(0, 6, 200) * rng.choice([1.0, 1 + 2e-9, 1 + 1e-9, 1 - 1e-9, 1 - 2e-9], 200)
    demand = np.minimum(near, weight * 4)
    for field, values in (("expert_capacity", near), ("expert_demand", demand)):
        problem = posed(weight, **{field: values})
        reduced = count_loads(problem).problem
        for count in range(6):
            loads = count * weight
            assert np.array_equal(problem.experts.overloads(loads) > 0, count > reduced.expert_capacity)
            assert np.array_equal(problem.experts.shortfalls(loads) > 0, count < reduced.expert_demand)


def test_prices_are_per_unit_of_load_again():
    reduction = count_loads(posed([2.0, 5.0, 3.0], expert_capacity=[7.0, 10.0, math.inf]))
    assert reduction.lift_answer(Answer(prices=np.array([4.0, 5.0, -1.0]))).prices.tolist() == [2.0, 1.0, 0.0]
    assert reduction.lower_warm_start(WarmStart(None, np.array([2.0, 1.0, 0.0]))).prices.tolist() == [4.0, 5.0, 0.0]
    assert reduction.lower_warm_start(WarmStart()) == WarmStart()
    for nonsense in (None, [1.0], "x"):
        assert reduction.lift_answer(Answer(prices=nonsense)).prices is nonsense


def test_loads_of_experts_without_bounds_do_not_matter():
    load = np.array([[2.0, 1.0], [2.0, 9.0]])
    reduced = count_loads(AlignmentProblem(np.ones((2, 2)), client_load=load, expert_capacity=[2.0, np.inf])).problem
    assert reduced.expert_capacity.tolist() == [1.0, np.inf]
    assert count_loads(AlignmentProblem(np.ones((2, 2)), client_load=load, expert_capacity=[np.inf, 9.0])) is None
    unbounded = count_loads(AlignmentProblem(np.ones((2, 2)), client_load=load * 0))
    assert unbounded.problem.client_load is None


def test_only_eligible_pairs_have_loads():
    eligible = np.array([[True, False], [True, True]])
    load = np.where(eligible, 3.0, np.nan)
    reduced = count_loads(AlignmentProblem(np.ones((2, 2)), client_load=load, eligible=eligible, expert_capacity=4.0))
    assert reduced.problem.expert_capacity.tolist() == [1.0, 1.0]
    nobody = np.array([[True, False], [True, False]])
    soft = AlignmentProblem(np.ones((2, 2)), client_load=load, eligible=nobody, expert_demand=3.0, shortfall_penalty=1)
    assert count_loads(soft).problem.expert_demand.tolist() == [1.0, 3.0]


def test_loads_of_zero_on_a_bounded_expert_stay():
    assert count_loads(posed([0.0, 2.0], expert_capacity=3.0)) is None


def test_soft_bounds_are_counted_where_this_is_exact():
    soft = {"overload_penalty": 0.5, "shortfall_penalty": 0.25}
    reduced = count_loads(posed([2.0, 4.0], expert_capacity=8.0, expert_demand=4.0, **soft)).problem
    assert (reduced.expert_capacity.tolist(), reduced.overload_penalty.tolist()) == ([4.0, 2.0], [1.0, 2.0])
    assert (reduced.expert_demand.tolist(), reduced.shortfall_penalty.tolist()) == ([2.0, 1.0], [0.5, 1.0])
    assert count_loads(posed([2.0, 4.0], expert_capacity=7.0, **soft)) is None
    assert count_loads(posed([2.0, 4.0], expert_demand=2.0, **soft)) is None
    assert count_loads(posed([0.1, 0.1], expert_capacity=0.3, overload_penalty=1.0)) is None
    assert count_loads(posed([3.0, 3.0], expert_capacity=6.0, overload_penalty=0.1)) is None
    assert count_loads(posed([1e100, 1e100], expert_capacity=2e100, overload_penalty=1e100)) is None


@pytest.mark.parametrize("bounds", [{"expert_capacity": 5.0, "expert_demand": 4.5}, {"expert_demand": 11.0}])
def test_an_expert_that_contradicts_itself_is_left_as_it_is(bounds):
    assert count_loads(posed([2.0, 2.0], **bounds)) is None


def test_unit_loads_are_counts_already():
    assert count_loads(AlignmentProblem(np.ones((2, 2)), client_load=1.0 + np.zeros((2, 2)))) is None

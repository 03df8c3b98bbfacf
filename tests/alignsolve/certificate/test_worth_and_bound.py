"""Objective, loads, violations and the bound of prices, compared with exact fractions."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alignsolve import AlignmentProblem
from tests import oracle, strategies


def any_alignment(draw, problem):
    """Return a random matrix, feasible or not, that mostly avoids ineligible pairs."""
    x = draw(strategies.arrays([False, True], problem.shape, np.bool_))
    if problem.eligible is not None and draw(st.integers(0, 3)):
        x &= problem.eligible
    return x


def price_scale(problem, prices):
    """Return the size of the numbers in a bound of prices."""
    value = np.where(np.isfinite(problem.values().astype(float)), np.abs(problem.values().astype(float)), 0.0).sum()
    load = np.ones(problem.shape) if problem.client_load is None else problem.client_load
    most = np.where(np.isfinite(problem.expert_capacity), problem.expert_capacity, 0.0) + problem.expert_demand
    finite = [np.where(np.isfinite(side), side, 0.0) for side in (problem.overload_penalty, problem.shortfall_penalty)]
    return float(value + (np.abs(prices) @ (np.nansum(load, axis=0) + most)) + (finite[0] + finite[1]) @ most) + 1e-300


@settings(max_examples=100)
@given(st.data())
def test_objective_loads_and_violations_are_the_oracles(data):
    problem = data.draw(strategies.problems(empty=True))
    x = any_alignment(data.draw, problem)
    choices = oracle.chosen(x)
    assert (not problem.violations(x)) == oracle.feasible(problem, choices)
    if problem.eligible is None or not (x & ~problem.eligible).any():
        expected = oracle.objective(problem, choices)
        rounding = 0 if problem.integral else 1e-14 * oracle.magnitude(problem, choices)
        assert abs(Fraction(problem.objective(x)) - expected) <= rounding
        assert problem.objective(x) == problem.objective(tuple(_csr(x)))
        np.testing.assert_allclose(problem.loads(x), [float(load) for load in oracle.loads(problem, choices)])


def _csr(x):
    return np.concatenate([[0], np.cumsum(x.sum(axis=1))]).astype(np.int64), np.nonzero(x)[1]


@settings(max_examples=150)
@given(st.data())
def test_bound_is_the_enumerated_lagrangian_and_never_below_it(data):
    problem = data.draw(strategies.problems(empty=True))
    prices = data.draw(strategies.prices(problem.num_experts))
    expected, bound = oracle.lagrangian(problem, prices), problem.bound(prices)
    if expected is None:
        assert bound == -math.inf
    else:
        assert Fraction(bound) >= expected
        assert Fraction(bound) - expected <= 1e-12 * price_scale(problem, prices)


@settings(max_examples=100)
@given(st.data())
def test_no_alignment_exceeds_any_bound(data):
    problem = data.draw(strategies.problems(max_clients=3, max_experts=3))
    prices = data.draw(strategies.prices(problem.num_experts))
    best, bound = oracle.best(problem), problem.bound(prices)
    if best is not None:
        # A weighted load may exceed its capacity by 1e-9 of it and still hold; its price is paid for that much less.
        forgiven = 0.0 if problem.client_load is None else 1e-9 * price_scale(problem, prices)
        assert best.objective <= Fraction(bound) + Fraction(forgiven)


def test_a_product_of_fitness_and_x_is_never_formed():
    eligible = np.array([[True, False], [True, True]])
    fitness = np.where(eligible, [[1.0, 2.0], [3.0, 4.0]], np.nan)
    problem = AlignmentProblem(
        fitness, eligible=eligible, client_load=np.where(eligible, 2.0, np.nan), expert_capacity=9
    )
    assert problem.objective([[True, False], [False, True]]) == 5.0
    assert problem.bound([0.25, 0.5]) == pytest.approx(0.5 + 3.0 + 2.25 + 4.5)


def test_integers_near_the_largest_are_summed_exactly():
    top = 2**53
    problem = AlignmentProblem(np.array([[top, top - 1], [top, top - 3]]), expert_capacity=1)
    assert problem.objective([[True, False], [False, True]]) == 2 * top - 3
    assert isinstance(problem.objective([[True, False], [False, True]]), int)
    assert problem.bound([1.0, 0.0]) == 2 * top - 1
    assert problem.bound([2.0, 0.0]) == 2 * top - 1
    assert isinstance(problem.bound([2.0, 0.0]), int)


def test_integral_penalties_are_exact_beyond_the_floats():
    problem = AlignmentProblem(
        np.array([[3]]), client_load=[2**40 + 1], expert_capacity=0, overload_penalty=float(2**40 + 1)
    )
    assert problem.objective([[True]]) == 3 - (2**40 + 1) ** 2


def test_two_decimal_loads_fit_exactly():
    problem = AlignmentProblem(np.ones((2, 1)), client_load=[0.1, 0.2], expert_capacity=0.3)
    assert problem.violations([[True], [True]]) == []
    problem = AlignmentProblem(np.ones((3, 1)), client_load=[0.1, 0.1, 0.1], expert_demand=0.3, expert_capacity=0.3)
    assert problem.violations([[True], [True], [True]]) == []


def test_byte_sized_loads_fit_exactly_or_not():
    loads = [1_000_000_100.0, 1_000_000_000.0]
    fits = AlignmentProblem(np.ones((2, 1)), client_load=loads, expert_capacity=2_000_000_100)
    over = AlignmentProblem(np.ones((2, 1)), client_load=loads, expert_capacity=2_000_000_000)
    assert fits.violations([[True], [True]]) == []
    assert over.violations([[True], [True]]) == ["expert 0 carries a load of 2000000100, its capacity is 2000000000"]


def test_tiny_capacities_have_no_absolute_tolerance():
    problem = AlignmentProblem(np.ones((1, 1)), client_load=[2e-9], expert_capacity=1e-9)
    assert problem.violations([[True]])
    spent = AlignmentProblem(np.ones((1, 1)), client_budget=1e-9, expert_cost=[2e-9])
    assert spent.violations([[True]])
    nothing = AlignmentProblem(np.ones((1, 1)), client_budget=0, expert_cost=[1e-12])
    assert nothing.violations([[True]])


def test_a_demand_and_a_capacity_equal_but_for_rounding_do_not_cross():
    problem = AlignmentProblem(np.ones((1, 1)), client_load=[0.3], expert_demand=0.1 + 0.2, expert_capacity=0.3)
    assert problem.violations([[True]]) == []
    assert problem.bound([0.0]) >= 1.0
    assert problem.bound([1.0]) >= 1.0
    assert problem.bound([-1.0]) >= 1.0


def test_every_kind_of_violation_is_told_by_its_worst_row():
    problem = AlignmentProblem(
        np.ones((2, 3)),
        client_capacity=[3, 1],
        client_demand=[0, 1],
        expert_capacity=[1, np.inf, 5],
        expert_demand=[0, 0, 1],
        eligible=[[True, True, True], [True, False, True]],
        required=[[False, True, False], [False, False, False]],
        expert_group=[0, 0, 1],
        group_capacity=[1, 1],
        group_demand=[[0, 1], [0, 0]],
        client_budget=1.0,
        expert_cost=[1.0, 1.5, 0.0],
    )
    told = problem.violations([[True, False, False], [True, True, False]])
    assert told == [
        "client 1 is assigned expert 1, for which it is not eligible",
        "client 0 lacks expert 1, which is required",
        "client 1 has 2 experts, its capacity is 1",
        "client 1 has 2 experts of group 0, its capacity there is 1",
        "client 0 has 0 experts of group 1, its demand there is 1",
        "client 1 has 2.5 of resource 0, its budget is 1",
        "expert 0 carries a load of 2, its capacity is 1",
        "expert 2 carries a load of 0, its demand is 1",
    ]
    assert problem.violations(np.zeros((2, 3)))[1] == "client 1 has 0 experts, its demand is 1"


def test_prices_beyond_their_box_are_projected():
    problem = AlignmentProblem([[3.0]], expert_capacity=0, overload_penalty=2.0)
    assert problem.bound([100.0]) == pytest.approx(problem.bound([2.0])) == pytest.approx(1.0)
    unbounded = AlignmentProblem([[3.0]])
    assert unbounded.bound([100.0]) == pytest.approx(3.0)


@pytest.mark.parametrize("prices", [[np.nan], [np.inf], [1.0, 2.0], 1.0, [1e200]])
def test_prices_that_are_none_are_refused(prices):
    with pytest.raises(ValueError, match="prices"):
        AlignmentProblem([[3.0]], client_load=[1e100], expert_capacity=1).bound(prices)


def test_bound_survives_cancelling_penalties():
    problem = AlignmentProblem(
        [[0.1]], expert_capacity=0, expert_demand=1e9 + 0.5, overload_penalty=1e9, shortfall_penalty=1e9
    )
    for price in (1e9, 1e9 - 0.1, -1e9, 0.3):
        assert Fraction(problem.bound([price])) >= oracle.lagrangian(problem, [price])


def test_a_gain_that_a_rounded_product_hides_is_in_the_bound():
    """The fuzzer found it: 3 less price times load is 1.9e-16, and 0 in floats."""
    price = 2.430000022113e-08
    gain = 3 - Fraction(price) * 123456789
    problem = AlignmentProblem([[3]], client_load=[123456789.0], expert_capacity=0.0, overload_penalty=price)
    assert 0 < gain < Fraction(1, 10**15)
    assert problem.bound([price]) >= gain


def test_gains_and_losses_of_a_demand_that_rounding_hides_are_in_the_bound():
    problem = AlignmentProblem([[0.1, -0.1, 0.0, 0.0]], client_demand=2, client_capacity=2)
    prices = [-0.9, 0.9, 0.0, 0.0]
    exactly = [Fraction(value) - Fraction(price) for value, price in zip(problem.fitness[0], prices, strict=True)]
    assert problem.bound(prices) >= max(exactly[0] + exactly[1], 0)


def test_bounds_shared_between_blocks_are_summed(monkeypatch):
    monkeypatch.setattr("alignsolve.data.blocks.BLOCK_ENTRIES", 8)
    rng = np.random.default_rng(0)
    problem = AlignmentProblem(rng.random((23, 4)), client_capacity=2, expert_capacity=5, expert_demand=1)
    x = rng.random((23, 4)) < 0.3
    assert problem.objective(x) == pytest.approx(float(oracle.objective(problem, oracle.chosen(x))), rel=1e-14)
    assert problem.bound(np.full(4, 0.5)) == pytest.approx(
        float(oracle.lagrangian(problem, np.full(4, 0.5))), rel=1e-12
    )
    assert any("client" in told for told in problem.violations(np.ones((23, 4))))


def test_softened_bounds_are_priced():
    hard = AlignmentProblem([[5.0], [5.0]], expert_capacity=1, expert_demand=1)
    soft = hard.soften(overload=2.0)
    assert hard.violations([[True], [True]])
    assert soft.violations([[True], [True]]) == []
    assert soft.objective([[True], [True]]) == 8.0
    assert soft.violations([[False], [False]])
    assert soft.soften(shortfall=3.0).objective([[False], [False]]) == -3.0
    assert replace(soft).objective([[True], [True]]) == 8.0

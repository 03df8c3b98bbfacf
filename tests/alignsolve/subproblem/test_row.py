"""One client's own problem: greedy choice and knapsack, compared with the enumeration of all choices."""

from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from alignsolve import AlignmentProblem
from alignsolve.subproblem.dispatch import best_rows
from tests import oracle, strategies


def check(problem, prices):
    """Check value, feasibility and choice of every row against enumeration."""
    block = problem.block(0, problem.num_clients)
    optima, unasked = best_rows(block, prices, choose=True), best_rows(block, prices)
    assert unasked.chosen is None
    assert optima.feasible.tolist() == unasked.feasible.tolist()
    exact = [Fraction(float(price)) for price in prices]
    for i in range(problem.num_clients):
        expected = oracle.best_row(problem, i, exact)
        assert optima.feasible[i] == (expected is not None)
        if expected is None:
            continue
        rounding = 0.0 if optima.value.dtype.kind == "i" else 1e-15 * len(exact) * optima.magnitude[i]
        choice = tuple(int(j) for j in np.flatnonzero(optima.chosen[i]))
        assert oracle.row_allows(problem, i, choice)
        assert abs(Fraction(optima.value[i].item()) - expected) <= rounding
        assert abs(Fraction(unasked.value[i].item()) - expected) <= rounding
        worth = sum(oracle.pair_value(problem, i, j) - exact[j] * oracle.pair_load(problem, i, j) for j in choice)
        assert abs(worth - expected) <= rounding


@settings(max_examples=80)
@given(st.data())
def test_best_rows_are_the_enumerated_ones(data):
    problem = data.draw(strategies.problems(max_clients=4, max_experts=6))
    check(problem, data.draw(strategies.prices(problem.num_experts)))


@settings(max_examples=60)
@given(st.data())
def test_knapsacks_of_ten_experts_are_the_enumerated_ones(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    e, r = data.draw(st.integers(6, 10)), data.draw(st.integers(1, 3))
    correlated = data.draw(st.booleans())
    cost = rng.integers(1, 20, (2, e, r)).astype(float) * data.draw(st.sampled_from([1.0, 0.01, 1e8]))
    fitness = cost[:, :, 0] / cost.max() + (0.01 if correlated else 1.0) * rng.normal(size=(2, e))
    group = rng.integers(0, 2, e)
    problem = AlignmentProblem(
        fitness,
        client_capacity=data.draw(st.integers(1, e)),
        client_demand=data.draw(st.integers(0, 2)),
        expert_group=group if data.draw(st.booleans()) else None,
        client_budget=cost.sum(axis=1) * data.draw(st.sampled_from([0.1, 0.3, 0.6])),
        expert_cost=cost,
        required=rng.random((2, e)) < 0.05,
    )
    check(problem, np.zeros(e))


def test_a_huge_expert_out_of_reach_does_not_blunt_the_knapsack():
    problem = AlignmentProblem(
        [[1e17, 5.0, 4.0, 4.0]], client_capacity=4, client_budget=2.0, expert_cost=[10.0, 2.0, 1.0, 1.0]
    )
    check(problem, np.zeros(4))
    both = AlignmentProblem(
        [[1e17, 5.0, 4.0, 4.0]],
        client_capacity=4,
        client_demand=2,
        client_budget=2.0,
        expert_cost=[2.0, 2.0, 1.0, 1.0],
    )
    check(both, np.zeros(4))


def test_a_search_without_end_is_given_up_for_a_bound():
    rng = np.random.default_rng(0)
    cost = rng.integers(10**6, 10**7, (1, 40)).astype(float)
    problem = AlignmentProblem(cost, client_capacity=40, client_budget=cost.sum() // 2 + 0.5, expert_cost=cost)
    optima = best_rows(problem.block(0, 1), np.zeros(40), choose=True)
    assert optima.feasible[0]
    assert problem.violations(optima.chosen) == []
    assert problem.objective(optima.chosen) <= optima.value[0] <= cost.sum() // 2 + 1
    assert problem.objective(optima.chosen) >= 0.999 * optima.value[0]


def test_ties_go_to_the_lower_expert():
    problem = AlignmentProblem(np.ones((1, 4)), client_capacity=2)
    assert best_rows(problem.block(0, 1), np.zeros(4), choose=True).chosen.tolist() == [[True, True, False, False]]


def test_whole_numbers_stay_whole():
    problem = AlignmentProblem(np.array([[2**53, 2**53 - 1]]), client_capacity=2)
    optima = best_rows(problem.block(0, 1), np.array([1.0, -2.0]))
    assert optima.value.tolist() == [2**54]
    assert optima.value.dtype == np.int64

"""Sets of experts: objectives, bounds, witnesses and answers against the oracle, on random problems."""

import dataclasses
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alignsolve import AlignmentProblem, Feature, ProblemClass, Proof, Status, UnsupportedError, solve
from alignsolve.certificate.witness import confirm, contradiction
from tests import oracle, set_strategies

NESTED = set_strategies.set_problems(max_clients=4, max_experts=4)
ANY = set_strategies.set_problems(general=True, max_clients=3, max_experts=3)


@settings(max_examples=60)
@given(st.data())
def test_no_prices_give_a_bound_below_an_alignment(data):
    problem = data.draw(st.one_of(NESTED, ANY))
    prices = data.draw(set_strategies.prices(problem.num_experts))
    of_sets = data.draw(set_strategies.prices(problem.num_sets))
    bound = problem.bound(prices, of_sets)
    exact = oracle.lagrangian(problem, prices, of_sets)
    if problem.client_budget is None:
        assert (bound == -math.inf) == (exact is None)
    if exact is not None:
        assert Fraction(bound) >= exact
        scale = float(abs(exact)) + float(np.abs(prices).sum() + np.abs(of_sets).sum()) * 1e3 + 1e3
        assert float(bound) <= float(exact) + 1e-6 * scale or problem.client_budget is not None
    best = oracle.best(problem)
    if best is not None:
        assert Fraction(bound) >= best.objective


def judged(problem, solver):
    solution, best = solve(problem, solver, throw=False), oracle.best(problem)
    if best is None:
        assert solution.status is Status.INFEASIBLE, solution
        if problem.class_ is ProblemClass.CARDINALITY:
            assert solution.witness is not None
            assert oracle.confirms(problem, solution.witness) or solution.witness.side == "row"
        assert "infeasible" in solution.explain()
        return
    choices = oracle.chosen(solution.x)
    assert oracle.feasible(problem, choices)
    scale = max(oracle.magnitude(problem, choices), abs(float(best.objective)))
    assert abs(oracle.objective(problem, choices) - best.objective) <= 1e-9 * scale
    assert abs(Fraction(solution.objective) - best.objective) <= 1e-9 * scale
    if scale > 0.0:
        assert solution.status is Status.OPTIMAL, solution
    if problem.class_ is ProblemClass.CARDINALITY:
        assert solution.proof in {Proof.PRICES, Proof.NONE}
        if scale > 0.0:
            rounding = 1e-11 * float(1.0 + np.abs(solution.prices).sum() + np.abs(solution.set_prices).sum())
            bound = problem.bound(solution.prices, solution.set_prices)
            assert bound <= float(solution.bound) + 1e-9 * scale + rounding
    expected = oracle.set_loads(problem, oracle.loads(problem, choices))
    np.testing.assert_allclose(solution.set_loads, [float(load) for load in expected])


@settings(max_examples=40)
@given(NESTED)
def test_flow_is_right_with_nested_sets(problem):
    judged(problem, "flow")


@settings(max_examples=25)
@given(st.one_of(NESTED, ANY))
def test_ilp_is_right_with_any_sets(problem):
    judged(problem, "ilp")


@pytest.mark.slow
@settings(max_examples=300)
@given(NESTED)
def test_many_nested_sets(problem):
    judged(problem, "flow")


@pytest.mark.slow
@settings(max_examples=120)
@given(ANY)
def test_many_general_problems_with_sets(problem):
    judged(problem, "ilp")


def test_a_set_of_all_is_a_bound_on_all_pairs():
    problem = AlignmentProblem([[3, 2], [4, 1], [5, 9]], expert_sets=[[True, True]], set_capacity=2)
    solution = solve(problem)
    assert (solution.objective, solution.set_loads.tolist(), solution.set_prices.tolist()) == (13, [2.0], [3.0])
    assert solution.own_prices.tolist() == [0.0, 0.0]
    assert problem.violations([[True, False], [True, False], [False, True]]) == [
        "set 0 (experts 0, 1) carries a load of 3, its capacity is 2"
    ]


def test_labels_are_a_partition():
    problem = AlignmentProblem(np.ones((4, 3)), expert_sets=[1, 0, 1], set_capacity=[1, 2])
    assert problem.expert_sets.tolist() == [[False, True, False], [True, False, True]]
    assert dataclasses.replace(problem).sets.members.tolist() == problem.expert_sets.tolist()
    assert problem.class_ is ProblemClass.CARDINALITY
    assert "sets of experts" in repr(problem)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"expert_sets": [0, -1]}, "expert_sets of expert 1 is -1"),
        ({"expert_sets": [0, 2]}, "no expert has the label 1"),
        ({"expert_sets": [[False, False]]}, "set 0 names no expert"),
        ({"expert_sets": [[True, False, True]]}, "has shape"),
        ({"expert_sets": [0, 1], "set_capacity": [1, -1]}, "set_capacity of set 1 is -1"),
        ({"expert_sets": [0, 1], "set_demand": np.nan}, "set_demand is nan"),
        ({"expert_sets": [0, 1], "set_capacity": [1, 2, 3]}, "set_capacity has shape"),
        ({"set_capacity": 3}, "set_capacity is given without expert_sets"),
    ],
)
def test_what_is_no_set_is_refused(fields, message):
    with pytest.raises(ValueError, match=message.replace("[", r"\[")):
        AlignmentProblem(np.ones((2, 2)), **fields)


def test_a_fractional_capacity_is_the_whole_number_below():
    problem = AlignmentProblem(np.ones((3, 2)), expert_sets=[0, 0], set_capacity=1.5)
    assert solve(problem).objective == 1


def test_sets_that_cross_are_named_where_they_are_refused():
    problem = AlignmentProblem(
        np.ones((3, 3)), expert_sets=[[True, True, False], [False, True, True]], set_capacity=[1, 1]
    )
    assert problem.class_ is ProblemClass.GENERAL
    assert Feature.CROSSING_SETS in problem.features
    with pytest.raises(UnsupportedError, match="set 0 and set 1 cross"):
        solve(problem, "flow")
    assert solve(problem).objective == 2


def test_a_demand_above_the_experts_capacities_has_a_witness():
    problem = AlignmentProblem(np.ones((5, 3)), expert_capacity=1, expert_sets=[0, 0, 1], set_demand=[3, 0])
    witness = contradiction(problem)
    assert witness.sets.tolist() == [1, 0]
    told = solve(problem, throw=False).explain()
    assert told == "infeasible: set 0 (experts 0, 1) must have a load of at least 3 and at most 2"


def test_demands_above_the_capacity_of_their_set_have_a_witness():
    problem = AlignmentProblem(np.ones((9, 3)), expert_demand=2, expert_sets=[0, 0, 1], set_capacity=[3, 9])
    told = solve(problem, throw=False).explain()
    assert told == "infeasible: experts 0, 1 must have a load of at least 4 together and at most 3"


def test_the_experts_of_a_set_together_lack_clients():
    eligible = np.array([[True, True, True], [False, True, True], [False, False, True]])
    problem = AlignmentProblem(np.ones((3, 3)), eligible=eligible, expert_sets=[0, 0, 1], set_demand=[3, 0])
    told = solve(problem, throw=False).explain()
    assert told == (
        "infeasible: set 0 (experts 0, 1) must have a load of at least 3; clients 0, 1 could serve, and give at most "
        "2: 1 missing"
    )


def test_a_witness_must_add_up():
    problem = AlignmentProblem(np.ones((2, 2)), client_demand=1, expert_sets=[0, 0], set_capacity=1)
    everyone = np.ones(2, dtype=bool)
    assert confirm(problem, everyone, "capacity", np.array([1])) is not None
    for sets in (None, np.array([0]), np.array([-1]), np.array([2]), np.array([1, 1]), np.array([1.0])):
        assert confirm(problem, everyone, "capacity", sets) is None


def test_soft_sets_are_priced():
    problem = AlignmentProblem([[3, 2], [4, 1]], expert_sets=[0, 0], set_capacity=1)
    soft = problem.soften(set_overload=2.0)
    assert (solve(problem).objective, solve(soft).objective, solve(soft).set_prices.tolist()) == (4, 5.0, [2.0])
    assert soft.objective([[True, False], [True, False]]) == 5

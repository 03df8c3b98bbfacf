"""Presolve of sets of experts: what never binds goes, a set of one is an expert's bound, and proofs come back."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from alignsolve import AlignmentProblem, ProblemClass, Status, solve
from alignsolve.presolve import pipeline
from alignsolve.presolve.sets import drop_sets
from tests import oracle, set_strategies


def test_idle_sets_go_and_a_set_of_one_is_a_bound():
    problem = AlignmentProblem(
        np.arange(12).reshape(4, 3),
        expert_capacity=[2, 2, np.inf],
        expert_sets=[[True, True, False], [False, False, True], [True, True, True]],
        set_capacity=[4, 1, 3],
    )
    reduction = drop_sets(problem)
    assert reduction.problem.expert_sets.tolist() == [[True, True, True]]
    assert reduction.problem.expert_capacity.tolist() == [2, 2, 1]
    assert "2 of 3 sets" in reduction.told


def test_sets_that_cross_may_be_nested_without_an_idle_one():
    problem = AlignmentProblem(
        np.ones((3, 3)), expert_sets=[[True, True, False], [False, True, True]], set_capacity=[1, 9]
    )
    assert problem.class_ is ProblemClass.GENERAL
    assert drop_sets(problem).problem.class_ is ProblemClass.CARDINALITY


def test_a_problem_without_sets_or_with_needed_ones_stays():
    assert drop_sets(AlignmentProblem(np.ones((2, 2)))) is None
    assert drop_sets(AlignmentProblem(np.ones((2, 2)), expert_sets=[0, 0], set_capacity=1)) is None


@settings(max_examples=30)
@given(st.one_of(set_strategies.set_problems(), set_strategies.set_problems(general=True, max_clients=3)))
def test_prices_and_witnesses_come_back(problem):
    reduction = drop_sets(problem)
    if reduction is None:
        return
    before = pipeline.PRESOLVE_PAIRS
    pipeline.PRESOLVE_PAIRS = 0
    try:
        solution = solve(problem, "ilp", throw=False)
    finally:
        pipeline.PRESOLVE_PAIRS = before
    best = oracle.best(problem)
    if best is None:
        assert solution.status is Status.INFEASIBLE, solution
        assert solution.witness is None or oracle.confirms(problem, solution.witness)
    else:
        scale = max(abs(float(best.objective)), oracle.magnitude(problem, oracle.chosen(solution.x)))
        assert abs(float(best.objective) - float(solution.objective)) <= 1e-9 * scale
        assert solution.status is Status.OPTIMAL or scale == 0.0

"""The contract: every solver on every family, judged by the oracle and by the other solvers."""

from fractions import Fraction
from functools import cache

import numpy as np
import pytest

from alignsolve import SOLVERS, InfeasibleError, ProblemClass, Proof, Status, UnsupportedError, solve
from alignsolve.front import describe_solvers
from alignsolve.presolve import components, pipeline
from alignsolve.problem import FIELDS
from problems import FAMILIES
from tests import oracle
from tests.problem_fields import arrays

SIZES = [(12, 4), (5, 6), (1, 3), (7, 1)]
DECLARED = describe_solvers()
ASKED = [pytest.param(name, marks=pytest.mark.slow) if name == "ilp-cbc" else name for name in SOLVERS]
"""All solvers; the one that starts a process for each problem is among the slow tests."""
REFERENCES = ("price", "ilp", "sift")
"""Exact solvers whose best objective all others must reach and none may pass; together they take every problem."""
FEASIBLE = [name for name, family in FAMILIES.items() if family.feasible]
INFEASIBLE = [name for name, family in FAMILIES.items() if not family.feasible]


@cache
def instance(family, size):
    return FAMILIES[family](np.random.default_rng(7), num_clients=size[0], num_experts=size[1])


@cache
def solved(solver, family, size):
    """Solve once for all who ask; the problem stays as it is."""
    problem = instance(family, size)
    before = copies(problem)
    solution = solve(problem, solver, seed=3, throw=False)
    unchanged(problem, before)
    return solution


@cache
def optimum(family, size):
    """Return the best objective of the references, checked by the oracle on small problems."""
    problem = instance(family, size)
    found = [solved(name, family, size) for name in REFERENCES if takes(name, problem)]
    values = [Fraction(solution.objective) for solution in found if solution.objective is not None]
    if size[1] <= 6 and size[0] * 2 ** size[1] <= 400:
        values.append(oracle.best(problem.to_dense()).objective)
    return max(values)


def takes(solver, problem):
    return problem.features <= DECLARED[solver].takes


def refused(solver, problem):
    """Return whether the solver refuses the problem; the refusal must name the reason, and solvers that take it."""
    if takes(solver, problem):
        return False
    with pytest.raises(UnsupportedError) as caught:
        solve(problem, solver, throw=False)
    missing = problem.features - DECLARED[solver].takes
    assert all(feature in str(caught.value) for feature in missing)
    able = [name for name in SOLVERS if takes(name, problem)]
    assert all(name in str(caught.value) for name in able)
    return True


def copies(problem):
    return {field: [np.array(part, copy=True) for part in arrays(getattr(problem, field))] for field in FIELDS}


def unchanged(problem, before):
    for field, kept in before.items():
        for part, one in zip(arrays(getattr(problem, field)), kept, strict=True):
            np.testing.assert_array_equal(np.array(part), one, err_msg=field)


@pytest.mark.parametrize("family", FEASIBLE)
@pytest.mark.parametrize("solver", ASKED)
def test_a_feasible_family_is_solved_or_refused(solver, family):
    for size in SIZES:
        judge_feasible(solver, family, size)


def judge_feasible(solver, family, size):
    problem = instance(family, size)
    if refused(solver, problem):
        return
    solution = solved(solver, family, size)
    assert solution.status in {Status.OPTIMAL, Status.FEASIBLE, Status.UNKNOWN}, solution
    assert (solution.status is Status.OPTIMAL) == (solution.proof is not Proof.NONE)
    if solution.assigned is None:
        assert not DECLARED[solver].exact
        return
    choices, full = oracle.chosen(solution.x), problem.to_dense()
    assert oracle.feasible(full, choices)
    scale = oracle.magnitude(full, choices)
    assert abs(Fraction(solution.objective) - oracle.objective(full, choices)) <= 1e-13 * scale
    assert solution.objective <= solution.bound
    judge_optimality(solver, solution, optimum(family, size), scale)
    again = solve(problem, solver, seed=3, threads=1, throw=False)
    assert all(np.array_equal(one, other) for one, other in zip(again.assigned, solution.assigned, strict=True))
    assert (again.objective, again.status) == (solution.objective, solution.status)


def judge_optimality(solver, solution, best, scale):
    """Check that OPTIMAL is the best of all solvers, that exact solvers prove it, and that no bound is below it."""
    close = 1e-9 * max(abs(float(best)), 1e-3 * scale)
    assert Fraction(solution.objective) <= best + Fraction(close)
    assert float(solution.bound) >= float(best) - close
    if solution.status is Status.OPTIMAL:
        assert abs(Fraction(solution.objective) - best) <= close
    if DECLARED[solver].exact:
        assert solution.status is Status.OPTIMAL, solution
    if solution.problem.class_ is ProblemClass.CARDINALITY:
        assert solution.proof in {Proof.PRICES, Proof.NONE}


@pytest.mark.parametrize("family", INFEASIBLE)
@pytest.mark.parametrize("solver", ASKED)
def test_an_infeasible_family_is_refused_or_told_why(solver, family):
    for size in SIZES:
        judge_infeasible(solver, family, size)


def judge_infeasible(solver, family, size):
    problem = instance(family, size)
    if refused(solver, problem):
        return
    before = copies(problem)
    solution = solve(problem, solver, throw=False)
    unchanged(problem, before)
    assert solution.assigned is None
    if not DECLARED[solver].exact and solution.status is Status.UNKNOWN:
        return
    assert solution.status is Status.INFEASIBLE, solution
    if solution.witness is not None:
        assert solution.proof is Proof.PRICES
        assert solution.witness.side == FAMILIES[family].infeasible.side
        assert size[1] > 8 or oracle.confirms(problem, solution.witness)
        named = solution.witness.clients if solution.witness.side == "row" else solution.witness.experts
        assert str(np.flatnonzero(named)[0]) in solution.explain()
    else:
        assert problem.class_ is ProblemClass.GENERAL
        assert solution.proof in {Proof.SOLVER, Proof.TREE}
        assert (solution.proof is Proof.TREE) == (solution.tree is not None)
    if size == SIZES[0]:  # the answer is the same; only the error is new
        with pytest.raises(InfeasibleError):
            solve(problem, solver)


@pytest.mark.parametrize("family", ["uniform", "layers", "soft", "courses", "weighted", "budgets"])
@pytest.mark.parametrize("solver", ASKED)
def test_a_time_limit_is_taken(solver, family):
    problem = instance(family, (12, 4))
    if refused(solver, problem):
        return
    solution = solve(problem, solver, time_limit=30, throw=False)
    if solution.assigned is not None:
        assert oracle.feasible(problem.to_dense(), oracle.chosen(solution.x))
        assert solution.objective <= solution.bound
    at_once = solve(problem, solver, time_limit=0, throw=False)
    assert at_once.status is not Status.INFEASIBLE
    assert at_once.assigned is None or at_once.objective <= at_once.bound


@pytest.mark.parametrize("family", ["popular", "soft", "courses", "weighted"])
@pytest.mark.parametrize("solver", ASKED)
def test_a_warm_start_changes_nothing_but_speed(solver, family):
    problem = instance(family, (12, 4))
    if not takes(solver, problem) or not DECLARED[solver].exact:
        return
    cold = solve(problem, solver)
    for start in (cold, cold.assigned, np.full(4, 0.3), instance_solution(family)):
        warm = solve(problem, solver, warm_start=start)
        assert warm.status is Status.OPTIMAL
        assert warm.objective == pytest.approx(cold.objective, rel=1e-9)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_presolve_changes_neither_optimum_nor_status(family, monkeypatch):
    monkeypatch.setattr(pipeline, "PRESOLVE_PAIRS", 1)
    monkeypatch.setattr(components, "PART_PAIRS", dict.fromkeys(ProblemClass, 1))
    problem = instance(family, (12, 4))
    before = copies(problem)
    simplified, plain = (solve(problem, presolve=presolve, throw=False) for presolve in (True, False))
    unchanged(problem, before)
    assert (simplified.status, simplified.proof) == (plain.status, plain.proof)
    assert simplified.objective == (None if plain.objective is None else pytest.approx(plain.objective, rel=1e-9))
    if plain.witness is not None:
        assert simplified.witness.side == plain.witness.side


def instance_solution(family):
    """Return a solution of another problem with other clients and the same experts."""
    return solve(instance(family, (5, 4)), throw=False)


def test_every_solver_is_described():
    assert set(DECLARED) == set(SOLVERS)
    assert all(DECLARED[name].exact for name in REFERENCES)

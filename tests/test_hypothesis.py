"""Random problems with every field, small enough for the oracle: exact solvers against enumeration and a MILP."""

import zlib
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, seed, settings

from alignsolve import SOLVERS, AlignmentProblem, Feature, ProblemClass, Proof, Status, solve
from alignsolve.front import describe_solvers
from tests import oracle, strategies

DECLARED = describe_solvers()
EXACT = [name for name in SOLVERS if DECLARED[name].exact]
INEXACT = [name for name in SOLVERS if not DECLARED[name].exact]
SLOW = ("ilp-cbc", "networkx")
"""Exact solvers that take long for each problem: among the slow tests only."""
QUICK = [name for name in EXACT if name not in SLOW]
CLASSES = {"cardinality": strategies.cardinality_problems, "general": strategies.general_problems}


def pairs(solvers):
    """Return solvers with the problem classes that they take."""
    return [
        (name, class_)
        for name in solvers
        for class_ in CLASSES
        if class_ == "cardinality" or {Feature.WEIGHTED_LOADS, Feature.BUDGETS} <= DECLARED[name].takes
    ]


def check_exact(problem, solver):
    """Check that an exact solver finds and proves the oracle's optimum, or proves that there is none."""
    if not problem.features <= DECLARED[solver].takes:
        return
    best = oracle.best(problem)
    solution = solve(problem, solver, throw=False)
    if best is None:
        assert solution.status is Status.INFEASIBLE, solution
        if problem.class_ is ProblemClass.CARDINALITY:
            assert solution.witness is not None
        if solution.witness is not None:
            assert oracle.confirms(problem, solution.witness)
        return
    assert solution.status is Status.OPTIMAL, (solution, best, solution.stats)
    check_claims(problem, solution, best)
    assert abs(Fraction(solution.objective) - best.objective) <= rounding(problem, solution, best)
    if problem.class_ is ProblemClass.CARDINALITY:
        assert solution.proof is Proof.PRICES


def check_inexact(problem, solver):
    """Check that a heuristic's answer is feasible, not above the optimum, and OPTIMAL only if it is the optimum."""
    if not problem.features <= DECLARED[solver].takes:
        return
    best = oracle.best(problem)
    solution = solve(problem, solver, throw=False)
    if solution.assigned is None:
        assert best is None or solution.status is Status.UNKNOWN
        return
    assert best is not None
    check_claims(problem, solution, best)
    if solution.status is Status.OPTIMAL:
        assert abs(Fraction(solution.objective) - best.objective) <= rounding(problem, solution, best)


def check_claims(problem, solution, best):
    """Check that the answer is feasible, its objective right and below its bound, its bound not below the optimum."""
    choices = oracle.chosen(solution.x)
    assert oracle.feasible(problem, choices)
    exactly = oracle.objective(problem, choices)
    assert abs(Fraction(solution.objective) - exactly) <= 1e-13 * oracle.magnitude(problem, choices)
    assert solution.objective <= solution.bound
    assert float(solution.bound) >= float(best.objective) - rounding(problem, solution, best)


def rounding(problem, solution, best):
    """Return the tolerance within which objectives count as equal."""
    magnitudes = [oracle.magnitude(problem, choices) for choices in (oracle.chosen(solution.x), best.choices)]
    return max(1e-9 * abs(float(best.objective)), 1e-12 * max(magnitudes))


def for_all(problems, max_examples, check, solver):
    """Check a solver on random problems, different for every solver and the same in every run.

    The fast tests ask tens of problems for each solver and class, the slow one hundreds: together thousands.
    """
    limited = settings(max_examples=max_examples)(given(problems)(lambda problem: check(problem, solver)))
    seed(zlib.crc32(solver.encode()))(limited)()


FOUND = {
    "a soft demand beyond all clients": AlignmentProblem([[0]], expert_demand=2, shortfall_penalty=0.5),
    "a demand and a capacity equal but for rounding": AlignmentProblem(
        [[1.0]], client_load=[0.3], expert_demand=0.1 + 0.2, expert_capacity=0.3
    ),
    "nonsense at an ineligible pair": AlignmentProblem(
        [[1.0, np.nan], [1.0, 2.0]],
        eligible=[[True, False], [True, True]],
        client_load=[[1.0, np.nan], [2.0, 1.0]],
        client_budget=1.0,
        expert_cost=[[1.0, np.inf], [1.0, 1.0]],
        expert_capacity=2,
    ),
    "a huge expert that nobody can pay": AlignmentProblem(
        [[1e17, 5.0, 4.0, 4.0]], client_capacity=4, client_budget=2.0, expert_cost=[10.0, 2.0, 1.0, 1.0]
    ),
    "costs of very different sizes, on which HiGHS gives up": AlignmentProblem(
        [[1e6, 1e6, 0.5], [0.5, 1e6, 0.5], [0.5, 1e6, 0.5]], client_load=[0.01] * 3, expert_demand=0.01
    ),
    "more places than clients, beside an expert without places": AlignmentProblem(
        np.array([[0, 0, 1]], dtype=np.int8), client_capacity=3, expert_capacity=[np.inf, 0.5, 2.0]
    ),
    "no clients, a demand": AlignmentProblem(np.zeros((0, 2)), expert_demand=[0, 1]),
}


@pytest.mark.parametrize("name", FOUND)
@pytest.mark.parametrize("solver", EXACT)
def test_what_was_wrong_once(solver, name):
    check_exact(FOUND[name], solver)


@pytest.mark.parametrize(("solver", "class_"), pairs(QUICK))
def test_exact_solvers_agree_with_enumeration(solver, class_):
    problems = CLASSES[class_](max_clients=4, max_experts=4, empty=True)
    for_all(problems, 50, check_exact, solver)


@pytest.mark.parametrize(("solver", "class_"), pairs(QUICK))
def test_exact_solvers_agree_with_a_milp(solver, class_):
    problems = CLASSES[class_](max_clients=8, max_experts=6)
    for_all(problems, 30, check_exact, solver)


@pytest.mark.parametrize(("solver", "class_"), pairs(INEXACT))
def test_heuristics_never_beat_the_oracle(solver, class_):
    problems = CLASSES[class_](max_clients=4, max_experts=4, empty=True)
    for_all(problems, 40, check_inexact, solver)


@pytest.mark.slow
@pytest.mark.parametrize(("solver", "class_"), pairs(SOLVERS))
def test_every_solver_on_thousands(solver, class_):
    check = check_exact if DECLARED[solver].exact else check_inexact
    examples = 60 if solver in SLOW else 120
    for_all(CLASSES[class_](max_clients=8, max_experts=6), examples, check, solver)

"""Shared by the tests of the integer programs: the comparison with the oracle."""

from alignsolve import AlignmentProblem
from alignsolve.numerics import OPTIMALITY
from alignsolve.problem import ProblemClass
from alignsolve.solution import Proof, Solution, Status
from tests import oracle


def assert_best(problem: AlignmentProblem, solution: Solution) -> None:
    """Check that solution and oracle agree: the same optimum, or none, with a witness where one must exist."""
    best = oracle.best(problem)
    if best is None:
        assert solution.status is Status.INFEASIBLE
        assert (solution.witness is None) == (solution.proof in {Proof.SOLVER, Proof.TREE})
        assert solution.witness is None or oracle.confirms(problem, solution.witness)
        assert solution.witness is not None or problem.class_ is ProblemClass.GENERAL
        return
    assert solution.status is Status.OPTIMAL, solution
    assert oracle.feasible(problem, oracle.chosen(solution.x))
    reached = oracle.objective(problem, oracle.chosen(solution.x))
    allowed = OPTIMALITY * abs(float(best.objective)) + 1e-12 * oracle.magnitude(problem, best.choices)
    assert float(best.objective - reached) <= allowed
    if problem.class_ is ProblemClass.CARDINALITY:
        assert solution.proof is Proof.PRICES

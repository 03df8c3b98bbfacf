"""Verification: an answer that somebody claims, say in a file, is recomputed from the problem and compared."""

import math
from dataclasses import dataclass

import numpy as np

from alignsolve import evaluate
from alignsolve.alignment import Alignment
from alignsolve.front import judge
from alignsolve.numerics import CANCELLATION, OPTIMALITY, FloatArray, IntArray, Number
from alignsolve.problem import AlignmentProblem, ProblemClass
from alignsolve.solution import Proof, Solution, Status
from alignsolve.solver import Answer
from alignsolve.witness import Side, Witness


@dataclass(frozen=True, eq=False)
class Claim:
    """What somebody says is known about a problem; nothing in it is believed.

    Attributes
    ----------
    shape
        (num_clients, num_experts) of the problem.
    status, proof, objective, bound
        As in :class:`~alignsolve.Solution`.
    assigned
        The alignment, unchecked; None if there is none.
    prices
        (num_experts,), None if there are none.
    witness_side, witness_experts
        Why there is no alignment: the side, and the indices of the experts.
    solver
        Who found it.
    """

    shape: tuple[int, int]
    status: Status
    proof: Proof
    objective: Number | None
    bound: Number
    assigned: Alignment | None = None
    prices: FloatArray | None = None
    witness_side: Side | None = None
    witness_experts: IntArray | None = None
    solver: str = ""

    @classmethod
    def of(cls, solution: Solution) -> "Claim":
        """Return what a solution says."""
        witness = solution.witness
        return cls(
            shape=solution.problem.shape,
            status=solution.status,
            proof=solution.proof,
            objective=solution.objective,
            bound=solution.bound,
            assigned=solution.assigned,
            prices=solution.prices,
            witness_side=None if witness is None else witness.side,
            witness_experts=None if witness is None else np.flatnonzero(witness.experts),
            solver=str(solution.stats.get("solver", "")),
        )


@dataclass(frozen=True, eq=False)
class Verification:
    """A claim after it was recomputed.

    Attributes
    ----------
    solution
        What the problem's own data say of the claimed alignment, prices and witness.
    differences
        Each claim that does not hold, in words; empty if all do.
    unconfirmed
        Claims that rest on a back end's word (general class) and can neither be confirmed nor refuted from here.
    """

    solution: Solution
    differences: tuple[str, ...]
    unconfirmed: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing was refuted."""
        return not self.differences


def verify(problem: AlignmentProblem, claim: Claim) -> Verification:
    """Recompute everything that a claim says, from the problem's own data.

    Raises
    ------
    ValueError
        If the claim is about a problem of another shape.
    """
    if claim.shape != problem.shape:
        raise ValueError(f"the claim is about {_size(claim.shape)}, the problem has {_size(problem.shape)}")
    solution = _recompute(problem, claim)
    differences: list[str] = []
    unconfirmed: list[str] = []
    if claim.prices is not None and not _usable(problem, claim.prices):
        differences.append("prices: they are not finite numbers of a size that can be used")
    if "rejected" in solution.stats:
        differences.append(f"alignment: {solution.stats['rejected']}")
    _compare_status(problem, claim, solution, differences, unconfirmed)
    _compare_objective(problem, claim, solution, differences)
    _compare_bound(problem, claim, solution, differences, unconfirmed)
    return Verification(solution, tuple(differences), tuple(unconfirmed))


def _size(shape: tuple[int, int]) -> str:
    return f"{shape[0]} clients x {shape[1]} experts"


def _usable(problem: AlignmentProblem, prices: FloatArray) -> bool:
    try:
        problem.bound(prices)
    except ValueError:
        return False
    return True


def _recompute(problem: AlignmentProblem, claim: Claim) -> Solution:
    """Judge the alignment and the prices; without a feasible alignment, the witness."""
    prices = claim.prices
    if prices is not None and not _usable(problem, prices):
        prices = None
    found = judge(problem, Answer(x=claim.assigned, prices=prices), name=claim.solver)
    if found.assigned is not None or claim.witness_side is None:
        return found
    members = np.zeros(problem.num_experts, dtype=np.bool_)
    if claim.witness_experts is not None:
        members[claim.witness_experts] = True
    witness = Witness(claim.witness_side, members, np.zeros(problem.num_clients, dtype=np.bool_), 0.0)
    judged = judge(problem, Answer(x=claim.assigned, witness=witness), name=claim.solver)
    return found if judged.witness is None else judged


def _compare_status(
    problem: AlignmentProblem, claim: Claim, found: Solution, differences: list[str], unconfirmed: list[str]
) -> None:
    claimed, recomputed = f"{claim.status} (proof {claim.proof})", f"{found.status} (proof {found.proof})"
    if claimed == recomputed:
        return
    by_word = problem.class_ is ProblemClass.GENERAL and claim.proof is Proof.SOLVER
    neither = (claim.status, found.status) in {
        (Status.OPTIMAL, Status.FEASIBLE),
        (Status.INFEASIBLE, Status.UNKNOWN),
    }
    if by_word and neither:
        unconfirmed.append(
            f"status: the claimed {claimed} rests on the back end's word; the re-check alone shows {recomputed}"
        )
        return
    unproven = claim.status is Status.INFEASIBLE and claim.witness_side is not None
    why = f"; its witness on the {claim.witness_side} side is not confirmed" if unproven else ""
    differences.append(f"status: claimed is {claimed}, the re-check shows {recomputed}{why}")


def _compare_objective(problem: AlignmentProblem, claim: Claim, found: Solution, differences: list[str]) -> None:
    if not _same(problem, claim.objective, found):
        differences.append(
            f"objective: claimed is {_number(claim.objective)}, the re-check gives {_number(found.objective)}"
        )


def _same(problem: AlignmentProblem, claimed: Number | None, found: Solution) -> bool:
    """Whether an objective is the recomputed one, up to the tolerance of "proven"."""
    if claimed is None or found.objective is None or found.assigned is None:
        return claimed is None and found.objective is None
    magnitude = evaluate.worth(problem, found.assigned).magnitude
    return _close(claimed, found.objective, CANCELLATION * magnitude)


def _close(a: Number, b: Number, slack: float = 0.0) -> bool:
    if a == b:
        return True
    if isinstance(a, int) and isinstance(b, int):
        return False
    return math.isclose(a, b, rel_tol=OPTIMALITY, abs_tol=slack)


def _compare_bound(
    problem: AlignmentProblem, claim: Claim, found: Solution, differences: list[str], unconfirmed: list[str]
) -> None:
    slack = 0.0
    if found.assigned is not None:
        slack = CANCELLATION * evaluate.worth(problem, found.assigned).magnitude
    if _close(claim.bound, found.bound, slack):
        return
    told = f"bound: claimed is {_number(claim.bound)}, its prices give {_number(found.bound)}"
    reached = -math.inf if found.objective is None else found.objective
    if problem.class_ is ProblemClass.GENERAL and reached - slack <= claim.bound < found.bound:
        unconfirmed.append(f"{told}; the rest is the back end's word")
    else:
        differences.append(told)


def _number(value: Number | None) -> str:
    return "none" if value is None else repr(value)


__all__ = ["Claim", "Verification", "verify"]

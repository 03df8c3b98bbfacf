"""Verification: an answer from elsewhere, say from a file, is recomputed from the problem and compared."""

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from alignsolve.certificate.judge import judge
from alignsolve.certificate.tree import ProofTree
from alignsolve.certificate.witness import Side, Witness
from alignsolve.certificate.worth import worth
from alignsolve.data.alignment import Alignment
from alignsolve.data.labels import NAMES
from alignsolve.data.names import Names
from alignsolve.numerics import CANCELLATION, MAX_FLOAT, OPTIMALITY, FloatArray, IntArray, Number
from alignsolve.problem import AlignmentProblem, ProblemClass
from alignsolve.runtime.interruptible import interruptible
from alignsolve.solution import Proof, Solution, Status
from alignsolve.solver import Answer


@dataclass(frozen=True, eq=False)
class Claim:
    """What an answer from elsewhere claims about a problem; all of it is rechecked.

    Attributes
    ----------
    shape
        (num_clients, num_experts) of the problem.
    status, proof, objective, bound
        As in :class:`~alignsolve.Solution`.
    assigned
        The alignment, unchecked; None if there is none.
    prices, set_prices
        (num_experts,) and, of sets of experts, (num_sets,); None if there are none.
    witness_side, witness_experts, witness_sets
        Why there is no alignment: the side, the indices of the experts, and (num_sets,) how sets count, or None.
    solver
        Who found it.
    tree
        The proof by cases, unchecked; None if there is none.
    client_names, expert_names
        The names in the order of the claim; None if it has none.
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
    tree: ProofTree | None = None
    client_names: Names | None = None
    expert_names: Names | None = None
    set_prices: FloatArray | None = None
    witness_sets: IntArray | None = None
    set_names: Names | None = None

    @classmethod
    def of(cls, solution: Solution) -> "Claim":
        """Return what a solution claims."""
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
            tree=solution.tree,
            client_names=solution.problem.client_names,
            expert_names=solution.problem.expert_names,
            set_names=solution.problem.set_names,
            set_prices=solution.set_prices,
            witness_sets=None if witness is None else witness.sets,
        )


@dataclass(frozen=True, eq=False)
class Verification:
    """A claim, compared with what was recomputed.

    Attributes
    ----------
    solution
        The claimed alignment, prices and witness, judged from the problem's own data.
    differences
        Each claim that does not hold, in words; empty if all hold.
    unconfirmed
        Claims that only a back end supports (general class), and that can neither be confirmed nor refuted here.
    """

    solution: Solution
    differences: tuple[str, ...]
    unconfirmed: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing was refuted."""
        return not self.differences


def verify(problem: AlignmentProblem, claim: Claim) -> Verification:
    """Recompute everything in a claim from the problem's own data.

    Raises
    ------
    ValueError
        If the claim is about a problem of another shape, or with other names.
    """
    if claim.shape != problem.shape:
        raise ValueError(f"the claim is about {_size(claim.shape)}, the problem has {_size(problem.shape)}")
    for what in NAMES:
        own, claimed = getattr(problem, what), getattr(claim, what)
        if own is not None and claimed is not None and own != claimed:
            if len(own) != len(claimed):
                raise ValueError(f"{what} differ: the claim has {len(claimed)}, the problem has {len(own)}")
            at = next(k for k in range(len(own)) if own[k] != claimed[k])
            raise ValueError(f"{what} differ: number {at} is {claimed[at]!r} in the claim, {own[at]!r} in the problem")
    return interruptible(lambda: _verified(problem, claim))


def _verified(problem: AlignmentProblem, claim: Claim) -> Verification:
    usable = _usable(problem, claim)
    solution = _recompute(problem, claim, _joint(claim) if usable else None)
    comparison = _Comparison(problem, claim, solution)
    if claim.prices is not None and not usable:
        comparison.differences.append(
            "prices: they are not one finite number for each expert, and each set, of a size to compute with"
        )
    comparison.compare()
    return Verification(solution, tuple(comparison.differences), tuple(comparison.unconfirmed))


def _size(shape: tuple[int, int]) -> str:
    return f"{shape[0]} clients x {shape[1]} experts"


def _usable(problem: AlignmentProblem, claim: Claim) -> bool:
    if claim.prices is None or claim.prices.shape != (problem.num_experts,):
        return False
    if claim.set_prices is not None and claim.set_prices.shape != (problem.num_sets,):
        return False
    return bool((np.abs(_joint(claim)) <= MAX_FLOAT).all())


def _joint(claim: Claim) -> FloatArray:
    """The prices of the experts, and then those of the sets."""
    assert claim.prices is not None
    return claim.prices if claim.set_prices is None else np.append(claim.prices, claim.set_prices)


def _recompute(problem: AlignmentProblem, claim: Claim, prices: FloatArray | None) -> Solution:
    """Judge the alignment and the prices; without a feasible alignment, the witness."""
    found = judge(problem, Answer(x=claim.assigned, prices=prices, tree=claim.tree), name=claim.solver)
    if found.assigned is not None or claim.witness_side is None:
        return found
    members = np.zeros(problem.num_experts, dtype=np.bool_)
    if claim.witness_experts is not None:
        members[claim.witness_experts] = True
    nobody = np.zeros(problem.num_clients, dtype=np.bool_)
    witness = Witness(claim.witness_side, members, nobody, 0.0, claim.witness_sets)
    judged = judge(problem, Answer(x=claim.assigned, witness=witness), name=claim.solver)
    return found if judged.witness is None else judged


@dataclass
class _Comparison:
    """Compares a claim with what was recomputed; collects the differences in words."""

    problem: AlignmentProblem
    claim: Claim
    found: Solution
    differences: list[str] = field(default_factory=list)
    unconfirmed: list[str] = field(default_factory=list)

    def compare(self) -> None:
        if "rejected" in self.found.stats:
            self.differences.append(f"alignment: {self.found.stats['rejected']}")
        self._compare_status()
        self._compare_objective()
        self._compare_bound()

    def _compare_status(self) -> None:
        claim, found = self.claim, self.found
        claimed, recomputed = f"{claim.status} (proof {claim.proof})", f"{found.status} (proof {found.proof})"
        if claimed == recomputed:
            return
        neither = (claim.status, found.status) in {
            (Status.OPTIMAL, Status.FEASIBLE),
            (Status.INFEASIBLE, Status.UNKNOWN),
        }
        if neither and self._general and claim.proof is Proof.SOLVER:
            self.unconfirmed.append(f"status: {claimed} is the back end's word; the re-check alone shows {recomputed}")
            return
        witnessed = claim.status is Status.INFEASIBLE and claim.witness_side is not None
        why = f"; its witness on the {claim.witness_side} side is not confirmed" if witnessed else ""
        self.differences.append(f"status: claimed is {claimed}, the re-check shows {recomputed}{why}")

    def _compare_objective(self) -> None:
        claimed, found = self.claim.objective, self.found.objective
        if not self._close(claimed, found):
            self.differences.append(f"objective: claimed is {_number(claimed)}, the re-check gives {_number(found)}")

    def _compare_bound(self) -> None:
        claimed, found = self.claim.bound, self.found.bound
        if self._close(claimed, found):
            return
        told = f"bound: claimed is {_number(claimed)}, its prices give {_number(found)}"
        reached = -math.inf if self.found.objective is None else self.found.objective
        if self._general and reached - self._slack <= claimed < found:
            self.unconfirmed.append(f"{told}; the rest is the back end's word")
        else:
            self.differences.append(told)

    @property
    def _general(self) -> bool:
        """Whether the problem is of the general class, where a back end may know what prices cannot prove."""
        return self.problem.class_ is ProblemClass.GENERAL

    def _close(self, a: Number | None, b: Number | None) -> bool:
        """Whether two values are the same, up to the tolerance of "proven"; integers to the last unit."""
        if a is None or b is None or (isinstance(a, int) and isinstance(b, int)):
            return a == b
        return math.isclose(a, b, rel_tol=OPTIMALITY, abs_tol=self._slack)

    @cached_property
    def _slack(self) -> float:
        if self.found.assigned is None:
            return 0.0
        return CANCELLATION * worth(self.problem, self.found.assigned).magnitude


def _number(value: Number | None) -> str:
    return "none" if value is None else repr(value)


__all__ = ["Claim", "Verification", "verify"]

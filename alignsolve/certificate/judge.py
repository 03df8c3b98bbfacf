"""The judge: what is known of a problem once a solver's answer was recomputed from the problem's own data.

Objective, loads, violations, the bound that the prices give and the witness of infeasibility are all computed anew.
The status follows from them. A solver's own word counts only in the general class, where a back end's bound or
exhausted search may close what prices cannot; then the proof is SOLVER.
"""

import math
import time
from dataclasses import dataclass

import numpy as np

from alignsolve.certificate.bound import bound as price_bound
from alignsolve.certificate.exact_bound import exact_bound
from alignsolve.certificate.tree import ProofTree, tree_bound
from alignsolve.certificate.violations import violations
from alignsolve.certificate.witness import Witness, confirm, contradiction
from alignsolve.certificate.worth import Worth, is_optimum, worth
from alignsolve.data import validation
from alignsolve.data.alignment import Alignment, as_alignment
from alignsolve.data.expert_sets import Prices, split_prices
from alignsolve.data.watched import LateError, Watch
from alignsolve.numerics import EPSILON, REFUTED, FloatArray, Number
from alignsolve.problem import AlignmentProblem, ProblemClass
from alignsolve.solution import Proof, Solution, Status
from alignsolve.solver import Answer

GRACE, LEAST_GRACE = 0.5, 1.0
"""How much longer than a time limit the check may read fitness that is not in memory: a share of the limit, and the
fewest seconds. An alignment that was found is worth that much."""


@dataclass(frozen=True)
class _Checked:
    """An alignment that was found feasible."""

    alignment: Alignment
    worth: Worth


def judge(
    problem: AlignmentProblem,
    answer: Answer,
    *,
    name: str = "given",
    started: float | None = None,
    threads: int | None = None,
    deadline: float = math.inf,
) -> Solution:
    """Recompute everything that an answer claims, and decide what is known.

    An alignment that breaks a constraint is not returned. Prices that are not one finite number per expert prove
    nothing. A back end's bound below the objective is refuted. ``stats["rejected"]`` tells what was wrong. After the
    deadline the bound is computed more cheaply, and may be higher.
    """
    started = time.monotonic() if started is None else started
    given, unread = problem, problem.unread()
    grace = 0.0 if answer.x is None else max(GRACE * (deadline - started), LEAST_GRACE)
    _, problem = Watch.of(problem, until=deadline + grace, compares=True)
    checked, broken = _check_alignment(problem, unread, answer, threads)
    witness = None if checked else _check_witness(unread, answer)
    prices, unpriced = _check_prices(problem, answer)
    claimed, refuted = _check_bound(problem, answer, checked)
    bound = math.inf if witness else _best_bound(problem, prices, checked, threads, deadline)
    if bound == -math.inf and not checked:
        witness = contradiction(unread)
    tree, untrue = None, ""
    if not witness and not _closes(problem, checked, bound):
        tree, shown, untrue = _check_tree(problem, answer, bound)
        bound = min(bound, shown)
    status, proof, bound = _decide(problem, answer, checked, bound, claimed, witness, by_tree=tree is not None)
    if prices is None and status is Status.OPTIMAL and proof is Proof.PRICES:
        prices = np.zeros(problem.num_experts)  # the bound's own, where the solver gave none
    paid, of_sets = (None, None) if prices is None else split_prices(problem, prices)
    stats = {"solver": name, **answer.stats}
    if proof is Proof.SOLVER:
        stats.setdefault("confirmed_by", [])
    else:
        stats.pop("confirmed_by", None)
    rejected = "; ".join(told for told in (broken, unpriced, untrue, refuted) if told)
    return Solution(
        problem=given,
        status=status,
        proof=proof,
        assigned=checked.alignment if checked else None,
        objective=checked.worth.objective if checked else None,
        bound=bound,
        loads=checked.worth.loads if checked else None,
        prices=paid,
        witness=witness,
        runtime=time.monotonic() - started,
        stats=stats | ({"rejected": rejected} if rejected else {}),
        tree=tree,
        set_loads=checked.worth.set_loads if checked else None,
        set_prices=None if problem.sets is None else of_sets,
    )


def _check_alignment(
    problem: AlignmentProblem, unread: AlignmentProblem, answer: Answer, threads: int | None
) -> tuple[_Checked | None, str]:
    """Check the alignment; None, and the reason, if it is not feasible, or the fitness was not read in time."""
    if answer.x is None:
        return None, ""
    try:
        alignment = as_alignment(answer.x, *problem.shape)
    except ValueError as error:
        return None, f"what it returned is not an alignment: {error}"
    broken = violations(unread, alignment)
    if broken:
        return None, f"the alignment it returned breaks constraints: {'; '.join(broken)}"
    try:
        return _Checked(alignment, worth(problem, alignment, threads=threads)), ""
    except LateError as error:
        return None, f"the alignment it returned is feasible, but its objective is unknown: {error}"


def _check_prices(problem: AlignmentProblem, answer: Answer) -> tuple[FloatArray | None, str]:
    """Project the prices of experts, and of sets, onto their boxes; None, and the reason, if they are not usable."""
    if answer.prices is None:
        return None, ""
    try:
        given = validation.prices(answer.prices, problem.num_experts, problem.num_sets)
    except ValueError as error:
        return None, f"its prices prove nothing: {error}"
    return Prices.projected(problem, given).joint, ""


def _check_bound(problem: AlignmentProblem, answer: Answer, checked: _Checked | None) -> tuple[Number, str]:
    """Return a back end's bound, which counts for the general class only; inf if there is none or it is refuted."""
    if problem.class_ is not ProblemClass.GENERAL or not math.isfinite(answer.bound):
        return math.inf, ""
    if checked is None:
        return answer.bound, ""
    objective, magnitude = checked.worth.objective, checked.worth.magnitude
    if objective - answer.bound > REFUTED * max(magnitude, abs(objective)):
        return math.inf, f"its bound of {answer.bound:.12g} is refuted by the objective of {objective:.12g}"
    # A back end's bound is a float with its own tolerance; it may not fall below what was actually reached.
    return max(answer.bound, objective), ""


def _best_bound(
    problem: AlignmentProblem,
    prices: FloatArray | None,
    checked: _Checked | None,
    threads: int | None,
    deadline: float,
) -> Number:
    """Return the bound from the prices, or from prices of zero, which are always valid; inf if it took too long."""
    if prices is None:
        prices = np.zeros(problem.num_experts)
        checked = None
    try:
        value, lifted = price_bound(problem, prices, threads=threads, deadline=deadline)
    except LateError:
        return math.inf
    if checked and not is_optimum(problem, value, checked.worth):
        rounding_decides = value - checked.worth.objective <= 4.0 * lifted
        if rounding_decides and problem.class_ is ProblemClass.CARDINALITY:
            value = min(value, exact_bound(problem, prices))
    return value


def _closes(problem: AlignmentProblem, checked: _Checked | None, bound: Number) -> bool:
    """Whether a bound leaves nothing to prove."""
    if checked is None:
        return bound == -math.inf
    return is_optimum(problem, bound, checked.worth)


def _check_tree(problem: AlignmentProblem, answer: Answer, bound: Number) -> tuple[ProofTree | None, Number, str]:
    """Check the tree; None where it proves no more than the bound, and the reason if it is not a proof.

    In the cardinality class prices prove all that can be proven.
    """
    if answer.tree is None or problem.class_ is not ProblemClass.GENERAL:
        return None, math.inf, ""
    shown, told = tree_bound(problem, answer.tree)
    if told:
        return None, math.inf, f"its tree proves nothing: {told}"
    return (answer.tree, shown, "") if shown < bound else (None, math.inf, "")


def _check_witness(problem: AlignmentProblem, answer: Answer) -> Witness | None:
    if answer.witness is None:
        return None
    return confirm(problem, answer.witness.experts, answer.witness.side, answer.witness.sets)


def _decide(
    problem: AlignmentProblem,
    answer: Answer,
    checked: _Checked | None,
    bound: Number,
    claimed: Number,
    witness: Witness | None,
    *,
    by_tree: bool,
) -> tuple[Status, Proof, Number]:
    """Status, proof and the bound that holds."""
    shown = Proof.TREE if by_tree else Proof.PRICES
    general = problem.class_ is ProblemClass.GENERAL
    if checked is None:
        if witness is not None or bound == -math.inf:
            return Status.INFEASIBLE, shown, -math.inf
        if general and answer.infeasible:
            return Status.INFEASIBLE, Proof.SOLVER, -math.inf
        return Status.UNKNOWN, Proof.NONE, min(bound, claimed)
    objective = checked.worth.objective
    if general:  # a load within its tolerance above a capacity earns more than prices allow for
        bound = max(bound, objective)
    if is_optimum(problem, bound, checked.worth):
        return Status.OPTIMAL, shown, bound
    if is_optimum(problem, claimed, checked.worth):
        return Status.OPTIMAL, Proof.SOLVER, claimed
    # A claim is a sum of floats, and no more precise than the terms of the objective are.
    rounding = EPSILON * max(checked.worth.magnitude, abs(float(objective)))
    return Status.FEASIBLE, Proof.NONE, min(bound, claimed + rounding)

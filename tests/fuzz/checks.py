"""What is wrong with an answer, compared with the truth: one sentence, or None."""

import math
from fractions import Fraction
from typing import Any

from alignsolve import AlignmentProblem, Feature, ProblemClass, Proof, Solution, Status
from alignsolve.front import SOLVERS, describe_solvers
from tests.fuzz.price_bound import price_bound
from tests.fuzz.truth import Truth
from tests.fuzz.witness import confirms

DECLARED = describe_solvers()
BACK_ENDS = {"ilp", "ilp-cbc", "cpsat", "auto", "lagrangian"}
"""Solvers whose bound may be a back end's word, with a back end's tolerance."""
OPTIMALITY, CANCELLATION, BACK_END = Fraction(1, 10**9), Fraction(1, 10**12), Fraction(1, 10**6)
ROUNDED = Fraction(1, 10**13)
EXACT_FLOATS = 2**50
"""Whole numbers up to which a proof must hold to the last unit."""


def takes(solver: str, features: frozenset[Feature]) -> bool:
    """Whether a solver takes a problem."""
    return features <= DECLARED[solver].takes


def fault_of(truth: Truth, strict: Truth, solver: str, solution: Solution, *, prices: bool = True) -> str | None:
    """Return what is wrong with an answer.

    Parameters
    ----------
    truth, strict
        The truth with the documented tolerance, and without.
    solver, solution
        Who answered, and what.
    prices
        Whether to compute the bound of the prices too; it takes longest.
    """
    best = truth.best
    if solution.status is Status.INFEASIBLE:
        return _fault_of_infeasible(truth, solution)
    told = _fault_of_alignment(truth, solution)
    if told is not None:
        return told
    if best is not None and not _bounds(solver, solution, strict, best):
        return f"the bound {solution.bound!r} is below the optimum {float(best)!r} ({best})"
    if prices and solution.proof is Proof.PRICES and solution.problem.class_ is ProblemClass.CARDINALITY:
        return _fault_of_prices(truth, strict, solution)
    return None


def unproven(truth: Truth, solver: str, solution: Solution) -> str | None:
    """Return what an exact solver left open on a problem of the cardinality class, or the lack of a witness."""
    if not DECLARED[solver].exact or solution.problem.class_ is not ProblemClass.CARDINALITY:
        return None
    wanted = Status.INFEASIBLE if truth.best is None else Status.OPTIMAL
    if solution.status is wanted and solution.proof is Proof.PRICES:
        return None
    if solution.objective is not None and solution.bound - solution.objective <= float(CANCELLATION * truth.scale):
        return None  # rounding alone is left: not proven, and nothing false is said
    return f"{solution.status} by {solution.proof} where {wanted} can be proven by prices: {solution.explain()}"


def _fault_of_infeasible(truth: Truth, solution: Solution) -> str | None:
    if truth.best is not None:
        return f"INFEASIBLE (proof {solution.proof}), but there is an alignment worth {truth.best}"
    if solution.witness is not None and not confirms(truth, solution.witness):
        return f"the witness does not add up: {solution.witness}"
    if solution.witness is None and solution.problem.class_ is ProblemClass.CARDINALITY:
        return "INFEASIBLE in the cardinality class without a witness"
    if solution.bound != -math.inf or solution.objective is not None or solution.assigned is not None:
        return "INFEASIBLE with an objective or a bound"
    return None


def _fault_of_alignment(truth: Truth, solution: Solution) -> str | None:
    if solution.assigned is None:
        return None if solution.status is Status.UNKNOWN else f"{solution.status} without an alignment"
    judged = truth.judge(solution.x)
    if judged is None:
        return "the alignment breaks a bound"
    exactly, size = judged
    claimed = solution.objective
    if claimed is None or not math.isfinite(claimed):
        return f"the objective is {claimed}"
    exact = truth.whole_numbers and size < EXACT_FLOATS
    if abs(Fraction(claimed) - exactly) > (0 if exact else ROUNDED * (size + truth.charged(solution.x))):
        return f"the objective is {claimed!r}, the alignment is worth {exactly} = {float(exactly)!r}"
    told = _fault_of_loads(truth, solution)
    if told is not None:
        return told
    if not claimed <= solution.bound:
        return f"the objective {claimed!r} is above the bound {solution.bound!r}"
    best = truth.best
    if best is None or exactly > best:
        return f"an alignment worth {exactly} is better than the truth, {best}: the oracle is wrong"
    size = max(size, truth.fitness_of(solution.x))
    if solution.status is Status.OPTIMAL and best - exactly > _optimal(truth, exactly, best, size):
        return f"OPTIMAL (proof {solution.proof}) at {float(exactly)!r}, but the optimum is {float(best)!r} ({best})"
    return None


def _fault_of_loads(truth: Truth, solution: Solution) -> str | None:
    """The loads of experts and of sets are those of the alignment, each rounded once."""
    exactly, (e, num_sets) = truth.loads_of(solution.x).tolist(), (truth.drawn.shape[1], truth.drawn.num_sets)
    of_experts, of_sets = solution.loads, solution.set_loads
    if of_experts is None or of_experts.shape != (e,) or (of_sets is None) != (num_sets == 0):
        return f"the loads are {of_experts}, those of sets {of_sets}"
    told = of_experts.tolist() + ([] if of_sets is None else of_sets.tolist())
    if len(told) != e + num_sets:
        return f"there are loads of {len(told) - e} sets, not {num_sets}"
    for j, (load, units) in enumerate(zip(told, exactly, strict=True)):
        exact = Fraction(units, truth.loads[1])
        if abs(Fraction(load) - exact) > ROUNDED * exact:
            name = f"expert {j}" if j < e else f"set {j - e}"
            return f"the load of {name} is {load!r}, not {float(exact)!r}"
    return None


def _optimal(truth: Truth, exactly: Fraction, best: Fraction, size: Fraction) -> Fraction:
    """By how much a proven objective may miss the optimum; ``size`` is that of what is summed."""
    largest = max(abs(exactly), abs(best))
    if truth.whole_numbers and largest < EXACT_FLOATS:
        return Fraction(0)
    return max(OPTIMALITY * largest, CANCELLATION * size)


def fault_of_bound(strict: Truth, problem: AlignmentProblem, prices: Any) -> str | None:
    """Return what is wrong with the bound of any prices: of experts, and of sets behind them."""
    bound = problem.bound(prices)
    if strict.best is None or bound == math.inf or (bound > -math.inf and _is_above(bound, strict.best)):
        return None
    return f"the bound of these prices is {bound!r}, below the optimum {float(strict.best)!r} ({strict.best})"


def _is_above(bound: float, best: Fraction) -> bool:
    """Whether no objective exceeds a bound: an objective is the float that is closest to its exact value."""
    return Fraction(bound) >= best or bound >= float(best)


def _bounds(solver: str, solution: Solution, strict: Truth, best: Fraction) -> bool:
    """Whether a bound is one: of prices exactly, of a back end within its tolerance.

    Prices say nothing of what a load within its tolerance above a bound may earn.
    """
    bound = solution.bound
    if bound == math.inf:
        return True
    if not math.isfinite(bound):
        return False
    if solver in BACK_ENDS and solution.problem.class_ is ProblemClass.GENERAL:
        return Fraction(bound) >= best - BACK_END * max(abs(best), strict.scale)
    return strict.best is None or _is_above(bound, strict.best)


def _fault_of_prices(truth: Truth, strict: Truth, solution: Solution) -> str | None:
    """Prices that prove an optimum have a bound that is close to it, and the solution's bound is not below theirs."""
    if solution.prices is None or solution.objective is None:
        return None
    exactly = price_bound(strict, solution.prices, () if solution.set_prices is None else solution.set_prices)
    judged: Any = truth.judge(solution.x)
    if exactly is None:
        return "prices of an infinite bound are the proof"
    size = max(judged[1], truth.fitness_of(solution.x))
    slack = 2 * _optimal(truth, judged[0], exactly, size) + ROUNDED * truth.scale  # values are rounded when read
    if truth.whole_numbers:
        slack = max(slack, Fraction(1) - ROUNDED)  # a better objective is better by 1
    if exactly - judged[0] > slack:
        return f"the prices bound {float(exactly)!r}, the objective is {solution.objective!r}: they prove nothing"
    if strict.best is not None and exactly < strict.best:  # our own two sums contradict each other
        return f"the bound {exactly} of the prices is below the optimum {strict.best}: the oracle is wrong"
    return None


__all__ = ["DECLARED", "SOLVERS", "fault_of", "fault_of_bound", "takes", "unproven"]

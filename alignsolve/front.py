"""The front door: a solver claims, :func:`solve` decides.

Whatever a solver returns is recomputed from the problem's own data: objective, loads, violations, the bound that its
prices give, the witness of infeasibility. The status follows from that, never from the solver's word, except for the
general class, where a back end's bound or exhausted search may close what prices cannot; then the proof says SOLVER.
"""

import importlib
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from alignsolve.certificate import evaluate
from alignsolve.certificate.exact import exact_bound
from alignsolve.certificate.time_reserve import checking_seconds, prepare_checks
from alignsolve.certificate.violations import violations
from alignsolve.certificate.witness import Witness, confirm, contradiction, from_direction
from alignsolve.data import validation
from alignsolve.data.alignment import Alignment, as_alignment
from alignsolve.numerics import REFUTED, FloatArray, Number, is_proven
from alignsolve.problem import AlignmentProblem, ProblemClass
from alignsolve.solution import InfeasibleError, Proof, Solution, SolveError, Status, UnsupportedError
from alignsolve.solver import Answer, Capabilities, Progress, ProgressHook, Solver, WarmStart

SOLVERS = {
    "auto": "alignsolve.solvers.auto:Auto",
    "cpsat": "alignsolve.solvers.cpsat:CpSat",
    "expert-choice": "alignsolve.solvers.baseline:ExpertChoice",
    "flow": "alignsolve.solvers.flow:Flow",
    "greedy": "alignsolve.solvers.greedy:Greedy",
    "ilp": "alignsolve.solvers.ilp.solver:Ilp",
    "ilp-cbc": "alignsolve.solvers.ilp.solver:cbc",
    "lagrangian": "alignsolve.solvers.lagrangian:Lagrangian",
    "networkx": "alignsolve.solvers.network_simplex:NetworkX",
    "price": "alignsolve.solvers.price:Price",
    "random": "alignsolve.solvers.baseline:Random",
    "regret": "alignsolve.solvers.greedy:Regret",
    "rolling": "alignsolve.solvers.baseline:Rolling",
    "topk": "alignsolve.solvers.baseline:TopK",
}
"""Every solver by name: ``module:class``, imported when it is asked for. A new solver is one file and one line here."""


def solve(
    problem: AlignmentProblem,
    solver: str | Solver = "auto",
    *,
    time_limit: float | None = None,
    gap: float = 0.0,
    warm_start: Solution | WarmStart | Alignment | npt.ArrayLike | None = None,
    seed: int = 0,
    threads: int | None = None,
    progress: ProgressHook | None = None,
    throw: bool = True,
) -> Solution:
    """Find the best alignment and check it.

    Parameters
    ----------
    problem
        What to solve; it is not changed.
    solver
        A name in ``SOLVERS``, an instance of a solver with parameters of its own, or any callable of that signature.
    time_limit
        Seconds; the best feasible alignment found by then is returned. None: no limit. Code that a solver compiles on
        its first use after installation is compiled before the clock starts.
    gap
        Relative gap at which a solver may stop early. The status is OPTIMAL only if the gap is closed all the same.
    warm_start
        An earlier solution, alignment or (num_experts,) prices of a similar problem. Only speed depends on it.
    seed, threads, progress
        As in :class:`~alignsolve.solver.Solver`.
    throw
        Raise when there is no alignment to return. If False, the solution says so instead.

    Returns
    -------
    Solution
        Checked; bit-identical for the same seed on any number of threads, unless a time limit stopped it.

    Raises
    ------
    InfeasibleError
        If no alignment exists; with the witness.
    UnsupportedError
        If the solver cannot take this problem, whatever ``throw`` says.
    SolveError
        If no alignment was found, or the solver's claim does not hold.
    ValueError
        For an unknown solver, or arguments that make no sense.

    Examples
    --------
    >>> solution = solve(AlignmentProblem([[3.0, 1.0], [2.0, 1.5]], expert_capacity=1))
    >>> solution.status, solution.proof, solution.objective
    (<Status.OPTIMAL: 'OPTIMAL'>, <Proof.PRICES: 'PRICES'>, 4.5)
    """
    limit = _checked_limit(time_limit)
    _check_arguments(problem, seed, threads)
    name, call = resolve(solver, gap=gap)
    refuse_unsupported(problem, name, call)
    warm = _read_warm_start(problem, warm_start)
    if limit < math.inf:
        prepare(problem, call)
    started = time.monotonic()
    answer = _answer_without_solver(problem)
    if answer is None:
        kept_back = checking_seconds(problem, limit, threads) if limit < math.inf else 0.0
        deadline = started + limit - kept_back
        try:
            answer = call(problem, deadline=deadline, warm_start=warm, seed=seed, threads=threads, progress=progress)
        except SolveError as error:
            if throw or isinstance(error, UnsupportedError):
                raise
            answer = Answer(stats={"stopped": str(error)})
        _refuse_other_answers(name, answer)
    solution = judge(problem, answer, name=name, started=started, threads=threads, deadline=started + limit)
    if progress is not None and solution.objective is not None:
        progress(Progress("checked", solution.runtime, solution.objective, solution.bound))
    if throw:
        _raise_failure(solution)
    return solution


def prepare(problem: AlignmentProblem, solver: Solver) -> None:
    """Compile what the solver and the check of its answer need: ``solve()`` does before the clock of a limit starts."""
    own = getattr(solver, "prepare", None)
    if own is not None:
        own(problem)
    prepare_checks(problem)


def _checked_limit(time_limit: float | None) -> float:
    if time_limit is None:
        return math.inf
    if not time_limit >= 0:
        raise ValueError(f"time_limit is {time_limit}; it must be a number of seconds, 0 or more, or None")
    return float(time_limit)


def _check_arguments(problem: Any, seed: Any, threads: Any) -> None:
    if not isinstance(problem, AlignmentProblem):
        kind = type(problem).__name__
        raise TypeError(f"problem must be an AlignmentProblem, not {kind}; make one: AlignmentProblem(fitness)")
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed is {seed!r}; it must be a whole number, 0 or more")
    if threads is not None and (not isinstance(threads, int | np.integer) or threads < 1):
        raise ValueError(f"threads is {threads!r}; it must be a whole number, 1 or more, or None for all cores")


def _answer_without_solver(problem: AlignmentProblem) -> Answer | None:
    """Answer a row that contradicts itself, and a problem without clients or experts; None for all others."""
    witness = contradiction(problem)
    if witness is not None:
        return Answer(witness=witness)
    if problem.num_clients and problem.num_experts:
        return None
    dearest = np.where(np.isfinite(problem.shortfall_penalty), -problem.shortfall_penalty, -1.0)
    witness = from_direction(problem, np.full(problem.num_experts, -1.0))
    return Answer(None if witness else Alignment.from_pairs([], [], problem.num_clients), dearest, witness=witness)


def _refuse_other_answers(name: str, answer: Any) -> None:
    if not isinstance(answer, Answer):
        raise TypeError(f"solver {name!r} must return an Answer, not {type(answer).__name__}")


def resolve(solver: str | Solver, *, gap: float = 0.0) -> tuple[str, Solver]:
    """Find a solver by name, or take it as it is; a ``gap`` reaches the solvers that have such a parameter."""
    if isinstance(solver, str):
        if solver not in SOLVERS:
            raise ValueError(f"unknown solver {solver!r}; there are: {', '.join(sorted(SOLVERS))}")
        module, _, attribute = SOLVERS[solver].partition(":")
        call: Any = getattr(importlib.import_module(module), attribute)()
        name = solver
    else:
        call, name = solver, getattr(solver, "__name__", type(solver).__name__)
        if not callable(solver):
            raise ValueError(f"a solver is a name or a callable, not {name}")
        if isinstance(solver, type):
            raise ValueError(f"{name} is a class; make an instance: {name}()")
    if not 0.0 <= gap < math.inf:
        raise ValueError(f"gap is {gap}; it must be 0 or more, and finite")
    if gap and is_dataclass(call) and not isinstance(call, type) and any(f.name == "gap" for f in fields(call)):
        call = replace(call, gap=gap)
    return name, call


def capabilities(solver: Solver) -> Capabilities:
    """What a solver declares; a callable that declares nothing takes every problem and promises nothing."""
    declared = getattr(solver, "capabilities", None)
    return declared if isinstance(declared, Capabilities) else Capabilities()


def refuse_unsupported(problem: AlignmentProblem, name: str, solver: Solver) -> None:
    """Raise if the problem asks for a feature that the solver does not take, naming those that do."""
    missing = problem.features - capabilities(solver).takes
    if not missing:
        return
    able = [other for other in SOLVERS if problem.features <= capabilities(resolve(other)[1]).takes]
    advice = f"solvers that can: {', '.join(sorted(able))}" if able else "no solver can"
    if any("hard" in feature for feature in missing):
        advice += "; or soften the experts' bounds with problem.soften(...)"
    raise UnsupportedError(f"solver {name!r} cannot take {' or '.join(sorted(missing))}; {advice}")


def _read_warm_start(problem: AlignmentProblem, given: Any) -> WarmStart:
    """Sort what was given into an alignment and prices of this problem's shape."""
    if given is None:
        return WarmStart()
    if isinstance(given, Solution):
        same_experts = given.problem.num_experts == problem.num_experts
        given = WarmStart(given.assigned, given.prices) if same_experts else WarmStart()
    if not isinstance(given, WarmStart):
        array = None if isinstance(given, tuple) else np.asarray(given)
        prices_given = array is not None and array.ndim == 1
        given = WarmStart(prices=array) if prices_given else WarmStart(alignment=given)
    alignment, prices = given
    if alignment is not None:
        same_shape = not isinstance(alignment, Alignment) or alignment.num_clients == problem.num_clients
        alignment = as_alignment(alignment, *problem.shape) if same_shape else None
    if prices is not None:
        prices = np.asarray(prices, dtype=np.float64)
        if prices.shape != (problem.num_experts,) or not np.isfinite(prices).all():
            raise ValueError(f"warm_start prices must be {problem.num_experts} finite numbers, one per expert")
    return WarmStart(alignment, prices)


@dataclass(frozen=True)
class _Checked:
    """An alignment that was found feasible."""

    alignment: Alignment
    worth: evaluate.Worth


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

    An alignment that breaks a constraint is not returned, prices that are none prove nothing, a bound below what was
    reached is refuted: ``stats["rejected"]`` tells what was wrong. After the deadline the bound is computed more
    cheaply, and may be less low.
    """
    started = time.monotonic() if started is None else started
    checked, broken = _check_alignment(problem, answer, threads)
    witness = None if checked else _check_witness(problem, answer)
    prices, unpriced = _check_prices(problem, answer)
    claimed, refuted = _check_bound(problem, answer, checked)
    bound = math.inf if witness else _best_bound(problem, prices, checked, threads, deadline)
    if bound == -math.inf and not checked:
        witness = contradiction(problem)
    status, proof, bound = _decide(problem, answer, checked, bound, claimed, witness)
    if prices is None and status is Status.OPTIMAL and proof is Proof.PRICES:
        prices = np.zeros(problem.num_experts)  # the bound's own, where the solver gave none
    rejected = "; ".join(told for told in (broken, unpriced, refuted) if told)
    return Solution(
        problem=problem,
        status=status,
        proof=proof,
        assigned=checked.alignment if checked else None,
        objective=checked.worth.objective if checked else None,
        bound=bound,
        loads=checked.worth.loads if checked else None,
        prices=prices,
        witness=witness,
        runtime=time.monotonic() - started,
        stats={"solver": name, **answer.stats, **({"rejected": rejected} if rejected else {})},
    )


def _check_alignment(problem: AlignmentProblem, answer: Answer, threads: int | None) -> tuple[_Checked | None, str]:
    """Check the alignment, or tell why it is not one."""
    if answer.x is None:
        return None, ""
    try:
        alignment = as_alignment(answer.x, *problem.shape)
    except ValueError as error:
        return None, f"what it returned is not an alignment: {error}"
    broken = violations(problem, alignment)
    if broken:
        return None, f"the alignment it returned breaks constraints: {'; '.join(broken)}"
    return _Checked(alignment, evaluate.worth(problem, alignment, threads=threads)), ""


def _check_prices(problem: AlignmentProblem, answer: Answer) -> tuple[FloatArray | None, str]:
    """Project the prices onto their box, or tell why they are none."""
    if answer.prices is None:
        return None, ""
    try:
        return problem.experts.project(validation.prices(answer.prices, problem.num_experts)), ""
    except ValueError as error:
        return None, f"its prices prove nothing: {error}"


def _check_bound(problem: AlignmentProblem, answer: Answer, checked: _Checked | None) -> tuple[Number, str]:
    """A back end's bound, which counts for the general class only; inf where it is none or refuted."""
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
    """Bound from the prices, or from prices of zero, which are always honest."""
    if prices is None:
        return evaluate.bound(problem, np.zeros(problem.num_experts), threads=threads, deadline=deadline).value
    value, lifted = evaluate.bound(problem, prices, threads=threads, deadline=deadline)
    if checked and not is_proven(value, checked.worth.objective, checked.worth.magnitude):
        rounding_decides = value - checked.worth.objective <= 4.0 * lifted
        if rounding_decides and problem.class_ is ProblemClass.CARDINALITY:
            value = min(value, exact_bound(problem, prices))
    return value


def _check_witness(problem: AlignmentProblem, answer: Answer) -> Witness | None:
    if answer.witness is None:
        return None
    return confirm(problem, answer.witness.experts, answer.witness.side)


def _decide(
    problem: AlignmentProblem,
    answer: Answer,
    checked: _Checked | None,
    bound: Number,
    claimed: Number,
    witness: Witness | None,
) -> tuple[Status, Proof, Number]:
    """Status, proof and the bound that holds."""
    general = problem.class_ is ProblemClass.GENERAL
    if checked is None:
        if witness is not None or bound == -math.inf:
            return Status.INFEASIBLE, Proof.PRICES, -math.inf
        if general and answer.infeasible:
            return Status.INFEASIBLE, Proof.SOLVER, -math.inf
        return Status.UNKNOWN, Proof.NONE, min(bound, claimed)
    objective, magnitude = checked.worth.objective, checked.worth.magnitude
    if general:  # a load within its tolerance above a capacity earns more than prices allow for
        bound = max(bound, objective)
    if is_proven(bound, objective, magnitude):
        return Status.OPTIMAL, Proof.PRICES, bound
    if is_proven(claimed, objective, magnitude):
        return Status.OPTIMAL, Proof.SOLVER, claimed
    return Status.FEASIBLE, Proof.NONE, min(bound, claimed)


def _raise_failure(solution: Solution) -> None:
    if solution.status is Status.INFEASIBLE:
        raise InfeasibleError(solution.explain(), solution)
    if solution.assigned is None:
        raise SolveError(solution.explain(), solution)


def describe_solvers() -> Mapping[str, Capabilities]:
    """Every solver's capabilities, by name."""
    return {name: capabilities(resolve(name)[1]) for name in SOLVERS}


__all__ = ["SOLVERS", "capabilities", "describe_solvers", "judge", "prepare", "resolve", "solve"]

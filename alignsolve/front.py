"""The front door: :func:`solve` asks a solver and rechecks its answer.

It finds the solver by its name, simplifies the problem, refuses what the solver cannot take, keeps back time for the
check, and lets :func:`alignsolve.certificate.judge.judge` decide what is known of the problem as given.
"""

import difflib
import importlib
import math
import time
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from alignsolve.certificate.judge import judge
from alignsolve.certificate.time_reserve import checking_seconds, prepare_checks
from alignsolve.certificate.witness import contradiction, from_direction
from alignsolve.data.alignment import Alignment, as_alignment
from alignsolve.data.names import called
from alignsolve.data.validation import is_number
from alignsolve.data.watched import LateError, Watch
from alignsolve.numerics import CANCELLATION, FloatArray
from alignsolve.presolve import pipeline
from alignsolve.presolve.pipeline import Presolved, tamed
from alignsolve.problem import AlignmentProblem, Feature, ProblemClass
from alignsolve.runtime.interruptible import interruptible
from alignsolve.solution import InfeasibleError, Solution, SolveError, Status, UnsupportedError
from alignsolve.solver import Answer, Capabilities, Progress, ProgressHook, Solver, Wanted, WarmStart

SOLVERS = {
    "augment": "alignsolve.solvers.shortest_paths:Augment",
    "auto": "alignsolve.solvers.auto:Auto",
    "branch": "alignsolve.solvers.branch:Branch",
    "budgets": "alignsolve.solvers.budgets:Budgets",
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
    "sift": "alignsolve.solvers.sift:Sift",
    "topk": "alignsolve.solvers.baseline:TopK",
}
"""Every solver by name: ``module:class``, imported when it is asked for. A new solver is one file and one line here."""


QUICK = 4096
"""Pairs up to which an answer of the cardinality class takes less time than one can interrupt."""
LARGEST_PRICE, FEW_CLIENTS = 1e6, 1024
"""Prices of a warm start above this many times the fitness, as the first clients show it, are not used."""


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
    presolve: bool = True,
    proof: Wanted = "any",
    throw: bool = True,
) -> Solution:
    """Find the best alignment and check it.

    Parameters
    ----------
    problem
        What to solve; it is not changed.
    solver
        A name in ``SOLVERS``, an instance with parameters of its own, or any callable of that signature.
    time_limit
        Seconds; the best feasible alignment found by then is returned. None: no limit. Code that a solver compiles on
        its first use after installation is compiled before the clock starts. Reading fitness is on the clock.
    gap
        Relative gap at which a solver may stop early. Even so the status is OPTIMAL only if the gap is closed.
    warm_start
        An earlier solution, alignment or (num_experts,) prices of a similar problem. Only speed depends on it.
    seed, threads, progress
        As in :class:`~alignsolve.solver.Solver`.
    presolve
        Whether a solver that allows it gets a simpler problem with the same optimum (``stats["presolve"]``).
    proof
        "own": a back end's word is not enough. Solvers that ask one search longer for prices, a witness or a tree.
    throw
        Raise when there is no alignment to return. If False, the solution tells why instead.

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
        If no alignment was found, or the solver's answer did not pass the check.
    ValueError
        If the solver is unknown or an argument makes no sense.

    Examples
    --------
    >>> solution = solve(AlignmentProblem([[3.0, 1.0], [2.0, 1.5]], expert_capacity=1))
    >>> solution.status, solution.proof, solution.objective
    (<Status.OPTIMAL: 'OPTIMAL'>, <Proof.PRICES: 'PRICES'>, 4.5)
    """
    limit = _checked_limit(time_limit)
    _check_arguments(problem, seed, threads)
    name, call = resolve(solver, gap=gap, proof=proof)
    warm = _read_warm_start(problem, warm_start)
    asked = _Asked(name, call, limit, warm, seed, threads, progress, presolve, proof == "own", throw)
    quick = problem.class_ is ProblemClass.CARDINALITY and problem.num_clients * problem.num_experts <= QUICK
    return _solve(problem, asked) if quick else interruptible(lambda: _solve(problem, asked))


class _Asked(NamedTuple):
    """The checked arguments of :func:`solve`."""

    name: str
    call: Solver
    limit: float
    warm: WarmStart
    seed: int
    threads: int | None
    progress: ProgressHook | None
    presolve: bool
    own_proof: bool
    throw: bool


def _solve(problem: AlignmentProblem, asked: _Asked) -> Solution:
    """Presolve, ask the solver, and check its answer."""
    name, call, limit, threads = asked.name, asked.call, asked.limit, asked.threads
    began = time.monotonic()
    watch, watched = Watch.of(problem)
    simpler = simplify(watched, call, wanted=asked.presolve)
    seconds = time.monotonic() - began
    refuse_unsupported(simpler.problem, name, call)
    if limit < math.inf:
        read_before = watch.seconds
        _prepare(simpler, call)
        seconds += watch.seconds - read_before  # compiling is before the clock, but reading is not
    watch.until = (started := time.monotonic() - seconds) + limit
    answer = _answer_without_solver(problem.unread())
    if answer is None:
        try:
            kept_back = checking_seconds(watched, limit, threads) if limit < math.inf else 0.0
            ask, deadline = _asking(name, call, asked.seed, asked.throw), started + limit - kept_back
            answer = simpler.answer(ask, asked.warm, deadline=deadline, threads=threads, progress=asked.progress)
        except LateError as error:
            answer = Answer(stats={"stopped": str(error)})
    answer = replace(answer, bound=math.inf, infeasible=False) if asked.own_proof else answer
    checked = judge(problem, answer, name=name, started=started, threads=threads, deadline=started + limit)
    spent = time.monotonic() - started
    if spent < limit and _is_off_by_rounding(checked, asked.warm.prices):
        cold = asked._replace(warm=WarmStart(checked.assigned), limit=limit - spent)
        return replace(_solve(problem, cold), runtime=time.monotonic() - started)
    return _told(checked, asked.progress, asked.throw)


def _is_off_by_rounding(solution: Solution, prices: FloatArray | None) -> bool:
    """Whether no more than the rounding of the warm start's prices is between the objective and its proof.

    Where prices are far larger than the values, what they round away is too much for a proof. A warm start may change
    the time alone, so the solver is asked once more without them.
    """
    if prices is None or solution.objective is None or solution.status is not Status.FEASIBLE:
        return False
    rounding = CANCELLATION * float(np.abs(prices).max(initial=0.0)) * solution.problem.num_clients
    return solution.problem.class_ is ProblemClass.CARDINALITY and solution.bound - solution.objective <= rounding


def _told(solution: Solution, progress: ProgressHook | None, throw: bool) -> Solution:
    """Report a checked solution; raise where there is none, if that is wanted."""
    if progress is not None and solution.objective is not None:
        progress(Progress("checked", solution.runtime, solution.objective, solution.bound))
    return _raise_failure(solution) if throw else solution


def prepare(problem: AlignmentProblem, solver: Solver) -> None:
    """Compile what the solver and the check of its answer need; ``solve()`` does this before a limit's clock starts."""
    interruptible(lambda: _prepare(simplify(problem, solver), solver))


def _prepare(simpler: Presolved, solver: Solver) -> None:
    own = getattr(solver, "prepare", None)
    if own is not None:
        for asked in simpler.asked():
            own(asked)
    for problem in dict.fromkeys((simpler.given, simpler.problem)):
        prepare_checks(problem)


def simplify(problem: AlignmentProblem, solver: Solver, *, wanted: bool = True) -> Presolved:
    """Presolve a problem for a solver.

    The problem stays as it is if it is small or sparse, if the solver does not allow a presolve, or if it could not
    take what the presolve makes. Only extreme numbers are scaled and bounds far beyond any load are moved in any case,
    as most back ends cannot compute with them.
    """
    declared = capabilities(solver)
    near, before = tamed(problem) if declared.presolve else (problem, ())
    if (
        not (declared.presolve and wanted)
        or problem.stored is not None
        or problem.num_clients * problem.num_experts < pipeline.PRESOLVE_PAIRS
    ):
        return Presolved(problem, before)
    simpler = pipeline.presolve(near)
    if not simpler.problem.features <= declared.takes:
        return Presolved(problem, before)
    return replace(simpler, given=problem, reductions=(*before, *simpler.reductions))


def _checked_limit(time_limit: float | None) -> float:
    if time_limit is None:
        return math.inf
    if not is_number(time_limit) or not time_limit >= 0:
        raise ValueError(f"time_limit is {time_limit!r}; it must be a number of seconds, 0 or more, or None")
    return float(time_limit)


def _check_arguments(problem: Any, seed: Any, threads: Any) -> None:
    if not isinstance(problem, AlignmentProblem):
        kind = type(problem).__name__
        raise TypeError(f"problem must be an AlignmentProblem, not {kind}; make one: AlignmentProblem(fitness)")
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed is {seed!r}; it must be a whole number, 0 or more")
    if threads is not None and (not isinstance(threads, int | np.integer) or threads < 1):
        raise ValueError(f"threads is {threads!r}; it must be a whole number, 1 or more, or None for all cores")


def _answer_without_solver(problem: AlignmentProblem) -> Answer | None:
    """Answer a problem with a contradictory row, and one without clients or experts; None for all others."""
    witness = contradiction(problem)
    if witness is not None:
        return Answer(witness=witness)
    if problem.num_clients and problem.num_experts:
        return None
    shortfall = problem.shortfall_penalty
    if problem.sets is not None:
        shortfall = np.append(shortfall, problem.sets.bounds.shortfall)
    dearest = np.where(np.isfinite(shortfall), -shortfall, -1.0)
    witness = from_direction(problem, np.full(len(dearest), -1.0))
    return Answer(None if witness else Alignment.from_pairs([], [], problem.num_clients), dearest, witness=witness)


def _asking(name: str, call: Solver, seed: int, throw: bool) -> pipeline.Ask:
    """How the presolved problem, or a part of it, is given to the solver; a failure is an answer, unless to throw."""

    def ask(
        problem: AlignmentProblem, deadline: float, warm: WarmStart, threads: int | None, progress: ProgressHook | None
    ) -> Answer:
        try:
            answer = call(problem, deadline=deadline, warm_start=warm, seed=seed, threads=threads, progress=progress)
        except LateError as error:
            answer = Answer(stats={"stopped": str(error)})
        except SolveError as error:
            if throw or isinstance(error, UnsupportedError):
                raise
            answer = Answer(stats={"stopped": str(error)})
        if not isinstance(answer, Answer):
            raise TypeError(f"solver {name!r} must return an Answer, not {type(answer).__name__}")
        return answer

    return ask


def resolve(solver: str | Solver, *, gap: float = 0.0, proof: Wanted = "any") -> tuple[str, Solver]:
    """Find a solver by name, or take it as it is; ``gap`` and ``proof`` reach the solvers that have such parameters."""
    if isinstance(solver, str):
        if solver not in SOLVERS:
            near = difflib.get_close_matches(solver, SOLVERS, n=1)
            hint = f"did you mean {near[0]!r}? There" if near else "there"
            raise ValueError(f"unknown solver {solver!r}; {hint} are: {', '.join(sorted(SOLVERS))}")
        module, _, attribute = SOLVERS[solver].partition(":")
        call: Any = getattr(importlib.import_module(module), attribute)()
        name = solver
    else:
        call, name = solver, getattr(solver, "__name__", type(solver).__name__)
        if not callable(solver):
            raise ValueError(f"a solver is a name or a callable, not {name}")
        if isinstance(solver, type):
            raise ValueError(f"{name} is a class; make an instance: {name}()")
    if not is_number(gap) or not 0.0 <= gap < math.inf:
        raise ValueError(f"gap is {gap!r}; it must be 0 or more, and finite")
    if proof not in get_args(Wanted):
        raise ValueError(f"proof is {proof!r}; it must be one of {', '.join(map(repr, get_args(Wanted)))}")
    if is_dataclass(call) and not isinstance(call, type):
        wanted = {"gap": gap or None, "proof": None if proof == "any" else proof}
        known = {field.name for field in fields(call)}
        call = replace(call, **{key: value for key, value in wanted.items() if key in known and value is not None})
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
    if Feature.SPARSE in missing:
        advice += "; or make it a full one with problem.to_dense(), if that fits into memory"
    if Feature.CROSSING_SETS in missing and problem.sets is not None and problem.sets.crossing is not None:
        one, other = (called(problem.set_names, "set", s) for s in problem.sets.crossing)
        advice += f"; {one} and {other} cross: each has experts that the other has not"
    if any("hard" in feature for feature in missing):
        advice += "; or soften the experts' bounds with problem.soften(...)"
    raise UnsupportedError(f"solver {name!r} cannot take {' or '.join(sorted(missing))}; {advice}")


def _read_warm_start(problem: AlignmentProblem, given: Any) -> WarmStart:
    """Sort what was given into an alignment and prices of this problem's shape."""
    if given is None:
        return WarmStart()
    if isinstance(given, Solution):
        same_experts = given.problem.num_experts == problem.num_experts
        same_experts = same_experts and given.problem.num_sets == problem.num_sets
        given = WarmStart(given.assigned, given.joint_prices) if same_experts else WarmStart()
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
        number = problem.num_experts + problem.num_sets * (len(prices) > problem.num_experts)
        if prices.shape != (number,) or not np.isfinite(prices).all():
            raise ValueError(f"warm_start prices must be {problem.num_experts} finite numbers, one per expert")
        unit_loads = problem.client_load is None
        if unit_loads and np.abs(prices).max(initial=0.0) > LARGEST_PRICE * _scale(problem):
            prices = None  # they would blur the fitness, and say nothing about it
    return WarmStart(alignment, prices)


def _scale(problem: AlignmentProblem) -> float:
    """The size of the fitness of the first clients, and of the penalties: what prices are made of."""
    block = problem.block(0, min(problem.num_clients, FEW_CLIENTS))
    value = block.value if block.allowed is None else block.value[block.allowed]
    sided = [problem.experts] if problem.sets is None else [problem.experts, problem.sets.bounds]
    penalties = np.concatenate([part for bounds in sided for part in (bounds.overload, bounds.shortfall)])
    sizes = np.concatenate([np.abs(value.astype(np.float64)).ravel(), penalties[np.isfinite(penalties)]])
    return float(sizes.max(initial=0.0))


def _raise_failure(solution: Solution) -> Solution:
    if solution.status is Status.INFEASIBLE:
        raise InfeasibleError(solution.explain(), solution)
    if solution.assigned is None:
        raise SolveError(solution.explain(), solution)
    return solution


def describe_solvers() -> Mapping[str, Capabilities]:
    """Every solver's capabilities, by name."""
    return {name: capabilities(resolve(name)[1]) for name in SOLVERS}


__all__ = ["SOLVERS", "capabilities", "describe_solvers", "prepare", "resolve", "solve"]

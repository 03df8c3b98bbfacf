"""One timed attempt of one contender at one problem, and the judgement of what it claims, the same for everybody."""

import gc
import math
import time
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from alignsolve import AlignmentProblem
from benchmarks import memory
from benchmarks.contender import Claim, Contender


@dataclass(frozen=True)
class Trial:
    """What was measured and found.

    Attributes
    ----------
    outcome
        "answered" (an alignment, right or wrong), "nothing" (none was returned), or why there was no attempt:
        "refused", "missing", "timeout", "crashed", "skipped".
    reason
        In words, where there is something to say.
    status
        What the contender claims.
    build_seconds, solve_seconds
        Making its own model from the raw arrays, and the rest up to its answer.
    backend_seconds
        What of ``solve_seconds`` passed inside a back end, where it is known.
    peak_mb
        How far resident memory rose above where it stood before, its child processes included; NaN if not known.
    resident_mb
        The most resident memory in all, the instance and mapped files included.
    fitness_mb
        Size of the fitness.
    feasible, objective
        By the problem's own data; the objective is None where the answer breaks a constraint.
    bound, proof
        The best bound that the contender's prices prove ("PRICES"), or that its back end claims ("SOLVER").
    argmax_seconds
        One ``fitness.argmax(axis=1)`` in the same process, the yardstick of memory speed.
    """

    outcome: str
    reason: str = ""
    status: str = ""
    build_seconds: float = math.nan
    solve_seconds: float = math.nan
    backend_seconds: float = math.nan
    peak_mb: float = math.nan
    feasible: bool = False
    objective: float | None = None
    bound: float = math.inf
    proof: str = ""
    argmax_seconds: float = math.nan
    resident_mb: float = math.nan
    fitness_mb: float = math.nan

    @property
    def total_seconds(self) -> float:
        """Everything between the raw arrays and the answer."""
        return self.build_seconds + self.solve_seconds


def attempt(contender: Contender, problem: AlignmentProblem) -> Trial:
    """Let a contender, which does not refuse it, solve a problem; measure and judge."""
    gc.collect()
    watch = memory.Watch()
    started = time.perf_counter()
    model = contender.build(problem)
    built = time.perf_counter()
    claim = contender.solve(model)
    solved = time.perf_counter()
    peak, resident = watch.peak_mb(), watch.resident_mb()
    return replace(
        judgement(problem, claim),
        build_seconds=built - started,
        solve_seconds=solved - built,
        peak_mb=peak,
        resident_mb=resident,
        fitness_mb=problem.num_clients * problem.num_experts * np.dtype(problem.fitness.dtype).itemsize / 1e6,
        argmax_seconds=_argmax_seconds(problem),
    )


def judgement(problem: AlignmentProblem, claim: Claim) -> Trial:
    """Re-check a claim by the problem's own data: violations, objective, and the bound of its prices."""
    bound, proof = claim.bound, claim.proof
    if claim.prices is not None:
        bound, proof = problem.bound(claim.prices), "PRICES"
    known = partial(Trial, status=claim.status, bound=bound, proof=proof, backend_seconds=claim.backend_seconds)
    if claim.x is None:
        return known("nothing", claim.status)
    broken = problem.violations(claim.x)
    if broken:
        return known("answered", f"breaks constraints: {'; '.join(broken)}")
    return known("answered", feasible=True, objective=problem.objective(claim.x))


def _argmax_seconds(problem: AlignmentProblem) -> float:
    """One pass over the fitness, block by block where it does not fit in memory."""
    seconds = 0.0
    for block in problem.blocks():
        fitness = problem.fitness[block.start : block.stop]
        started = time.perf_counter()
        fitness.argmax(axis=1)
        seconds += time.perf_counter() - started
    return seconds

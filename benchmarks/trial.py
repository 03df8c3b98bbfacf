"""One timed attempt of a contender at a problem, and the check of its claims, the same for all contenders."""

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
    """The measurements of one attempt, and its checked answer.

    Attributes
    ----------
    outcome
        "answered" (an alignment, right or wrong), "nothing" (no alignment), or the reason without an answer:
        "refused", "missing", "timeout", "crashed", "skipped".
    reason
        The reason in words; may be empty.
    status
        The status that the contender claims.
    build_seconds, solve_seconds
        Seconds to build the contender's model from the raw arrays, and from then to its answer.
    backend_seconds
        Part of ``solve_seconds`` spent inside a back end; NaN if unknown.
    peak_mb
        Rise of resident memory during the attempt in MB, child processes included; NaN if unknown.
    resident_mb
        Largest resident memory in MB, the instance and mapped files included.
    fitness_mb
        Size of the fitness in MB; of a sparse problem, of the arrays of its stored pairs.
    feasible, objective
        Recomputed from the problem's own data; the objective is None if the answer breaks a constraint.
    bound, proof
        The bound that the contender's prices prove ("PRICES"), or that its back end claims ("SOLVER").
    argmax_seconds
        Seconds of one ``fitness.argmax(axis=1)`` in the same process, a measure of memory speed.
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
        """Seconds from the raw arrays to the answer."""
        return self.build_seconds + self.solve_seconds


def attempt(contender: Contender, problem: AlignmentProblem) -> Trial:
    """Let a contender solve a problem that it does not refuse; measure the attempt and check the answer."""
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
        fitness_mb=_fitness_mb(problem),
        argmax_seconds=_argmax_seconds(problem),
    )


def judgement(problem: AlignmentProblem, claim: Claim) -> Trial:
    """Check a claim by the problem's own data: violations, objective, and the bound of its prices."""
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


def _fitness_mb(problem: AlignmentProblem) -> float:
    """Return the size of the fitness in MB."""
    pairs = problem.stored
    if pairs is not None:
        return (pairs.values.nbytes + pairs.experts.nbytes + pairs.indptr.nbytes) / 1e6
    return problem.num_clients * problem.num_experts * np.dtype(problem.fitness.dtype).itemsize / 1e6


def _argmax_seconds(problem: AlignmentProblem) -> float:
    """Return the seconds of one pass over the fitness, block by block."""
    seconds = 0.0
    for block in problem.blocks():
        started = time.perf_counter()
        block.fitness.argmax(axis=1)
        seconds += time.perf_counter() - started
    return seconds

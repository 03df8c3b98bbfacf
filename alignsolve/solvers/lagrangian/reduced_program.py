"""The reduced program: pairs that reduced fitness cannot decide against the incumbent, for an integer program.

At the prices, a client that must (or must not) have an expert loses something against its best choice: the pair's
regret. If the regret exceeds the gap between bound and incumbent, no better alignment has the pair otherwise, and it
is fixed (reduced-cost fixing). The rest is a problem like the first one, with fewer eligible and more required pairs.
It is passed to :mod:`alignsolve.solvers.ilp`.
"""

import math
import time
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from alignsolve.data.alignment import Alignment
from alignsolve.data.blocks import ClientBlock
from alignsolve.numerics import BoolArray, FloatArray, Number
from alignsolve.problem import AlignmentProblem
from alignsolve.solution import SolveError
from alignsolve.solver import WarmStart
from alignsolve.subproblem.dispatch import best_rows

SMALL_ENTRIES = 1 << 19
"""Pairs up to which regrets are computed: each takes one small problem."""
MARGIN = 1e-7
"""Margin of fixing, as a share of the bound, for rounding."""


@dataclass(frozen=True)
class Reduced:
    """The result of the integer program.

    Attributes
    ----------
    alignment
        The best that it found, or None.
    bound
        No alignment is better; inf if the program was not complete.
    stats
        For the answer's statistics.
    """

    alignment: Alignment | None = None
    bound: Number = math.inf
    stats: dict[str, Any] = field(default_factory=dict)


def solve_reduced(
    problem: AlignmentProblem,
    prices: FloatArray,
    bound: Number,
    objective: Number,
    incumbent: Alignment,
    *,
    most: int,
    gap: float,
    deadline: float,
    threads: int | None,
) -> Reduced:
    """Fix pairs by their regrets, and solve the rest if at most ``most`` pairs are open; (num_experts,) prices."""
    n, num_experts = problem.shape
    if n * num_experts > SMALL_ENTRIES or not math.isfinite(bound):
        return Reduced()
    regrets = _regrets(problem, prices, deadline)
    if regrets is None:
        return Reduced()
    chosen, regret = regrets
    needed = bound - objective + MARGIN * abs(bound)
    fixed = regret > needed
    complete = int((~fixed).sum()) <= most
    if not complete:
        return Reduced(stats={"open_pairs": int((~fixed).sum())})
    return _solve(problem, chosen, fixed, incumbent, gap, deadline, threads)


def _regrets(problem: AlignmentProblem, prices: FloatArray, deadline: float) -> tuple[BoolArray, FloatArray] | None:
    """Compute the best choices and each pair's regret, (num_clients, num_experts); None if the deadline came first."""
    chosen = np.zeros(problem.shape, dtype=np.bool_)
    regret = np.zeros(problem.shape)
    longest = 0.0
    for block in problem.blocks():
        rows = slice(block.start, block.stop)
        optima = best_rows(block, prices, choose=True)
        assert optima.chosen is not None
        chosen[rows] = optima.chosen
        for j in range(problem.num_experts):
            started = time.monotonic()
            if started + longest >= deadline:
                return None
            other = best_rows(_turned(block, j, optima.chosen[:, j]), prices)
            longest = max(longest, time.monotonic() - started)
            lost = optima.value - other.value
            regret[rows, j] = np.where(other.feasible, lost, np.inf)
    return chosen, regret


def _turned(block: ClientBlock, j: int, held: BoolArray) -> ClientBlock:
    """The block's clients, with the opposite choice of expert j forced."""
    shape = block.value.shape
    allowed = np.ones(shape, dtype=np.bool_) if block.allowed is None else block.allowed.copy()
    required = np.zeros(shape, dtype=np.bool_) if block.required is None else block.required.copy()
    # A pair that is required and barred at once has no choice: its regret is infinite.
    barred = held | ~allowed[:, j]
    allowed[:, j] = ~barred
    required[:, j] |= ~held
    return replace(block, allowed=allowed, required=required)


def _solve(
    problem: AlignmentProblem,
    chosen: BoolArray,
    fixed: BoolArray,
    incumbent: Alignment,
    gap: float,
    deadline: float,
    threads: int | None,
) -> Reduced:
    """Pass the reduced program to the integer programming solver."""
    from alignsolve.solvers.ilp.solver import Ilp  # noqa: PLC0415

    eligible = ~fixed | chosen
    if problem.eligible is not None:
        eligible &= problem.eligible
    required = fixed & chosen
    if problem.required is not None:
        required |= problem.required
    restricted = replace(problem, eligible=eligible, required=required)
    known = WarmStart(incumbent)
    stats: dict[str, Any] = {"open_pairs": int((~fixed).sum())}
    try:
        answer = Ilp(gap=gap)(restricted, deadline=deadline, warm_start=known, seed=0, threads=threads, progress=None)
    except SolveError as error:
        return Reduced(stats={**stats, "core": str(error)})
    if "confirmed_by" in answer.stats:
        stats["confirmed_by"] = answer.stats["confirmed_by"]
    if answer.infeasible or answer.witness is not None:
        # Nothing but the incumbent's equals are left.
        return Reduced(bound=problem.objective(incumbent), stats=stats)
    alignment = answer.x if isinstance(answer.x, Alignment) else None
    reached = max(problem.objective(incumbent), -math.inf if alignment is None else problem.objective(alignment))
    return Reduced(alignment, max(answer.bound, reached), stats)

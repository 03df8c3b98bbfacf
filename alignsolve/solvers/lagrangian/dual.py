"""Prices for many clients from few passes over all of them: a level method on a sample, corrected by the whole.

The bound of a sample, scaled up, looks like the bound of all clients but for its slope, and that is a matter of loads.
So: find the sample's best prices; one pass over everybody there tells the true loads; tilt the sample's bound until its
loads are the true ones at this point; find the best prices of that, and so on. Every turn the error of the prices
shrinks by the relative error of the sample's curvature, so that two or three passes over all clients do (S. G. Nash,
A multigrid approach to discretized optimization problems, Optimization Methods and Software 14, 2000). Samples are
started from the best prices of smaller ones.
"""

import contextlib
import math
import time
from dataclasses import dataclass

import numpy as np

from alignsolve.numerics import BoolArray, FloatArray
from alignsolve.problem import AlignmentProblem
from alignsolve.solvers.ascent import FIRST_GAP, Responds, bound_at, descend
from alignsolve.solvers.lagrangian.clients import Clients, LateError

SAMPLE_ENTRIES = 1 << 18
"""Pairs of the sample; a problem of up to four times as many is its own."""
DIRECT = 4
SHRINK = 8
"""How much smaller each sample is than the next."""
SMALLEST_ENTRIES = 1 << 15
PASSES, MORE_PASSES = 100, 60
"""Of the level method over one sample, at most: from afar, and after a correction."""
SETTLED = 1e-6
"""Prices of samples are settled where no fall by more than this share of the bound is expected."""
TURNS = 5
"""Passes over all clients, at most."""
NEAR = 0.002
"""After a correction, and from a smaller sample, the bound is expected to fall by about this share."""
SHARE = 0.4
"""Of the time, for samples; the rest is for all clients, and for what follows."""
RESERVE = 4.0
"""Passes over all clients that what follows takes: the pass itself, the repair, the front door's check."""
ENOUGH = 1e-5
"""No further pass is made for less than this share of the bound."""


@dataclass
class Prices:
    """The best prices so far.

    Attributes
    ----------
    prices
        (num_experts,).
    bound
        All clients' bound there; inf if it is not known.
    chosen
        (num_clients, num_experts), what all clients choose there; None if that is not known.
    passes, sample_passes
        Looks at all clients, and at samples.
    pass_seconds
        How long the last look at all clients took.
    """

    prices: FloatArray
    bound: float = math.inf
    chosen: BoolArray | None = None
    passes: int = 0
    sample_passes: int = 0
    pass_seconds: float = 0.0


def find_prices(
    problem: AlignmentProblem,
    start: FloatArray | None,
    *,
    deadline: float,
    threads: int | None,
) -> Prices:
    """Search prices with a low bound, and what the clients choose under them.

    Parameters
    ----------
    problem
        Without crossed bounds.
    start
        (num_experts,) prices to start from, or None.
    deadline
        On the clock of :func:`time.monotonic`; then the best so far is returned.
    threads
        As in :class:`~alignsolve.solver.Solver`.
    """
    prices = problem.experts.project(np.zeros(problem.num_experts) if start is None else start)
    found = Prices(prices)
    with contextlib.suppress(LateError):
        _search(problem, found, deadline, threads, warm=start is not None)
    return found


def _search(
    problem: AlignmentProblem,
    found: Prices,
    deadline: float,
    threads: int | None,
    *,
    warm: bool,
) -> None:
    """Small samples first, then all clients, or the sample corrected by them."""
    entries = problem.num_clients * problem.num_experts
    direct = entries <= DIRECT * SAMPLE_ENTRIES
    sample = None
    strides = [1] if direct else []
    size = SAMPLE_ENTRIES
    while size >= SMALLEST_ENTRIES and not (warm and strides):
        if entries >= 2 * size:
            strides.insert(0, entries // size)
        size //= SHRINK
    first_gap = NEAR if warm else FIRST_GAP
    for stride in strides:
        sample = Clients.of(problem, stride, threads, deadline)
        soon = _soon(problem, sample, found.prices, deadline)
        found.prices, used = descend(problem, sample, found.prices, None, PASSES, soon, first_gap, SETTLED)
        found.sample_passes += used
        first_gap = NEAR
    assert sample is not None
    everyone = sample if direct else Clients.of(problem, 1, threads, deadline)
    _correct(problem, found, sample, everyone, deadline, turns=1 if direct else TURNS)


def _soon(problem: AlignmentProblem, sample: Clients, prices: FloatArray, deadline: float) -> float:
    """When to be done with the sample: all clients will have to be looked at, moved and checked."""
    started = time.monotonic()
    if math.isinf(deadline):
        return deadline
    sample.respond(prices)
    now = time.monotonic()
    pass_seconds = (now - started) * problem.num_clients / max(1, sample.num_clients)
    return now + SHARE * max(0.0, deadline - now - RESERVE * pass_seconds)


def _correct(
    problem: AlignmentProblem, found: Prices, sample: Clients, everyone: Clients, deadline: float, *, turns: int
) -> None:
    """Look at all clients; tilt the sample's bound by what was seen; again from the best prices of that."""
    here = found.prices
    for turn in range(turns):
        started = time.monotonic()
        pass_ = _Pass(everyone, np.zeros((everyone.num_clients, everyone.num_experts), dtype=np.bool_), here)
        bound, _ = bound_at(problem, pass_, here)
        found.passes += 1
        fell = found.bound - bound
        if fell > 0.0:
            found.prices, found.bound, found.chosen = here, bound, pass_.chosen
        found.pass_seconds = seconds = time.monotonic() - started
        last = turn == turns - 1 or fell <= ENOUGH * abs(bound)
        if last or time.monotonic() + RESERVE * seconds > deadline:
            return
        _, sampled = sample.respond(here)
        tilted = _Tilted(sample, here, sampled - pass_.loads)
        expected, _ = bound_at(problem, tilted, here)
        here, used = descend(problem, tilted, here, None, MORE_PASSES, deadline, NEAR / 4**turn, SETTLED)
        found.sample_passes += used
        if expected - bound_at(problem, tilted, here)[0] <= ENOUGH * abs(bound):
            return


@dataclass
class _Pass:
    """Clients who are asked once, with what they chose and their loads."""

    clients: Clients
    chosen: BoolArray
    loads: FloatArray

    def respond(self, prices: FloatArray) -> tuple[float, FloatArray]:
        total, self.loads = self.clients.respond(prices, self.chosen)
        return total, self.loads


@dataclass(frozen=True)
class _Tilted:
    """A sample whose loads are moved by so much, and its optima to match; the same as before at one point."""

    clients: Responds
    point: FloatArray
    excess: FloatArray

    def respond(self, prices: FloatArray) -> tuple[float, FloatArray]:
        total, loads = self.clients.respond(prices)
        return total + float(self.excess @ (prices - self.point)), loads - self.excess

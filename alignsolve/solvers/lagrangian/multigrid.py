"""Prices for many clients from few passes over all of them: multigrid, from a small sample to all clients.

The bound of a sample, scaled up, is nearly the bound of all clients. The main difference is its slope, and a slope is
a difference of loads. So:

1. Find the sample's best prices.
2. One pass over all clients gives the true loads at these prices.
3. Tilt the sample's bound: add the linear term that makes its loads the true ones at this point.
4. Find the best prices of the tilted bound, and repeat from step 2.

Each turn multiplies the error of the prices by the relative error of the sample's curvature, so that two or three
passes over all clients are enough (S. G. Nash, A multigrid approach to discretized optimization problems, Optimization
Methods and Software 14, 2000).

A small sample's prices are found by a level method (:mod:`alignsolve.solvers.common.level_method`), which can start
anywhere. From there the bound of a larger sample is nearly quadratic: damped Newton steps (:mod:`.newton`) settle it
in few passes. With few clients the bound is a polyhedron again, and the level method finds its corner.
"""

import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from alignsolve.numerics import BoolArray, FloatArray
from alignsolve.problem import AlignmentProblem
from alignsolve.solvers.common.level_method import FIRST_GAP, bound_at, minimise_bound
from alignsolve.solvers.lagrangian.clients import ClientChunks, LateError
from alignsolve.solvers.lagrangian.newton import Descent, curvature

FIRST_ENTRIES = 1 << 15
"""Pairs of the first sample. A problem of up to twice as many pairs has no smaller sample."""
SAMPLE_ENTRIES = 1 << 18
"""Pairs of the sample that stands for all clients. A problem of up to ``DIRECT`` times as many pairs is its own
sample."""
DIRECT = 4
"""See ``SAMPLE_ENTRIES``."""
CURVE_ENTRIES = (1 << 17, 1 << 16, 1 << 15, 1 << 14)
"""Pairs of the sample that shows the curvature: the largest of these that time allows."""
PASSES, FIRST_PASSES, MORE_PASSES = 100, 60, 15
"""Most passes over a problem that is its own sample, over the first sample, and after a correction."""
ROUGH, SETTLED = 1e-4, 1e-6
"""Prices are settled where the bound is expected to fall by no more than this share: in the first sample, and later."""
TURNS = 4
"""Most passes over all clients."""
NEAR, NEARER = 0.002, 1e-5
"""Share by which the bound is expected to fall: from a smaller sample's prices, and after Newton steps."""
SHARE, LEAST_SHARE = 0.4, 0.1
"""Share of the time for samples: of the time that the later passes leave, and the least share of all time left."""
CURVED, LEAST_CURVED = (0.15, 0.2, 0.4, 0.4), (0.0, 0.0, 0.1, 0.2)
"""Share of the time for measuring the curvature, for each of ``CURVE_ENTRIES``: of the time that the later passes
leave, and the least share of all time left. Without a curvature the level method goes on, and portions of clients
do not make up for one another."""
RESERVE = 3.0
"""Time, in passes over all clients, kept for the pass itself and for the repair after it."""
FIRST_RESERVE = 5.0
"""Time, in passes, kept before there is any alignment. Choosing in portions takes longer on a busy machine, and an
alignment that comes too late is worth nothing."""
ENOUGH = 0.1
"""No further pass is made for less than this share of the gap asked for, nor for less than ``SETTLED``."""


@dataclass
class Prices:
    """The best prices so far.

    Attributes
    ----------
    prices
        (num_experts,) the prices with the lowest bound known.
    guess
        (num_experts,) the prices that should be the best, though their bound may be unknown.
    bound
        All clients' bound at ``prices``; inf if it is not known.
    chosen
        (num_clients, num_experts), the choices of all clients at ``prices``; None if they are not known.
    loads
        (num_experts,) of these choices, or None.
    falls
        (num_experts, num_experts) the curvature: how much the loads of all clients fall as prices rise; None if
        unknown.
    passes, sample_passes
        Passes over all clients, and over samples.
    pass_seconds
        How long the last pass over all clients took.
    """

    prices: FloatArray
    guess: FloatArray
    bound: float = math.inf
    chosen: BoolArray | None = None
    loads: FloatArray | None = None
    falls: FloatArray | None = None
    passes: int = 0
    sample_passes: int = 0
    pass_seconds: float = 0.0


def prices_by_multigrid(
    problem: AlignmentProblem,
    start: FloatArray | None,
    *,
    gap: float,
    deadline: float,
    threads: int | None,
) -> Iterator[Prices]:
    """Search prices with a low bound, and the clients' choices under them.

    Yields the same result again and again while it grows: after the samples where a pass over all clients would come
    too late, after each pass over all clients, and at the end.

    Parameters
    ----------
    problem
        Without crossed bounds.
    start
        (num_experts,) prices to start from, or None.
    gap
        Relative gap that is good enough in the end.
    deadline
        On the clock of :func:`time.monotonic`; then the best so far is returned.
    threads
        As in :class:`~alignsolve.solver.Solver`.
    """
    prices = problem.experts.project(np.zeros(problem.num_experts) if start is None else start)
    search = _Search(problem, Prices(prices, prices), deadline, threads, max(SETTLED, ENOUGH * gap))
    with contextlib.suppress(LateError):
        yield from search.run(warm=start is not None)
        return
    yield search.found


@dataclass
class _Search:
    """One search under way."""

    problem: AlignmentProblem
    found: Prices
    deadline: float
    threads: int | None
    settled: float

    def run(self, *, warm: bool) -> Iterator[Prices]:
        """Take the first sample, the sample that stands for all clients, and then all clients."""
        entries = self.problem.num_clients * self.problem.num_experts
        first_gap = NEAR if warm else FIRST_GAP
        # A small first sample: rough prices by the level method.
        if entries >= 2 * FIRST_ENTRIES:
            sample = self._clients(entries // FIRST_ENTRIES)
            self._level(sample, first_gap, FIRST_PASSES, max(ROUGH, self.settled))
            first_gap = NEAR
        # The sample that stands for all: Newton steps, or the level method where there is no curvature.
        direct = entries <= DIRECT * SAMPLE_ENTRIES
        sample = self._clients(1 if direct else entries // SAMPLE_ENTRIES)
        curved = entries >= 2 * FIRST_ENTRIES and self._curve(sample)
        if not curved or entries <= SAMPLE_ENTRIES:
            self._level(sample, NEARER if curved else first_gap, PASSES, self.settled)
        self.found.guess = self.found.prices
        # All clients: correct the sample's prices.
        if direct or self._in_time(sample):
            yield from self._correct(sample, sample if direct else self._clients(1), turns=1 if direct else TURNS)
        else:
            yield self.found

    def _clients(self, stride: int) -> ClientChunks:
        return ClientChunks.of(self.problem, stride, self.threads, self.deadline)

    def _level(self, sample: ClientChunks, first_gap: float, passes: int, settled: float) -> None:
        """Settle a sample by the level method."""
        found, soon = self.found, self._soon(sample)
        found.prices, used = minimise_bound(self.problem, sample, found.prices, None, passes, soon, first_gap, settled)
        found.sample_passes += used

    def _curve(self, sample: ClientChunks) -> bool:
        """Settle a sample by damped Newton steps; whether there was time for it."""
        found = self.found
        found.falls = self._curvature()
        if found.falls is None:
            return False
        descent = Descent(self.problem, sample, found.prices, found.falls)
        used = descent.run(MORE_PASSES, self.settled, self._soon(sample))
        found.prices = descent.best
        found.sample_passes += self.problem.num_experts + used
        return True

    def _curvature(self) -> FloatArray | None:
        """Measure the curvature on the largest sample that time allows; None if there is no time."""
        num_clients, num_experts = self.problem.shape
        for entries, share, least in zip(CURVE_ENTRIES, CURVED, LEAST_CURVED, strict=True):
            sample = self._clients(max(1, num_clients * num_experts // entries))
            seconds, everyone = self._timed(sample)
            left = self.deadline - time.monotonic()
            if num_experts * seconds <= max(share * (left - RESERVE * everyone), least * left):
                return curvature(sample, self.found.prices, self.deadline)
        return None

    def _timed(self, sample: ClientChunks) -> tuple[float, float]:
        """Seconds that a pass over a sample takes now, and the seconds expected of a pass over all clients."""
        started = time.monotonic()
        sample.respond(self.found.prices)
        seconds = time.monotonic() - started
        return seconds, seconds * self.problem.num_clients / max(1, sample.num_clients)

    def _soon(self, sample: ClientChunks) -> float:
        """When to stop with a sample, so that time is left for a pass over all clients and for moving them."""
        if math.isinf(self.deadline):
            return self.deadline
        _, everyone = self._timed(sample)
        now = time.monotonic()
        left = self.deadline - now
        return now + max(SHARE * (left - RESERVE * everyone), LEAST_SHARE * left)

    def _in_time(self, sample: ClientChunks) -> bool:
        """Whether time is left for a pass over all clients and for moving them."""
        _, everyone = self._timed(sample)
        return time.monotonic() + FIRST_RESERVE * everyone < self.deadline

    def _correct(self, sample: ClientChunks, everyone: ClientChunks, *, turns: int) -> Iterator[Prices]:
        """Steps 2 to 4 of the module's docstring, at most ``turns`` times."""
        found, here = self.found, self.found.prices
        for turn in range(turns):
            # A pass over all clients: the true bound, loads and choices.
            started = time.monotonic()
            pass_ = _Pass(everyone, np.empty((everyone.num_clients, everyone.num_experts), dtype=np.bool_), here)
            bound, _ = bound_at(self.problem, pass_, here)
            found.passes += 1
            fell = found.bound - bound
            if fell > 0.0:
                found.prices, found.bound, found.chosen, found.loads = here, bound, pass_.chosen, pass_.loads
            found.pass_seconds = seconds = time.monotonic() - started
            enough = self.settled * abs(bound)
            if sample is everyone:
                found.guess = found.prices
                yield found
                return
            if fell <= enough and turn:
                found.guess = found.prices
                yield found
                return
            # Tilt the sample's bound and go to its best prices.
            _, sampled = sample.respond(here)
            tilted = _Tilted(sample, here, sampled - pass_.loads)
            promised, here = self._tilt(tilted, here, turn)
            found.guess = here
            yield found
            if promised <= enough or time.monotonic() + RESERVE * seconds > self.deadline:
                return

    def _tilt(self, tilted: "_Tilted", here: FloatArray, turn: int) -> tuple[float, FloatArray]:
        """Minimise the tilted bound; return by how much it falls, and the prices where it is lowest."""
        found = self.found
        if found.falls is not None:
            descent = Descent(self.problem, tilted, here, found.falls)
            before = descent.bound
            found.sample_passes += descent.run(MORE_PASSES, self.settled, self.deadline)
            return before - descent.bound, descent.best
        before, _ = bound_at(self.problem, tilted, here)
        lowest, used = minimise_bound(
            self.problem, tilted, here, None, PASSES, self._soon(tilted.clients), NEAR / 4**turn, self.settled
        )
        found.sample_passes += used
        return before - bound_at(self.problem, tilted, lowest)[0], lowest


@dataclass
class _Pass:
    """All clients, for one pass that keeps their choices and loads."""

    clients: ClientChunks
    chosen: BoolArray
    loads: FloatArray

    def respond(self, prices: FloatArray) -> tuple[float, FloatArray]:
        """As :meth:`.ClientChunks.respond`."""
        total, self.loads = self.clients.respond(prices, self.chosen)
        return total, self.loads


@dataclass(frozen=True)
class _Tilted:
    """A sample whose loads are shifted by ``excess``, and its optima with them: those at ``point`` stay the same."""

    clients: ClientChunks
    point: FloatArray
    excess: FloatArray

    def respond(self, prices: FloatArray) -> tuple[float, FloatArray]:
        """As :meth:`.ClientChunks.respond`."""
        total, loads = self.clients.respond(prices)
        return total + float(self.excess @ (prices - self.point)), loads - self.excess

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
from alignsolve.solvers.lagrangian.multigrid_parameters import DEFAULTS, MultigridParameters
from alignsolve.solvers.lagrangian.newton import Descent, curvature


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
    parameters: MultigridParameters = DEFAULTS,
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
    parameters
        Sizes of samples, limits of passes, shares of time.
    """
    prices = problem.experts.project(np.zeros(problem.num_experts) if start is None else start)
    search = _Search(
        problem, Prices(prices, prices), deadline, threads, max(parameters.settled, parameters.enough * gap), parameters
    )
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
    parameters: MultigridParameters = DEFAULTS

    def run(self, *, warm: bool) -> Iterator[Prices]:
        """Take the first sample, the sample that stands for all clients, and then all clients."""
        entries = self.problem.num_clients * self.problem.num_experts
        first_gap = self.parameters.near if warm else FIRST_GAP
        # A small first sample: rough prices by the level method.
        if entries >= 2 * self.parameters.first_entries:
            sample = self._clients(entries // self.parameters.first_entries)
            self._level(sample, first_gap, self.parameters.first_passes, max(self.parameters.rough, self.settled))
            first_gap = self.parameters.near
        # The sample that stands for all: Newton steps, or the level method where there is no curvature.
        direct = entries <= self.parameters.direct * self.parameters.sample_entries
        sample = self._clients(1 if direct else entries // self.parameters.sample_entries)
        curved = entries >= 2 * self.parameters.first_entries and self._curve(sample)
        if not curved or entries <= self.parameters.sample_entries:
            self._level(sample, self.parameters.nearer if curved else first_gap, self.parameters.passes, self.settled)
        self.found.guess = self.found.prices
        # All clients: correct the sample's prices.
        if direct or self._in_time(sample):
            yield from self._correct(
                sample, sample if direct else self._clients(1), turns=1 if direct else self.parameters.turns
            )
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
        used = descent.run(self.parameters.more_passes, self.settled, self._soon(sample))
        found.prices = descent.best
        found.sample_passes += self.problem.num_experts + used
        return True

    def _curvature(self) -> FloatArray | None:
        """Measure the curvature on the largest sample that time allows; None if there is no time."""
        num_clients, num_experts = self.problem.shape
        for entries, share, least in zip(
            self.parameters.curve_entries, self.parameters.curve_shares, self.parameters.least_curve_shares, strict=True
        ):
            sample = self._clients(max(1, num_clients * num_experts // entries))
            seconds, everyone = self._timed(sample)
            left = self.deadline - time.monotonic()
            if num_experts * seconds <= max(share * (left - self.parameters.reserve * everyone), least * left):
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
        return now + max(
            self.parameters.share * (left - self.parameters.reserve * everyone), self.parameters.least_share * left
        )

    def _in_time(self, sample: ClientChunks) -> bool:
        """Whether time is left for a pass over all clients and for moving them."""
        _, everyone = self._timed(sample)
        return time.monotonic() + self.parameters.first_reserve * everyone < self.deadline

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
            if promised <= enough or time.monotonic() + self.parameters.reserve * seconds > self.deadline:
                return

    def _tilt(self, tilted: "_Tilted", here: FloatArray, turn: int) -> tuple[float, FloatArray]:
        """Minimise the tilted bound; return by how much it falls, and the prices where it is lowest."""
        found = self.found
        if found.falls is not None:
            descent = Descent(self.problem, tilted, here, found.falls)
            before = descent.bound
            found.sample_passes += descent.run(self.parameters.more_passes, self.settled, self.deadline)
            return before - descent.bound, descent.best
        before, _ = bound_at(self.problem, tilted, here)
        lowest, used = minimise_bound(
            self.problem,
            tilted,
            here,
            None,
            self.parameters.passes,
            self._soon(tilted.clients),
            self.parameters.near / 4**turn,
            self.settled,
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
        """As :meth:`.clients.ClientChunks.respond`."""
        total, self.loads = self.clients.respond(prices, self.chosen)
        return total, self.loads


@dataclass(frozen=True)
class _Tilted:
    """A sample whose loads are shifted by ``excess``, and its optima with them: those at ``point`` stay the same."""

    clients: ClientChunks
    point: FloatArray
    excess: FloatArray

    def respond(self, prices: FloatArray) -> tuple[float, FloatArray]:
        """As :meth:`.clients.ClientChunks.respond`."""
        total, loads = self.clients.respond(prices)
        return total + float(self.excess @ (prices - self.point)), loads - self.excess

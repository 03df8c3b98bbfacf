"""Load bounds with memory: experts short of load catch up in later rounds, experts ahead get less.

The idea is FLEX-MoE's (arXiv 2512.23070): bounds L_e ≤ load ≤ U_e around the balanced share, shifted by each expert's
past deficit. The paper has no public code; this is a reconstruction. The projection is our own: freely shifted bounds
of ±10 % soon exceed what the round's clients can supply. Therefore the shifted share is projected onto the loads that
the cohort can supply (:mod:`.share`), and the bounds always contain the whole numbers next to it. So the bounds never
cross, and if every client is eligible for every expert, an alignment within them always exists.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np

from alignsolve.estimate import checks
from alignsolve.estimate.report import Report
from alignsolve.estimate.share import even_share
from alignsolve.numerics import BoolArray, FloatArray, IntArray, whole_ceil, whole_floor

CLIPPED = 1e-6
"""Least difference between the projected and the wanted share, in clients, that counts as clipped."""


@dataclass(frozen=True, eq=False)
class CumulativeLoad:
    """The total load of each expert from completed reports, since the first round.

    Attributes
    ----------
    load
        (num_experts,) load, in the monitor's measure.
    pairs
        Number of completed assignments, all experts together.
    """

    load: FloatArray
    pairs: int

    def grow(self, num_clients: int) -> Self:
        """Return the state itself: it holds nothing per client."""
        return self


@dataclass(frozen=True, eq=False)
class LoadBounds:
    """The load bounds of one round.

    Attributes
    ----------
    share
        (num_experts,) target load between the bounds.
    demand, capacity
        (num_experts,) whole numbers; a capacity of inf is no bound.
    penalty
        Fitness lost per client beyond either bound; inf if the bounds are hard.
    clipped
        Whether the cohort cannot supply the wanted shares, so that they were reduced to what it can supply.
    """

    share: FloatArray
    demand: FloatArray
    capacity: FloatArray
    penalty: float
    clipped: bool

    def only(self, bounded: BoolArray) -> "LoadBounds":
        """Return the same bounds without those of the experts that are not bounded, (num_experts,) bools."""
        if bounded.all():
            return self
        demand, capacity = np.where(bounded, self.demand, 0.0), np.where(bounded, self.capacity, np.inf)
        return replace(self, demand=demand, capacity=capacity)


@dataclass(frozen=True)
class LoadMonitor:
    """Keeps the experts' cumulative loads even.

    Parameters
    ----------
    tolerance
        The bounds are the outermost whole numbers within share·(1 ± tolerance); they always include the whole numbers
        next to the share. 0 or more; inf: no bounds.
    catch_up
        Part of its deficit that an expert makes up for in one round, between 0 (forget the past) and 1.
    soft
        Whether bounds may be broken at a price. Hard bounds can make a round infeasible if clients are not eligible for
        all experts.
    penalty
        The price of soft bounds, in fitness per client beyond a bound. None: (num_experts + 1)·max(1, r), where r is
        the range of the round's fitness and 0. One client beyond a bound lets at most num_experts other clients change
        to a better expert, and each gains at most r. So with this price no gain in fitness pays for imbalance: a bound
        is broken only if no alignment keeps all of them.
    measure
        The load that is balanced over the rounds. "assignments": completed assignments. "usage": the share of a
        client's examples that it routed to the expert; each client counts 1. "examples": the number of these examples.
        Deficits are measured in assignments of average weight. If no client routes to an expert, more clients cannot
        help it: its deficit grows until it is clipped.
    """

    tolerance: float = 0.1
    catch_up: float = 1.0
    soft: bool = True
    penalty: float | None = None
    measure: Literal["assignments", "usage", "examples"] = "assignments"

    def __post_init__(self) -> None:
        """Check the parameters."""
        if not self.tolerance >= 0:
            raise ValueError(f"tolerance is {self.tolerance}; it must be 0 or more")
        if not 0 <= self.catch_up <= 1:
            raise ValueError(f"catch_up is {self.catch_up}; it must lie between 0 and 1")
        if self.penalty is not None and not 0 <= self.penalty < np.inf:
            raise ValueError(
                f"penalty is {self.penalty}; it must be finite and 0 or more (soft=False makes bounds hard)"
            )
        checks.choice("measure", self.measure, ("assignments", "usage", "examples"))

    def init(self, num_clients: int, num_experts: int) -> CumulativeLoad:
        """Return the state without load."""
        return CumulativeLoad(np.zeros(num_experts), 0)

    def update(self, state: CumulativeLoad, reports: Sequence[Report]) -> CumulativeLoad:
        """Add the loads of completed reports; no other reports count."""
        load, done = state.load.copy(), [report for report in reports if report.completed]
        if not done:
            return state
        experts = np.concatenate([report.experts for report in done])
        counts = self.measure == "assignments"
        np.add.at(load, experts, 1.0 if counts else np.concatenate([self._weights(report) for report in done]))
        return CumulativeLoad(load, state.pairs + len(experts))

    def _weights(self, report: Report) -> FloatArray:
        """Return the load that a report puts on each of its experts, in shares of use or in examples."""
        weights: FloatArray = report.usage / max(report.usage.sum(), np.finfo(np.float64).tiny)
        return weights if self.measure == "usage" else weights * report.num_examples

    def bounds(self, state: CumulativeLoad, client_capacity: IntArray, fitness: FloatArray) -> LoadBounds:
        """Return the bounds of a round, given its clients' capacities (num_clients,) and fitness."""
        total = state.load.sum()
        weight = total / state.pairs if total > 0 else 1.0  # load of an average assignment
        deficit = self.catch_up * (state.load.mean() - state.load) / weight
        share = even_share(-deficit, client_capacity)
        wanted = np.minimum(client_capacity, len(share)).sum() / len(share) + deficit
        return self.around(share, fitness, clipped=bool(np.abs(share - wanted).max() > CLIPPED))

    def around(self, share: FloatArray, fitness: FloatArray, *, clipped: bool) -> LoadBounds:
        """Return the bounds around shares, (num_experts,), that the round's clients can supply."""
        if np.isinf(self.tolerance):
            demand, capacity = np.zeros(len(share)), np.full(len(share), np.inf)
        else:
            demand = np.minimum(whole_ceil(share * max(0.0, 1 - self.tolerance)), whole_floor(share))
            capacity = np.maximum(whole_floor(share * (1 + self.tolerance)), whole_ceil(share))
        penalty = self._price(fitness) if self.soft else np.inf
        return LoadBounds(share, demand, capacity, penalty, clipped)

    def _price(self, fitness: FloatArray) -> float:
        if self.penalty is not None:
            return self.penalty
        spread = fitness.max(initial=0.0) - fitness.min(initial=0.0)
        return float((fitness.shape[1] + 1) * max(1.0, spread))

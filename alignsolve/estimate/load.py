"""Load bounds that remember: an expert that fell behind gets more in the next round, one that is ahead gets less.

The idea is FLEX-MoE's (arXiv 2512.23070): bounds L_e ≤ load ≤ U_e around the balanced share, shifted by each expert's
historical deficit. The paper gives no code; this is a reconstruction, and the shift is our own: bounds shifted freely
by ±10 % soon ask for what the round's clients cannot give, so the shifted share is projected onto what they can
(:mod:`.share`), and the bounds never exclude the whole numbers beside it. So they never cross, and an alignment between
them always exists if every client is eligible for every expert.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

from alignsolve.estimate import checks
from alignsolve.estimate.report import Report
from alignsolve.estimate.share import even_share
from alignsolve.numerics import FloatArray, IntArray, whole_ceil, whole_floor

CLIPPED = 1e-6
"""Clients per expert by which a share must differ from the one asked for to be told as clipped."""


@dataclass(frozen=True, eq=False)
class CumulativeLoad:
    """What each expert got from completed rounds, since the first one.

    Attributes
    ----------
    load
        (num_experts,) in the monitor's measure.
    pairs
        Completed assignments of all experts together.
    """

    load: FloatArray
    pairs: int

    def grow(self, num_clients: int) -> Self:
        """Return itself: loads belong to experts."""
        return self


@dataclass(frozen=True, eq=False)
class LoadBounds:
    """One round's bounds.

    Attributes
    ----------
    share
        (num_experts,) the load that the bounds surround.
    demand, capacity
        (num_experts,) whole numbers; the capacity is inf where there is no bound.
    penalty
        Fitness per client beyond either bound; inf if they are hard.
    clipped
        Whether the cohort could not supply what the deficits asked for, so that the shares were cut to what it can.
    """

    share: FloatArray
    demand: FloatArray
    capacity: FloatArray
    penalty: float
    clipped: bool


@dataclass(frozen=True)
class LoadMonitor:
    """Keeps the experts' cumulative loads even.

    Parameters
    ----------
    tolerance
        Bounds are the whole numbers within share·(1 ± tolerance), and those beside the share in any case; 0 or more.
        Inf: no bounds at all.
    catch_up
        Part of its deficit that an expert makes up for in one round, between 0 (forget the past) and 1.
    soft
        Whether bounds may be broken at a price. Hard ones make a round infeasible where clients are not eligible for
        all experts.
    penalty
        That price, in fitness per client beyond a bound. None: (num_experts + 1)·max(1, range of the round's fitness
        and 0). One client beyond a bound lets at most num_experts others change to a better expert, each gaining
        at most the range, so that with this price no fitness buys imbalance: bounds are broken only where no alignment
        holds them.
    measure
        What is kept even over the rounds. "assignments": completed assignments. "usage": what the clients routed to the
        expert, each client counting as one. "examples": the same, each client counting its examples. Deficits are
        told in assignments of average weight. An expert that no client routes to cannot be helped by more clients;
        its deficit grows until it is clipped.
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
        """No load yet."""
        return CumulativeLoad(np.zeros(num_experts), 0)

    def update(self, state: CumulativeLoad, reports: Sequence[Report]) -> CumulativeLoad:
        """Count what was completed; what was dropped or rejected did not load its experts."""
        load, done = state.load.copy(), [report for report in reports if report.completed]
        for report in done:
            load[report.experts] += self._weights(report)
        return CumulativeLoad(load, state.pairs + sum(len(report.experts) for report in done))

    def _weights(self, report: Report) -> FloatArray | float:
        if self.measure == "assignments":
            return 1.0
        weights: FloatArray = report.usage / max(report.usage.sum(), np.finfo(np.float64).tiny)
        return weights if self.measure == "usage" else weights * report.num_examples

    def bounds(self, state: CumulativeLoad, client_capacity: IntArray, fitness: FloatArray) -> LoadBounds:
        """Bounds for a round of clients with these capacities, (num_clients,), and this fitness."""
        total = state.load.sum()
        weight = total / state.pairs if total > 0 else 1.0  # of an average assignment
        deficit = self.catch_up * (state.load.mean() - state.load) / weight
        share = even_share(-deficit, client_capacity)
        wanted = np.minimum(client_capacity, len(share)).sum() / len(share) + deficit
        return self.around(share, fitness, clipped=bool(np.abs(share - wanted).max() > CLIPPED))

    def around(self, share: FloatArray, fitness: FloatArray, *, clipped: bool) -> LoadBounds:
        """Bounds around shares, (num_experts,), that the round's clients can bring about."""
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

"""Load bounds that remember: an expert that fell behind gets more in the next round, one that is ahead gets less.

The idea is FLEX-MoE's (arXiv 2512.23070): bounds L_e ≤ load ≤ U_e around the balanced share, shifted by each expert's
historical deficit. The paper gives no code; this is a reconstruction, and the shift is our own: bounds shifted freely
by ±10 % soon ask for what the round's clients cannot give, so the shifted share is projected onto what they can
(:mod:`.share`), and the bounds never exclude the whole numbers beside it. So they never cross, and an alignment between
them always exists if every client is eligible for every expert.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from alignsolve.estimate.report import Report, completed_pairs
from alignsolve.estimate.share import even_share
from alignsolve.numerics import FloatArray, IntArray, whole_ceil, whole_floor

CLIPPED = 1e-6
"""Clients per expert by which a share must differ from the one asked for to be told as clipped."""


@dataclass(frozen=True, eq=False)
class CumulativeLoad:
    """Completed assignments per expert since the first round, (num_experts,) float64."""

    load: FloatArray

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
    """

    tolerance: float = 0.1
    catch_up: float = 1.0
    soft: bool = True
    penalty: float | None = None

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

    def init(self, num_clients: int, num_experts: int) -> CumulativeLoad:
        """No load yet."""
        return CumulativeLoad(np.zeros(num_experts))

    def update(self, state: CumulativeLoad, reports: Sequence[Report]) -> CumulativeLoad:
        """Count the completed assignments; what was dropped or rejected did not load its experts."""
        experts = completed_pairs(reports).experts
        return replace(state, load=state.load + np.bincount(experts, minlength=len(state.load)))

    def bounds(self, state: CumulativeLoad, client_capacity: IntArray, fitness: FloatArray) -> LoadBounds:
        """Bounds for a round of clients with these capacities, (num_clients,), and this fitness."""
        deficit = self.catch_up * (state.load.mean() - state.load)
        share = even_share(-deficit, client_capacity)
        wanted = np.minimum(client_capacity, len(share)).sum() / len(share) + deficit
        if np.isinf(self.tolerance):
            demand, capacity = np.zeros(len(share)), np.full(len(share), np.inf)
        else:
            demand = np.minimum(whole_ceil(share * max(0.0, 1 - self.tolerance)), whole_floor(share))
            capacity = np.maximum(whole_floor(share * (1 + self.tolerance)), whole_ceil(share))
        return LoadBounds(
            share=share,
            demand=demand,
            capacity=capacity,
            penalty=self._price(fitness) if self.soft else np.inf,
            clipped=bool(np.abs(share - wanted).max() > CLIPPED),
        )

    def _price(self, fitness: FloatArray) -> float:
        if self.penalty is not None:
            return self.penalty
        spread = fitness.max(initial=0.0) - fitness.min(initial=0.0)
        return float((fitness.shape[1] + 1) * max(1.0, spread))

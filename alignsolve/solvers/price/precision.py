"""The precision of a round: how large one quantum of fitness is, and whether that was fine enough.

The search works on whole quanta of 2**-exponent. Two limits decide the exponent. The losses along a path must add up to
an int64, so quanta must not be too fine. And no more precision is needed than the certificate asks for: what a pair
may lose without telling in the objective is the *resolution*. If the core's worths differ too much in size for both,
the round is not exact, and the next one refines its result from better prices, where the worths are smaller.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from alignsolve.numerics import EPSILON, MAX_FLOAT
from alignsolve.solvers.price.core import Core, CoreRows
from alignsolve.solvers.price.graph import step_of
from alignsolve.solvers.price.pricing import Pass
from alignsolve.solvers.price.slopes import LARGEST, Slopes

RESOLUTION = 2.0**-38
"""The loss of a pair that may be neglected, relative to the mean |value| chosen: the bound moves by a hundredth of
its tolerance."""
FINER = 8
"""Quanta are finer than the resolution by this many binary digits."""


@dataclass(frozen=True)
class Precision:
    """The precision that a round needs by its pricing pass, and the most that an int64 can hold.

    Attributes
    ----------
    priced
        The pass.
    nodes
        Number of nodes of the experts' graph.
    finest
        Whether to use the finest quanta that fit: an earlier round on all clients was not exact.
    """

    priced: Pass
    nodes: int
    finest: bool

    @cached_property
    def whole(self) -> bool:
        """Whether prices are integers; then a quantum is 1 where that fits."""
        return bool(self.priced.prices.dtype.kind == "i")

    @cached_property
    def step(self) -> int:
        """Losses are multiples of this number of units; the units below it count the arcs of a path."""
        return int(step_of(self.nodes))

    @cached_property
    def resolution(self) -> float:
        """The loss of a pair that does not tell in the sum."""
        return self.priced.magnitude / max(int(self.priced.loads.sum()), 1) * RESOLUTION

    @property
    def widest(self) -> Any:
        """The window that takes in every client and every expert."""
        return LARGEST if self.whole else MAX_FLOAT

    def widest_sharp(self) -> Any:
        """Return the widest window within which quanta can be fine enough; a larger loss would blur all others."""
        most = self._room if self.whole else self._room * self.resolution / 4
        return min(most, self.widest) if most else self.widest

    @property
    def _room(self) -> int:
        """The number of quanta that a worth may have so that no path overflows."""
        return LARGEST // self.step // (self.nodes + 1)

    def quanta(self, rows: CoreRows, slopes: Slopes) -> "Quanta":
        """Return the finest quanta in which no path can overflow, but not much finer than what tells in the sum."""
        return Quanta(self, self._exponent(rows, slopes))

    def _exponent(self, rows: CoreRows, slopes: Slopes) -> int:
        largest = max(float(np.abs(part).max(initial=0)) for part in (rows.worth, rows.ground))
        if largest == 0.0:
            finite = slopes.slope[np.isfinite(slopes.slope)]
            largest = float(np.abs(finite).max(initial=0.0)) or 1.0
        finest = math.floor(math.log2(self._room)) - math.ceil(math.log2(largest))
        if self.whole:
            return min(0, finest)
        if self.finest or self.resolution == 0.0:
            return finest
        return min(finest, FINER - math.floor(math.log2(self.resolution)))


@dataclass(frozen=True)
class Quanta:
    """The fixed point of one round: one quantum is 2**-exponent.

    Attributes
    ----------
    precision
        The precision that the exponent was chosen by.
    exponent
        0 or less for integers.
    """

    precision: Precision
    exponent: int

    @property
    def quantum(self) -> float:
        """One quantum, in units of fitness."""
        return math.ldexp(1.0, -self.exponent)

    def window(self, window: Any) -> int:
        """Return a window in quanta times the step, rounded down; no loss exceeds the widest window."""
        precision = self.precision
        if window >= precision.widest or (not precision.whole and math.frexp(window)[1] + self.exponent > 64):
            return 2 * LARGEST
        scaled = int(window) >> -self.exponent if precision.whole else math.floor(math.ldexp(window, self.exponent))
        return min(max(scaled, 0) * precision.step, 2 * LARGEST)

    def blur(self, prices: Any) -> Any:
        """Return a window for another round: no price is off by more than a quantum for each arc of a path."""
        window = 2 * (self.precision.nodes + 1) * self.quantum
        return int(window) if self.precision.whole else window + 4 * EPSILON * float(np.abs(prices).max())

    def are_fine_enough(self, rows: CoreRows, core: Core) -> bool:
        """Whether the rounding of all pairs together does not tell in the objective that the core ended with."""
        if self.precision.whole:
            return self.exponent == 0
        priced = self.precision.priced
        moved = np.flatnonzero(core.held != rows.held)
        sign = np.where(rows.held[moved], -1, 1)
        nothing = rows.ground[np.searchsorted(rows.start, moved, side="right") - 1]
        value = rows.worth[moved] - nothing + priced.prices[rows.expert[moved]]
        pairs = int(priced.loads.sum() + sign.sum())
        magnitude = priced.magnitude + float((np.abs(value) * sign).sum())
        return self.quantum * max(pairs, 1) <= RESOLUTION * magnitude or self._are_lossless(rows)

    def _are_lossless(self, rows: CoreRows) -> bool:
        """Whether all worths are whole quanta."""
        scaled = (np.ldexp(part, self.exponent) for part in (rows.ground, rows.worth))
        return all(np.array_equal(part, np.rint(part)) for part in scaled)


def grain_of(resolution: float) -> float:
    """Return the power of two below a resolution: rounding to its multiples is exact arithmetic; 0 for no rounding."""
    return math.ldexp(0.5, math.frexp(resolution)[1]) if resolution > 1e-290 else 0.0

"""Load bounds from a wished variance: every expert gets so many holders that their mean is as exact as wished.

What a holder returns differs from what the server wishes to know: by its sample of the data, by the channel, by noise
for privacy, by quantisation. If holders' errors are independent, and each has the variance v in an entry, the mean of h
holders has v/h. So an expert needs ⌈v / wished⌉ holders that return, and more are asked because some drop out
(:class:`~alignsolve.CoverageLoad`). These holders are the expert's demand. Its price in the solution then tells what
the last holder costs in fitness, so it can be compared with a wish that is less strict.

The variance of over-the-air sums is after arXiv 2302.12509, with a channel of its own for each holder: there the server
receives one sum with one noise.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from alignsolve.estimate import checks
from alignsolve.estimate.coverage import CoverageLoad, Survival
from alignsolve.estimate.load import LoadBounds
from alignsolve.estimate.report import Report
from alignsolve.numerics import FloatArray, IntArray


@dataclass(frozen=True)
class HolderVariance:
    """The variance of one holder's update, in each entry.

    Parameters
    ----------
    sampling
        Variance between the updates of holders without noise, 0 or more.
    size
        Root mean square of an update's entries; fading multiplies it.
    fading
        Variance of the channel's gain, whose mean is 1: 0 without fading, 4/π − 1 for Rayleigh fading.
    noise, power
        Standard deviation of the channel's noise, 0 or more, and the power of sending, above 0.
    alpha
        Index of the noise if it is symmetric α-stable; 2 is normal. Below 2 its variance is infinite: refused.
    privacy
        Standard deviation of the noise that a client adds for differential privacy, 0 or more.
    bits, span
        Bits of a quantised entry, and the distance of the largest of its 2^bits levels from the smallest; None: not
        quantised. The variance is that of rounding to the nearest level, a twelfth of a step's square.

    Examples
    --------
    >>> HolderVariance(noise=0.2, power=4.0, bits=2, span=0.6).total
    0.013333333333333334
    """

    sampling: float = 0.0
    size: float = 0.0
    fading: float = 0.0
    noise: float = 0.0
    power: float = 1.0
    alpha: float = 2.0
    privacy: float = 0.0
    bits: int | None = None
    span: float = 0.0

    def __post_init__(self) -> None:
        """Check the parameters."""
        for name in ("sampling", "size", "fading", "noise", "privacy", "span"):
            checks.amount(name, getattr(self, name))
        checks.positive("power", self.power)
        if self.bits is not None:
            checks.whole("bits", self.bits, 1)
        if not 0.0 < self.alpha <= 2.0:
            raise ValueError(f"alpha is {self.alpha}; it must be above 0 and at most 2")
        if self.alpha < 2.0 and self.noise > 0.0:
            raise ValueError(
                f"alpha is {self.alpha}: such noise has no finite variance, so no number of holders gives a wished "
                "one; use a robust rule of aggregation, such as the median"
            )

    @property
    def total(self) -> float:
        """The sum of all parts."""
        step = 0.0 if self.bits is None else self.span / (2**self.bits - 1)
        channel = self.fading * self.size**2 + self.noise**2 / self.power
        return self.sampling + channel + self.privacy**2 + step**2 / 12.0


@dataclass(frozen=True)
class DerivedDemand:
    """A load estimator that gives every expert the holders that a wished variance needs.

    Parameters
    ----------
    variance
        The variance of one holder's update.
    wished
        The variance that the mean of an expert's holders may have, above 0.
    coverage
        Adds holders for dropouts, and shifts bounds by past deficits; its ``needed`` is replaced.

    Examples
    --------
    >>> demand = DerivedDemand(HolderVariance(noise=1.0), wished=0.3, coverage=CoverageLoad(prior_rate=0.0))
    >>> demand.holders(demand.init(10, 4))
    4.0
    """

    variance: HolderVariance
    wished: float
    coverage: CoverageLoad = field(default_factory=CoverageLoad)

    def __post_init__(self) -> None:
        """Check the parameters."""
        checks.positive("wished", self.wished)

    @property
    def needed(self) -> int:
        """The number of holders that must return."""
        return max(1, math.ceil(self.variance.total / self.wished * (1.0 - 1e-12)))

    @property
    def _inner(self) -> CoverageLoad:
        return replace(self.coverage, needed=self.needed)

    def init(self, num_clients: int, num_experts: int) -> Survival:
        """Return the state without load and reports."""
        return self.coverage.init(num_clients, num_experts)

    def update(self, state: Survival, reports: Sequence[Report]) -> Survival:
        """Count loads, reports and failures."""
        return self.coverage.update(state, reports)

    def holders(self, state: Survival) -> float:
        """Return how many holders an expert is assigned, a whole number; inf if every client fails."""
        return self._inner.holders(state)

    def bounds(self, state: Survival, client_capacity: IntArray, fitness: FloatArray) -> LoadBounds:
        """Return the bounds of a round, given its clients' capacities (num_clients,) and fitness."""
        return self._inner.bounds(state, client_capacity, fitness)

"""Load bounds against dropouts: every expert gets enough holders that at least some of them are likely to report.

If clients fail independently with probability d, all h holders of an expert fail with probability d^h. So
h = ⌈ln(risk)/ln(d)⌉ holders keep the expert through the round with probability 1 − risk. Where more than one of them is
needed, the number that report is binomial, and h is the smallest number with that probability. The rate d is learned:
it is the failed share of all reports, with a Beta prior. Correlated failures, such as a network outage, are not
modelled.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from alignsolve.estimate import checks
from alignsolve.estimate.load import CumulativeLoad, LoadBounds, LoadMonitor
from alignsolve.estimate.report import Report
from alignsolve.numerics import FloatArray, IntArray, whole_floor


@dataclass(frozen=True, eq=False)
class Survival:
    """Loads so far, and how many reports failed.

    Attributes
    ----------
    load
        State of the load monitor.
    reports, failures
        Discounted number of reports so far, and of those that did not complete.
    """

    load: CumulativeLoad
    reports: float
    failures: float

    def grow(self, num_clients: int) -> "Survival":
        """Return the state itself: it holds nothing per client."""
        return self


@dataclass(frozen=True)
class CoverageLoad:
    """A :class:`~alignsolve.LoadMonitor` whose demands are at least the number of holders that coverage needs.

    Parameters
    ----------
    monitor
        Shifts the bounds by past deficits. With a tolerance of inf, coverage alone sets the demands.
    risk
        Probability that fewer of an expert's holders report than are needed, between 0 and 1, both excluded.
    prior_rate, prior_reports
        Assumed share of failed reports, between 0 and 1, and the number of reports that this assumption counts as,
        above 0.
    memory
        Discount of a report per round, above 0 and at most 1.
    needed
        Number of holders that must report, 1 or more.

    Notes
    -----
    If a cohort cannot give every expert that many holders, the demand is the most that it can give to all experts, and
    the round counts as clipped. Shares are moved towards the even share as far as coverage needs. The cohort can supply
    both the shares and the even share, so it can supply every point between them.
    """

    monitor: LoadMonitor = field(default_factory=LoadMonitor)
    risk: float = 0.05
    prior_rate: float = 0.1
    prior_reports: float = 10.0
    memory: float = 0.98
    needed: int = 1

    def __post_init__(self) -> None:
        """Check the parameters."""
        if not 0 < self.risk < 1:
            raise ValueError(f"risk is {self.risk}; it must lie between 0 and 1, both excluded")
        checks.between("prior_rate", self.prior_rate, 0, 1)
        checks.positive("prior_reports", self.prior_reports)
        checks.weight("memory", self.memory)
        checks.whole("needed", self.needed, 1)

    def init(self, num_clients: int, num_experts: int) -> Survival:
        """Return the state without load and reports."""
        return Survival(self.monitor.init(num_clients, num_experts), 0.0, 0.0)

    def update(self, state: Survival, reports: Sequence[Report]) -> Survival:
        """Count loads, reports and failures."""
        failures = sum(not report.completed for report in reports)
        return Survival(
            load=self.monitor.update(state.load, reports),
            reports=self.memory * state.reports + len(reports),
            failures=self.memory * state.failures + failures,
        )

    def rate(self, state: Survival) -> float:
        """Return the learned probability that a client fails."""
        return (self.prior_rate * self.prior_reports + state.failures) / (self.prior_reports + state.reports)

    def holders(self, state: Survival) -> float:
        """Return how many holders an expert needs, a whole number; inf if every client fails.

        Examples
        --------
        >>> coverage = CoverageLoad(risk=0.05, prior_rate=0.2)
        >>> coverage.holders(coverage.init(10, 4))  # 0.2² is 4 %
        2.0
        """
        rate = self.rate(state)
        if rate <= 0.0:
            return float(self.needed)
        if rate >= 1.0:
            return math.inf
        if self.needed == 1:
            return float(max(1, math.ceil(math.log(self.risk) / math.log(rate) - 1e-9)))
        return float(_enough(self.needed, rate, self.risk))

    def bounds(self, state: Survival, client_capacity: IntArray, fitness: FloatArray) -> LoadBounds:
        """Return the bounds of a round, given its clients' capacities (num_clients,) and fitness."""
        bounds = self.monitor.bounds(state.load, client_capacity, fitness)
        num_experts = len(bounds.share)
        even = float(np.minimum(client_capacity, num_experts).sum()) / num_experts
        needed = self.holders(state)
        held = min(needed, float(whole_floor(np.array(even))))
        share = _lifted(bounds.share, even, held)
        lifted = self.monitor.around(share, fitness, clipped=bounds.clipped or held < needed)
        return replace(lifted, demand=np.maximum(lifted.demand, held))


def _enough(needed: int, rate: float, risk: float) -> int:
    """Return the smallest number of holders of whom at least ``needed`` report with probability 1 − risk."""
    from scipy.special import bdtr  # noqa: PLC0415  (slow to load, and rarely wanted)

    low, high = needed - 1, needed
    while bdtr(needed - 1, high, 1.0 - rate) > risk:
        low, high = high, 2 * high
    while high - low > 1:  # more holders never make it less likely
        middle = (low + high) // 2
        if bdtr(needed - 1, middle, 1.0 - rate) > risk:
            low = middle
        else:
            high = middle
    return high


def _lifted(share: FloatArray, even: float, least: float) -> FloatArray:
    """Move shares towards the even share until none is below ``least``, which is at most ``even``."""
    lowest = float(share.min())
    if lowest >= least:
        return share
    part = (even - least) / (even - lowest)
    lifted: FloatArray = np.maximum(even + part * (share - even), least)
    return lifted

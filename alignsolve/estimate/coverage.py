"""Load bounds that survive dropouts: every expert gets holders enough that one of them comes back.

If clients fail independently with probability d, all h holders of an expert fail with probability d^h, so that
h = ⌈ln(risk)/ln(d)⌉ holders bring the expert through the round with probability 1 − risk. d is learned: the failed
share of all reports, with a Beta prior. Failures that come together (a network, a night) are not covered by this.
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
    """Loads so far, and how many assignments of clients came back.

    Attributes
    ----------
    load
        The monitor's own state.
    reports, failures
        Reports so far, and those that did not complete; discounted.
    """

    load: CumulativeLoad
    reports: float
    failures: float

    def grow(self, num_clients: int) -> "Survival":
        """Return itself: nothing in it belongs to a client."""
        return self


@dataclass(frozen=True)
class CoverageLoad:
    """A :class:`~alignsolve.LoadMonitor` whose demands are at least the number of holders that survive.

    Parameters
    ----------
    monitor
        Moves the bounds by past deficits; its tolerance may be inf, then coverage is all that is demanded.
    risk
        Probability that an expert loses all its holders, between 0 and 1, both excluded.
    prior_rate, prior_reports
        Failed share that is assumed, between 0 and 1, and the number of reports that the assumption counts for, above
        0.
    memory
        What a report counts one round later, above 0 and at most 1.

    Notes
    -----
    A cohort that cannot give every expert that many holders is asked for as many as it can give to all, and the round
    counts as clipped. Shares are moved towards the even one as far as coverage needs; both are within what the cohort
    can bring about, and so is what lies between them.
    """

    monitor: LoadMonitor = field(default_factory=LoadMonitor)
    risk: float = 0.05
    prior_rate: float = 0.1
    prior_reports: float = 10.0
    memory: float = 0.98

    def __post_init__(self) -> None:
        """Check the parameters."""
        if not 0 < self.risk < 1:
            raise ValueError(f"risk is {self.risk}; it must lie between 0 and 1, both excluded")
        checks.between("prior_rate", self.prior_rate, 0, 1)
        checks.positive("prior_reports", self.prior_reports)
        checks.weight("memory", self.memory)

    def init(self, num_clients: int, num_experts: int) -> Survival:
        """No load and no report yet."""
        return Survival(self.monitor.init(num_clients, num_experts), 0.0, 0.0)

    def update(self, state: Survival, reports: Sequence[Report]) -> Survival:
        """Count loads and failures."""
        failures = sum(not report.completed for report in reports)
        return Survival(
            load=self.monitor.update(state.load, reports),
            reports=self.memory * state.reports + len(reports),
            failures=self.memory * state.failures + failures,
        )

    def rate(self, state: Survival) -> float:
        """Learned probability that a client of the cohort fails."""
        return (self.prior_rate * self.prior_reports + state.failures) / (self.prior_reports + state.reports)

    def holders(self, state: Survival) -> float:
        """Holders that an expert needs, a whole number; inf if everybody fails.

        Examples
        --------
        >>> coverage = CoverageLoad(risk=0.05, prior_rate=0.2)
        >>> coverage.holders(coverage.init(10, 4))  # 0.2² is 4 %
        2.0
        """
        rate = self.rate(state)
        if rate <= 0.0:
            return 1.0
        return math.inf if rate >= 1.0 else float(max(1, math.ceil(math.log(self.risk) / math.log(rate) - 1e-9)))

    def bounds(self, state: Survival, client_capacity: IntArray, fitness: FloatArray) -> LoadBounds:
        """Bounds for a round of clients with these capacities, (num_clients,), and this fitness."""
        bounds = self.monitor.bounds(state.load, client_capacity, fitness)
        num_experts = len(bounds.share)
        even = float(np.minimum(client_capacity, num_experts).sum()) / num_experts
        needed = self.holders(state)
        held = min(needed, float(whole_floor(np.array(even))))
        share = _lifted(bounds.share, even, held)
        lifted = self.monitor.around(share, fitness, clipped=bounds.clipped or held < needed)
        return replace(lifted, demand=np.maximum(lifted.demand, held))


def _lifted(share: FloatArray, even: float, least: float) -> FloatArray:
    """Move shares towards the even one until none is below ``least``, which is at most ``even``."""
    lowest = float(share.min())
    if lowest >= least:
        return share
    part = (even - least) / (even - lowest)
    lifted: FloatArray = np.maximum(even + part * (share - even), least)
    return lifted

"""How many experts a client must take, whoever knows how many it can: a demand put on top of any capacity."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from alignsolve.estimate import checks
from alignsolve.estimate.estimator import CapacityEstimator, EstimatorState
from alignsolve.estimate.report import Report
from alignsolve.numerics import IntArray


@dataclass(frozen=True)
class WithDemand:
    """The same capacities with another demand: clients get at least so many experts, where their capacity allows.

    Parameters
    ----------
    inner
        Knows the capacities.
    demand
        Fewest experts, 0 or more; it takes the place of the inner one's.

    Examples
    --------
    >>> from alignsolve import CapacityProfiler
    >>> capacity = WithDemand(CapacityProfiler(client_capacity=[1, 3]), demand=2)
    >>> capacity.capacity(capacity.init(2, 4), np.arange(2))
    (array([1, 3]), array([1, 2]))
    """

    inner: CapacityEstimator[Any]
    demand: int

    def __post_init__(self) -> None:
        """Check the parameters."""
        checks.whole("demand", self.demand, 0)

    def init(self, num_clients: int, num_experts: int) -> EstimatorState:
        """As the inner one."""
        state: EstimatorState = self.inner.init(num_clients, num_experts)
        return state

    def update(self, state: EstimatorState, reports: Sequence[Report]) -> EstimatorState:
        """As the inner one."""
        learned: EstimatorState = self.inner.update(state, reports)
        return learned

    def capacity(self, state: EstimatorState, cohort: IntArray) -> tuple[IntArray, IntArray]:
        """Capacities of the inner one, and the demand."""
        capacity, _ = self.inner.capacity(state, cohort)
        return capacity, np.minimum(self.demand, capacity)

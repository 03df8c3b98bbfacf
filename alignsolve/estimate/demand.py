"""Replaces the demand of a capacity estimator: the fewest experts that each client must take."""

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
    """Capacities of an inner estimator with another demand: the fewest experts per client, as capacities allow.

    Parameters
    ----------
    inner
        The estimator of the capacities.
    demand
        Fewest experts per client, 0 or more; it replaces the inner estimator's demand.

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
        """Return the inner estimator's initial state."""
        state: EstimatorState = self.inner.init(num_clients, num_experts)
        return state

    def update(self, state: EstimatorState, reports: Sequence[Report]) -> EstimatorState:
        """Let the inner estimator learn."""
        learned: EstimatorState = self.inner.update(state, reports)
        return learned

    def capacity(self, state: EstimatorState, cohort: IntArray) -> tuple[IntArray, IntArray]:
        """Return the inner estimator's capacities, and the demand."""
        capacity, _ = self.inner.capacity(state, cohort)
        return capacity, np.minimum(self.demand, capacity)

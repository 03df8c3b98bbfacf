"""Capacities that are learned: declared capacities hold until a client runs out of memory; then a learned limit holds.

A client that ran out of memory with k experts gets at most k − 1, and one less after each further failure. After
``patience`` completed rounds at its limit it is tried with one expert more, up to its declared capacity, because memory
that another program used may be free again. (This is additive increase after a decrease, as in congestion control; Chiu
and Jain, 1989.) A client that could not hold a single expert gets none for ``patience`` rounds, then one again. If a
client completes a round with more experts than its limit, the limit rises to that number.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from alignsolve.estimate import checks
from alignsolve.estimate.capacity import CapacityProfiler
from alignsolve.estimate.report import Outcome, Report
from alignsolve.estimate.state import NoState
from alignsolve.numerics import IntArray

NO_LIMIT = np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False)
class MemoryLimits:
    """The learned limits of the clients; all arrays have shape (num_clients,).

    Attributes
    ----------
    limit
        Most experts that the client gets; a very large number if nothing was learned.
    failures
        Rounds in which the client ran out of memory.
    held
        Most experts with which the client completed a round.
    streak
        Completed rounds in a row at the limit. For a limit of 0: rounds since the limit fell to 0.
    declared
        State of the estimator of the declared capacities.
    """

    limit: IntArray
    failures: IntArray
    held: IntArray
    streak: IntArray
    declared: NoState

    def grow(self, num_clients: int) -> "MemoryLimits":
        """Return a copy with nothing learned of the clients that joined."""
        more = num_clients - len(self.limit)
        zeros = np.zeros(more, dtype=np.int64)
        return MemoryLimits(
            limit=np.concatenate([self.limit, np.full(more, NO_LIMIT)]),
            failures=np.concatenate([self.failures, zeros]),
            held=np.concatenate([self.held, zeros]),
            streak=np.concatenate([self.streak, zeros]),
            declared=self.declared.grow(num_clients),
        )


@dataclass(frozen=True)
class MemoryLearner:
    """Declared capacities, corrected by the memory failures of clients.

    Parameters
    ----------
    declared
        Declared capacities, in experts or in bytes.
    patience
        Completed rounds at its limit, or rounds without any expert, after which a client is tried with one expert more;
        1 or more. None: never.

    Examples
    --------
    >>> from alignsolve import CapacityProfiler, Report
    >>> learner = MemoryLearner(declared=CapacityProfiler(client_capacity=[4, 4]))
    >>> state = learner.init(2, 8)
    >>> state = learner.update(state, [Report(1, experts=[0, 2, 3], outcome="out of memory")])
    >>> learner.capacity(state, np.arange(2))[0], learner.misreporting(state)
    (array([4, 2]), array([1]))
    """

    declared: CapacityProfiler = field(default_factory=lambda: CapacityProfiler(client_capacity=1))
    patience: int | None = 20

    def __post_init__(self) -> None:
        """Check the parameters."""
        if self.patience is not None:
            checks.whole("patience", self.patience, 1)

    def init(self, num_clients: int, num_experts: int) -> MemoryLimits:
        """Return the state without learned limits."""
        zeros = np.zeros(num_clients, dtype=np.int64)
        declared = self.declared.init(num_clients, num_experts)
        return MemoryLimits(np.full(num_clients, NO_LIMIT), zeros, zeros, zeros, declared)

    def update(self, state: MemoryLimits, reports: Sequence[Report]) -> MemoryLimits:
        """Lower the limits of clients that ran out of memory; raise limits after ``patience`` rounds."""
        limit, failures, held, streak = (
            values.copy() for values in (state.limit, state.failures, state.held, state.streak)
        )
        if self.patience is not None:  # clients without experts send no reports: count their rounds
            banned = np.flatnonzero(limit == 0)
            streak[banned] += 1
            back = banned[streak[banned] >= self.patience]
            limit[back], streak[back] = 1, 0
        for report in reports:
            i, size = report.client, len(report.experts)
            if report.outcome is Outcome.OUT_OF_MEMORY:
                limit[i], streak[i] = min(int(limit[i]), max(0, size - 1)), 0
                failures[i] += 1
            elif report.completed:
                held[i], limit[i] = max(int(held[i]), size), max(int(limit[i]), size)
                streak[i] = streak[i] + 1 if size >= limit[i] else 0
                if self.patience is not None and streak[i] >= self.patience:
                    limit[i], streak[i] = limit[i] + 1, 0
        return replace(state, limit=limit, failures=failures, held=held, streak=streak)

    def capacity(self, state: MemoryLimits, cohort: IntArray) -> tuple[IntArray, IntArray]:
        """Return the most and the fewest experts of each client of the cohort, two arrays of shape (len(cohort),)."""
        capacity, demand = self.declared.capacity(state.declared, cohort)
        capacity = np.minimum(capacity, state.limit[cohort])
        return capacity, np.minimum(demand, capacity)

    def misreporting(self, state: MemoryLimits) -> IntArray:
        """Return the clients that ran out of memory within their declared capacity, ascending."""
        return np.flatnonzero(state.failures > 0)

"""Capacity that learns: what is declared is believed until a client runs out of memory, then what was measured.

A client that ran out of memory with k experts gets at most k − 1, and one less each time that it fails again. After
``patience`` completed rounds at its limit it is tried with one more, up to what it declared: memory that another
program took comes back (additive increase after a decrease, as in congestion control; Chiu and Jain, 1989). One that
could not hold a single expert is given none for ``patience`` rounds, and is then tried again with one. A client
that completes a round with more experts than its limit says is believed as well.
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
    """What was learned of each client's memory; all of shape (num_clients,).

    Attributes
    ----------
    limit
        Most experts that it is given; a very large number where nothing was learned.
    failures
        Rounds in which it ran out of memory.
    held
        Most experts with which it completed a round.
    streak
        Completed rounds in a row at its limit; where that is 0, rounds since.
    declared
        State of the declared capacities.
    """

    limit: IntArray
    failures: IntArray
    held: IntArray
    streak: IntArray
    declared: NoState

    def grow(self, num_clients: int) -> "MemoryLimits":
        """Return the same with nothing learned of clients that joined."""
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
    """Declared capacities, corrected by what clients could in fact hold.

    Parameters
    ----------
    declared
        What devices declare, in experts or in bytes.
    patience
        Completed rounds at its limit, or rounds without any expert, after which a client is tried with one more, 1 or
        more. None: never.

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
        """Believe what is declared."""
        zeros = np.zeros(num_clients, dtype=np.int64)
        declared = self.declared.init(num_clients, num_experts)
        return MemoryLimits(np.full(num_clients, NO_LIMIT), zeros, zeros, zeros, declared)

    def update(self, state: MemoryLimits, reports: Sequence[Report]) -> MemoryLimits:
        """Lower the limits of those who ran out of memory, raise those of the patient."""
        limit, failures, held, streak = (
            values.copy() for values in (state.limit, state.failures, state.held, state.streak)
        )
        if self.patience is not None:  # who is given nothing reports nothing, and waits to be tried again
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
        """Most and fewest experts of each of the cohort's clients, two of (len(cohort),)."""
        capacity, demand = self.declared.capacity(state.declared, cohort)
        capacity = np.minimum(capacity, state.limit[cohort])
        return capacity, np.minimum(demand, capacity)

    def misreporting(self, state: MemoryLimits) -> IntArray:
        """Clients that ran out of memory with no more experts than they had declared, ascending."""
        return np.flatnonzero(state.failures > 0)

"""A change test: which clients' data have changed, judged by a jump of their loss.

Everything that is learned about a client is an average over its past, and a verdict about the federation is one of a
time. Both must end when a client's data change. A client's loss falls slowly or wavers while its data stay, and jumps
when they change. Page's cumulative sum (Biometrika 1954) tells the two apart: with x the logarithm of the client's loss
in a round minus its own average so far, in units of the federation's usual deviation, S ← max(0, S + x − slack), and
the client has changed when S exceeds ``limit``. The sum then starts again.

The deviation is a running mean of the rounds' median distance of x from its median, times 1.4826, as for a normal
distribution: a change of fewer than half of the clients does not hide itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from alignsolve.estimate import checks
from alignsolve.estimate.report import Report
from alignsolve.numerics import FloatArray, IntArray

NORMAL = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""
LEAST_LOSS, LEAST_DEVIATION = 1e-3, 0.05
"""Losses below the first are raised to it. A deviation of less than 5 % of the loss is no noise to rely on."""


@dataclass(frozen=True, eq=False)
class Levels:
    """Clients' losses so far.

    Attributes
    ----------
    level
        (num_clients,) average logarithm of the loss; NaN for clients that never reported.
    excess
        (num_clients,) the cumulative sum S.
    deviation
        Usual deviation; 0 before it is known.
    rounds
        Rounds in which clients reported again.
    """

    level: FloatArray
    excess: FloatArray
    deviation: float
    rounds: int

    def grow(self, num_clients: int) -> "Levels":
        """Return a copy with unknown levels of the clients that joined."""
        more = num_clients - len(self.level)
        level = np.concatenate([self.level, np.full(more, np.nan)])
        return replace(self, level=level, excess=np.concatenate([self.excess, np.zeros(more)]))


@dataclass(frozen=True)
class ChangeTest:
    """Finds the clients whose loss jumps.

    Parameters
    ----------
    slack
        Rise per round that counts as noise, in deviations, 0 or more.
    limit
        Sum of rises beyond the slack at which a client has changed, in deviations, above 0.
    rate
        Weight of the newest loss in a client's average, above 0 and at most 1.
    after
        Rounds from which the deviation is learned before the first test, 1 or more.
    """

    slack: float = 1.0
    limit: float = 6.0
    rate: float = 0.3
    after: int = 3

    def __post_init__(self) -> None:
        """Check the parameters."""
        checks.amount("slack", self.slack)
        checks.positive("limit", self.limit)
        checks.weight("rate", self.rate)
        checks.whole("after", self.after, 1)

    def init(self, num_clients: int, num_experts: int) -> Levels:
        """Return the state before any report."""
        return Levels(np.full(num_clients, np.nan), np.zeros(num_clients), deviation=0.0, rounds=0)

    def update(self, state: Levels, reports: Sequence[Report]) -> Levels:
        """Return the state after a round; see :meth:`tested`."""
        return self.tested(state, reports)[0]

    def tested(self, state: Levels, reports: Sequence[Report]) -> tuple[Levels, IntArray]:
        """Return the state after a round, and the clients that have changed in it, ascending."""
        clients, loss = mean_losses(reports)
        before = state.level[clients]
        seen = ~np.isnan(before)
        level, excess = state.level.copy(), state.excess.copy()
        level[clients] = np.where(seen, (1 - self.rate) * before + self.rate * loss, loss)
        if not seen.any():
            return replace(state, level=level), np.zeros(0, dtype=np.int64)
        rise = (loss - before)[seen]
        changed = np.zeros(0, dtype=np.int64)
        if state.rounds >= self.after:
            back = clients[seen]
            scale = max(state.deviation, LEAST_DEVIATION)
            excess[back] = np.maximum(0.0, excess[back] + rise / scale - self.slack)
            changed = back[excess[back] > self.limit]
            excess[changed] = 0.0
            level[changed] = loss[np.isin(clients, changed)]
        usual = NORMAL * float(np.median(np.abs(rise - np.median(rise))))
        deviation = (1 - self.rate) * state.deviation + self.rate * usual if state.rounds else usual
        return Levels(level, excess, deviation, state.rounds + 1), changed


def mean_losses(reports: Sequence[Report]) -> tuple[IntArray, FloatArray]:
    """Return clients (k,) and the logarithms of their mean losses, each expert weighted by its usage."""
    done = [report for report in reports if report.completed and report.usage.sum() > 0]
    clients = np.array([report.client for report in done], dtype=np.int64)
    means = [float(np.average(one.loss[one.usage > 0], weights=one.usage[one.usage > 0])) for one in done]
    return clients, np.log(np.maximum(np.array(means, dtype=np.float64), LEAST_LOSS))

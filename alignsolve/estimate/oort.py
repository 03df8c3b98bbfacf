"""Oort's utility (Lai et al., OSDI 2021, arXiv 2010.06081), extended from clients to client-expert pairs.

- Statistical utility: |B|·√(mean of squared losses) over the examples that the client routed to the expert. A report
  holds only their mean loss, so |B|·loss is used. It is never larger, and equal if all losses are equal. Against
  outliers, utilities are cut at the 98th percentile of the known ones; then they are divided by it, so they lie between
  0 and 1.
- Staleness: + √(0.1·ln t / L), where L is the last round in which the pair was trained and t the current round, both
  counted from 1.
- System: × (T/s)² if the client's last duration s is longer than the preferred duration T. Oort's pacer adapts T. Here
  T is given, or it is a percentile of the last durations of all clients.
- Exploration: untried pairs have no utility. With a probability that starts at 0.9, falls by 5 % per round and stays
  at least 0.2, a client of the cohort explores: its untried pairs come before all others. Otherwise they come last.

Oort favours high losses, because there is more to learn. So its default purpose is to repair, whereas LossFitness
specialises. ``purpose="specialise"`` reverses the statistical utility.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from alignsolve.estimate import checks
from alignsolve.estimate.report import Report, completed_pairs
from alignsolve.estimate.signal import Purpose, check_purpose
from alignsolve.numerics import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Utilities:
    """The last utility of each pair, and the last duration of each client.

    Attributes
    ----------
    utility
        (num_clients, num_experts) last statistical utility; NaN for untried pairs.
    last
        (num_clients, num_experts) round of that measurement, from 1; 0 for untried pairs.
    seconds
        (num_clients,) last duration in seconds; NaN if never measured.
    round
        Number of rounds so far.
    """

    utility: FloatArray
    last: IntArray
    seconds: FloatArray
    round: int

    def grow(self, num_clients: int) -> "Utilities":
        """Return a copy with nothing known of the clients that joined."""
        more, num_experts = num_clients - len(self.seconds), self.utility.shape[1]
        return replace(
            self,
            utility=np.concatenate([self.utility, np.full((more, num_experts), np.nan)]),
            last=np.concatenate([self.last, np.zeros((more, num_experts), dtype=np.int64)]),
            seconds=np.concatenate([self.seconds, np.full(more, np.nan)]),
        )


@dataclass(frozen=True)
class OortFitness:
    """Oort's utility of each client-expert pair.

    Parameters
    ----------
    clip
        Quantile of the known utilities at which larger utilities are cut, above 0 and at most 1.
    staleness
        Factor under the square root of the staleness term, 0 or more.
    preferred_seconds
        Preferred duration T, above 0. None: the ``preferred_quantile`` of the clients' last durations.
    preferred_quantile
        Quantile that gives T, above 0 and at most 1; with 1 no client is slower than T.
    slowness
        Exponent of T/s, 0 or more; 0 turns the system term off.
    exploration, exploration_decay, least_exploration
        Probability that a client explores in the first round, its factor per round, and its least value.
    purpose
        "repair": high losses give a high fitness, as in the paper. "specialise": low losses do.
    """

    clip: float = 0.98
    staleness: float = 0.1
    preferred_seconds: float | None = None
    preferred_quantile: float = 0.8
    slowness: float = 2.0
    exploration: float = 0.9
    exploration_decay: float = 0.95
    least_exploration: float = 0.2
    purpose: Purpose = "repair"

    def __post_init__(self) -> None:
        """Check the parameters."""
        for field in ("clip", "preferred_quantile", "exploration_decay"):
            checks.weight(field, getattr(self, field))
        for field in ("staleness", "slowness"):
            checks.amount(field, getattr(self, field))
        for field in ("exploration", "least_exploration"):
            checks.between(field, getattr(self, field), 0, 1)
        if self.preferred_seconds is not None:
            checks.positive("preferred_seconds", self.preferred_seconds)
        check_purpose(self.purpose)

    def init(self, num_clients: int, num_experts: int) -> Utilities:
        """Return the state before any report."""
        shape = (num_clients, num_experts)
        return Utilities(np.full(shape, np.nan), np.zeros(shape, dtype=np.int64), np.full(num_clients, np.nan), 0)

    def update(self, state: Utilities, reports: Sequence[Report]) -> Utilities:
        """Record utilities, rounds and durations of completed reports; losses below 0 count as 0."""
        pairs, done = completed_pairs(reports), [report for report in reports if report.completed]
        utility, last, seconds = state.utility.copy(), state.last.copy(), state.seconds.copy()
        examples = np.concatenate([np.zeros(0), *[_examples(report) for report in done]])
        tried = pairs.usage > 0
        i, j = pairs.clients[tried], pairs.experts[tried]
        utility[i, j] = examples[tried] * np.maximum(pairs.loss[tried], 0.0)
        last[i, j] = state.round + 1
        timed = [report for report in done if report.seconds > 0]
        seconds[[report.client for report in timed]] = [report.seconds for report in timed]
        return Utilities(utility, last, seconds, state.round + 1)

    def fitness(self, state: Utilities, cohort: IntArray, *, rng: np.random.Generator) -> FloatArray:
        """Return the utilities of the cohort, (len(cohort), num_experts), not negative."""
        utility, last = state.utility[cohort], state.last[cohort]
        value = self._statistical(utility, state.utility)
        since = np.log(max(1.0, state.round + 1.0)) / np.maximum(last, 1)
        value = (value + np.sqrt(self.staleness * since)) * self._system(state, cohort)[:, None]
        untried, known = last == 0, np.where(last == 0, 0.0, value)
        explores = rng.random(len(cohort)) < self._exploration(state.round)
        first: FloatArray = np.where(untried & explores[:, None], 1.0 + known.max(initial=0.0), known)
        return first

    def _statistical(self, utility: FloatArray, every_utility: FloatArray) -> FloatArray:
        known = every_utility[~np.isnan(every_utility)]
        most = float(np.quantile(known, self.clip)) if len(known) else 0.0
        if most <= 0.0:
            return np.ones_like(utility)
        share = np.minimum(utility, most) / most
        return share if self.purpose == "repair" else 1.0 - share

    def _system(self, state: Utilities, cohort: IntArray) -> FloatArray:
        seconds = state.seconds[cohort]
        preferred = self.preferred_seconds
        if preferred is None:
            known = state.seconds[~np.isnan(state.seconds)]
            preferred = float(np.quantile(known, self.preferred_quantile)) if len(known) else np.inf
        slow: BoolArray = seconds > preferred  # False for NaN, a client never measured
        penalty: FloatArray = np.where(slow, preferred / np.where(slow, seconds, 1.0), 1.0) ** self.slowness
        return penalty

    def _exploration(self, rounds: int) -> float:
        return max(self.least_exploration, self.exploration * self.exploration_decay**rounds)


def _examples(report: Report) -> FloatArray:
    """Return how many of its examples a client routed to each of its experts."""
    total = report.usage.sum()
    examples: FloatArray = report.num_examples * report.usage / (total if total > 0 else 1.0)
    return examples

"""Oort's utility (Lai et al., OSDI 2021, arXiv 2010.06081), lifted from clients to pairs of a client and an expert.

- Statistical utility: |B|·√(mean of squared losses) over the examples that the client routed to the expert. A report
  has their mean loss alone, so |B|·loss stands for it: equal if all losses are, never more. Utilities are cut at the
  98th percentile of those known, against outliers, and scaled by the largest, so that they lie between 0 and 1.
- Staleness: + √(0.1·ln t / L), where L is the last round in which the pair was trained and t the current one, both
  counted from 1.
- System: × (T/s)² where the client's last duration s is longer than the preferred T. Oort's pacer moves T as it runs;
  here T is given, or a percentile of the last durations of all clients, which moves with them.
- Exploration: pairs never tried have no utility. With a probability that starts at 0.9, falls by 5 % a round and stays
  above 0.2, a client of the cohort explores: its untried pairs come before all others. Otherwise they come last.

Oort looks for what there is to learn: a high loss is *useful*. Where LossFitness specialises, this repairs; with
``purpose="specialise"`` the sign of the statistical utility is turned around.
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
    """What Oort keeps.

    Attributes
    ----------
    utility
        (num_clients, num_experts): the last statistical utility; NaN where never tried.
    last
        (num_clients, num_experts): the round in which it was measured, from 1; 0 where never.
    seconds
        (num_clients,): the last duration; NaN where never measured.
    round
        Rounds so far.
    """

    utility: FloatArray
    last: IntArray
    seconds: FloatArray
    round: int

    def grow(self, num_clients: int) -> "Utilities":
        """Return the same with nothing known of clients that joined."""
        more, num_experts = num_clients - len(self.seconds), self.utility.shape[1]
        return replace(
            self,
            utility=np.concatenate([self.utility, np.full((more, num_experts), np.nan)]),
            last=np.concatenate([self.last, np.zeros((more, num_experts), dtype=np.int64)]),
            seconds=np.concatenate([self.seconds, np.full(more, np.nan)]),
        )


@dataclass(frozen=True)
class OortFitness:
    """Oort's utility per pair.

    Parameters
    ----------
    clip
        Quantile of the known utilities at which larger ones are cut, above 0 and at most 1.
    staleness
        Weight under the square root of the staleness term, 0 or more.
    preferred_seconds
        T. None: the ``preferred_quantile`` of the clients' last durations.
    preferred_quantile
        Above 0 and at most 1; 1 punishes nobody.
    slowness
        Exponent of T/s, 0 or more; 0 turns the system's side off.
    exploration, exploration_decay, least_exploration
        Probability that a client explores in the first round, its factor per round, and its floor.
    purpose
        "repair": high losses are fit, as in the paper. "specialise": low ones.
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
        """Nothing is known."""
        shape = (num_clients, num_experts)
        return Utilities(np.full(shape, np.nan), np.zeros(shape, dtype=np.int64), np.full(num_clients, np.nan), 0)

    def update(self, state: Utilities, reports: Sequence[Report]) -> Utilities:
        """Note utilities, rounds and durations of completed reports; losses below 0 count as 0."""
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
        """Utilities of the cohort's pairs, not negative."""
        utility, last = state.utility[cohort], state.last[cohort]
        value = self._statistical(utility, state.utility)
        since = np.log(max(1.0, state.round + 1.0)) / np.maximum(last, 1)
        value = (value + np.sqrt(self.staleness * since)) * self._system(state, cohort)[:, None]
        untried, known = last == 0, np.where(last == 0, 0.0, value)
        explores = rng.random(len(cohort)) < self._exploration(state.round)
        first: FloatArray = np.where(untried & explores[:, None], 1.0 + known.max(initial=0.0), known)
        return first

    def _statistical(self, utility: FloatArray, everybody: FloatArray) -> FloatArray:
        known = everybody[~np.isnan(everybody)]
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
        slow: BoolArray = seconds > preferred  # NaN, never measured, is not
        penalty: FloatArray = np.where(slow, preferred / np.where(slow, seconds, 1.0), 1.0) ** self.slowness
        return penalty

    def _exploration(self, rounds: int) -> float:
        return max(self.least_exploration, self.exploration * self.exploration_decay**rounds)


def _examples(report: Report) -> FloatArray:
    """How many of its examples a client routed to each of its experts."""
    total = report.usage.sum()
    examples: FloatArray = report.num_examples * report.usage / (total if total > 0 else 1.0)
    return examples

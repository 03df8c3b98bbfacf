"""Use a fitness once clients need it; use a random fitness while they do well without it.

Alignment pays if clients' tasks conflict: an expert that must serve all tasks serves none well. Clients then do badly
as long as experts are assigned at random. If tasks do not conflict, as with skewed labels, random experts soon serve
all clients; then alignment gains nothing and makes experts narrower. So the first rounds use random fitness within the
load bounds, and the reports of these rounds give the need:

- "accuracy": 1 − the mean accuracy of the round's clients, where each expert is weighted by its usage.
- "loss": the mean loss of the round's clients, divided by the mean loss of the first round.

After at least ``after`` rounds, the first round whose need reaches the threshold opens the switch. It stays open,
because a lower need later on is an effect of the alignment. The threshold is meaningful only after easy tasks had the
time to be learned. In our digits runs with 40 clients and one epoch per round, need by accuracy falls from 0.65 after
the first round to 0.22 after the fifth with labels skewed by Dirichlet(0.1), and from 0.76 to 0.45 with eight concepts.
A task that stays hard for other reasons opens the switch as well. Whether clients *differ* is another question; see
:mod:`.difference`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from alignsolve.estimate import checks
from alignsolve.estimate.estimator import EstimatorState, FitnessEstimator
from alignsolve.estimate.fitness import RouterFitness
from alignsolve.estimate.random import RandomFitness
from alignsolve.estimate.report import Report
from alignsolve.numerics import FloatArray, IntArray


@dataclass(frozen=True)
class Need:
    """State of the switch: what both fitness estimators have learned, and the measured need.

    Attributes
    ----------
    inner, fallback
        States of the fitness used once the switch is open, and of the one used before.
    rounds
        Rounds in which the need was measured.
    first
        Mean loss in the first of these rounds.
    need
        Need in the last of these rounds.
    is_open
        Whether the switch is open: the inner fitness is used.
    """

    inner: EstimatorState
    fallback: EstimatorState
    rounds: int
    first: float
    need: float
    is_open: bool

    def grow(self, num_clients: int) -> "Need":
        """Return a copy with room in both states for the clients that joined."""
        return replace(self, inner=self.inner.grow(num_clients), fallback=self.fallback.grow(num_clients))


@dataclass(frozen=True)
class NeededFitness:
    """Use an inner fitness once clients do badly without it, and a random one before.

    Parameters
    ----------
    inner
        The fitness used once the switch is open.
    measure
        The need is measured by "accuracy" or by "loss".
    threshold
        Need at which the switch opens, above 0 and at most 1.
    after
        Least number of rounds with the fallback, 1 or more. Choose more if learning is slow or cohorts are small.
    fallback
        The fitness used before.
    """

    inner: FitnessEstimator[Any] = field(default_factory=RouterFitness)
    measure: Literal["accuracy", "loss"] = "accuracy"
    threshold: float = 0.3
    after: int = 5
    fallback: FitnessEstimator[Any] = field(default_factory=RandomFitness)

    def __post_init__(self) -> None:
        """Check the parameters."""
        checks.choice("measure", self.measure, ("accuracy", "loss"))
        checks.weight("threshold", self.threshold)
        checks.whole("after", self.after, 1)

    def init(self, num_clients: int, num_experts: int) -> Need:
        """Return the state before the first round, with the switch closed."""
        inner, fallback = (part.init(num_clients, num_experts) for part in (self.inner, self.fallback))
        return Need(inner, fallback, rounds=0, first=0.0, need=1.0, is_open=False)

    def update(self, state: Need, reports: Sequence[Report]) -> Need:
        """Learn, and measure the need while the switch is closed."""
        state = replace(
            state,
            inner=self.inner.update(state.inner, reports),
            fallback=self.fallback.update(state.fallback, reports),
        )
        used = [report for report in reports if report.completed and report.usage.sum() > 0]
        if state.is_open or not used:
            return state
        first = state.first if state.rounds else _mean(used, "loss")
        if self.measure == "accuracy":
            need = 1.0 - _mean(used, "accuracy")
        else:
            need = _mean(used, "loss") / first if first > 0 else 0.0
        rounds = state.rounds + 1
        is_open = rounds >= self.after and need >= self.threshold
        return replace(state, rounds=rounds, first=first, need=need, is_open=is_open)

    def fitness(self, state: Need, cohort: IntArray, *, rng: np.random.Generator) -> FloatArray:
        """Return the fitness of the inner estimator if the switch is open, else of the fallback."""
        if state.is_open:
            return self.inner.fitness(state.inner, cohort, rng=rng)
        return self.fallback.fitness(state.fallback, cohort, rng=rng)


def _mean(reports: Sequence[Report], measure: str) -> float:
    """Return the mean over clients of a measure, averaged over each client's experts by usage."""
    means = []
    for report in reports:
        used = report.usage > 0
        means.append(float(np.average(getattr(report, measure)[used], weights=report.usage[used])))
    return float(np.mean(means))

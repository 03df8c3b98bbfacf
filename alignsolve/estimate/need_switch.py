"""Fitness where clients need it, chance where they do well with whatever they are given.

Alignment pays where clients' tasks conflict: an expert that must serve all of them serves none. Then clients do badly
for as long as experts are dealt out at random. Where tasks do not conflict, as with skewed labels, random experts soon
serve everybody, and alignment has nothing to gain but narrower experts to lose. So the first rounds are a balanced
lottery, and what clients report of it decides:

- "accuracy": need is 1 − the mean accuracy of the round's clients, each weighted by what it routed to its experts.
- "loss": need is their mean loss as a share of that in the first round.

From the ``after``-th round on, the first round whose need reaches the threshold opens the gate, for good: low need
later on is alignment's own doing. In our digits with 40 clients, each training for one epoch a round, need by accuracy
falls from 0.65 after the first round to 0.22 after the fifth with labels skewed by Dirichlet(0.1), and from 0.76 to
0.45 with eight concepts: a threshold means nothing before easy tasks had the time to be learned. A task on which
everybody stays bad for other reasons opens the gate as well. That clients are *different* is another question,
:mod:`.difference`'s.
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
    """What the rounds have shown.

    Attributes
    ----------
    inner, fallback
        States of the fitness that is used when the gate is open, and before.
    rounds
        Rounds in which something was measured.
    first
        Mean loss in the first of them.
    need
        After the last of them.
    is_open
        Whether the inner fitness is used.
    """

    inner: EstimatorState
    fallback: EstimatorState
    rounds: int
    first: float
    need: float
    is_open: bool

    def grow(self, num_clients: int) -> "Need":
        """Let both make room."""
        return replace(self, inner=self.inner.grow(num_clients), fallback=self.fallback.grow(num_clients))


@dataclass(frozen=True)
class NeededFitness:
    """Use a fitness once clients turn out to do badly without it, and a lottery before.

    Parameters
    ----------
    inner
        The fitness to be used.
    measure
        "accuracy" or "loss".
    threshold
        Need that opens the gate, above 0 and at most 1.
    after
        Rounds that are dealt out at random in any case, 1 or more. More where learning is slow or cohorts are small.
    fallback
        What is used before.
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
        """Closed."""
        inner, fallback = (part.init(num_clients, num_experts) for part in (self.inner, self.fallback))
        return Need(inner, fallback, rounds=0, first=0.0, need=1.0, is_open=False)

    def update(self, state: Need, reports: Sequence[Report]) -> Need:
        """Learn, and measure the need as long as the gate is closed."""
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
        """Fitness of the inner estimator, or of the fallback."""
        if state.is_open:
            return self.inner.fitness(state.inner, cohort, rng=rng)
        return self.fallback.fitness(state.fallback, cohort, rng=rng)


def _mean(reports: Sequence[Report], measure: str) -> float:
    """Mean over clients of what each measured, its experts weighted by usage."""
    told = []
    for report in reports:
        used = report.usage > 0
        told.append(float(np.average(getattr(report, measure)[used], weights=report.usage[used])))
    return float(np.mean(told))

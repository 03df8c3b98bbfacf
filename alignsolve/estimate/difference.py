"""Use a fitness only while the reports show that clients differ; use a random fitness otherwise.

A client's reports go alternately to two copies of an estimator, so that the noise of the two copies is independent. The
copies' fitness, centred over clients, gives the matrices A and B, with one row per client that reported to both copies.
(Centring removes what all clients have in common, which is no reason to align.) Two figures are computed from them:

- **agreement** z: Σ_i a_i·b_i, compared with its distribution when the rows of B are permuted at random. Over all
  permutations its mean is 0 and its variance is exactly tr(AᵀA·BᵀB)/(n − 1) (Hoeffding, 1951), so no permutation needs
  to be drawn. z is in standard deviations. It tests whether clients differ *again* in the way they differed before.
- **strength** s: Σ_i a_i·b_i, the repeatable variance between clients, as a share of Σ_ij m_j·(1 − m_j), the largest
  variance of numbers between 0 and 1 with the experts' means m. This is Wright's fixation index F_ST: 0 if all clients
  are alike, 1 if each client routes to experts of its own. A client's finite data repeat, too: n examples drawn from a
  common distribution give a strength of at most 1/n. Therefore agreement alone is not enough.

The switch opens when both figures reach their thresholds. It closes when either falls below half of its threshold.

The figures do not show whether alignment pays: clients with skewed labels differ as well (:mod:`.need_switch` measures
the need). The reports must not depend on the alignment. Counterexample: an auxiliary loss draws a client's router
towards the experts that it holds; its reports then follow that round's alignment, and two reports under random
alignments do not agree.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from alignsolve.estimate import checks
from alignsolve.estimate.estimator import EstimatorState, FitnessEstimator
from alignsolve.estimate.fitness import RouterFitness
from alignsolve.estimate.optional import probed
from alignsolve.estimate.random import RandomFitness
from alignsolve.estimate.report import Report
from alignsolve.numerics import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Difference:
    """State of the switch: what both fitness estimators and the two copies of the evidence have learned.

    Attributes
    ----------
    inner, fallback
        States of the fitness used while the switch is open, and of the one used while it is closed.
    first, second
        States of the two copies of the evidence estimator.
    count
        (num_clients,) completed reports of each client.
    agreement, strength
        The two figures after the last round.
    is_open
        Whether the switch is open: the inner fitness is used.
    """

    inner: EstimatorState
    fallback: EstimatorState
    first: EstimatorState
    second: EstimatorState
    count: IntArray
    agreement: float
    strength: float
    is_open: bool

    def grow(self, num_clients: int) -> "Difference":
        """Return a copy with room in all states for the clients that joined."""
        more = np.zeros(num_clients - len(self.count), dtype=np.int64)
        return replace(
            self,
            inner=self.inner.grow(num_clients),
            fallback=self.fallback.grow(num_clients),
            first=self.first.grow(num_clients),
            second=self.second.grow(num_clients),
            count=np.concatenate([self.count, more]),
        )


@dataclass(frozen=True)
class GatedFitness:
    """Use an inner fitness while the evidence shows that clients differ, and a random one otherwise.

    Parameters
    ----------
    inner
        The fitness used while the switch is open.
    agreement
        Agreement at which the switch opens, in standard deviations, above 0. The test is repeated after every round, so
        its threshold is higher than that of a single test.
    strength
        Share of the largest possible variance at which the switch opens, between 0 and 1.
    evidence
        The estimator that is tested: its values lie between 0 and 1 and involve no random numbers. An estimator that
        learns only from held pairs is unsuitable: once the switch is open it would produce its own evidence.
    fallback
        The fitness used while the switch is closed.
    """

    inner: FitnessEstimator[Any] = field(default_factory=RouterFitness)
    agreement: float = 4.0
    strength: float = 0.05
    evidence: FitnessEstimator[Any] = field(default_factory=lambda: RouterFitness(scaling="none"))
    fallback: FitnessEstimator[Any] = field(default_factory=RandomFitness)

    def __post_init__(self) -> None:
        """Check the parameters."""
        checks.positive("agreement", self.agreement)
        checks.between("strength", self.strength, 0, 1)

    def init(self, num_clients: int, num_experts: int) -> Difference:
        """Return the state before the first round, with the switch closed."""
        evidence = self.evidence.init(num_clients, num_experts)
        return Difference(
            inner=self.inner.init(num_clients, num_experts),
            fallback=self.fallback.init(num_clients, num_experts),
            first=evidence,
            second=evidence,
            count=np.zeros(num_clients, dtype=np.int64),
            agreement=0.0,
            strength=0.0,
            is_open=False,
        )

    def update(self, state: Difference, reports: Sequence[Report]) -> Difference:
        """Learn, give the reports alternately to the two copies, and test the evidence."""
        done = [report for report in reports if report.completed]
        count = state.count.copy()
        count[[report.client for report in done]] += 1
        dealt: tuple[list[Report], list[Report]] = ([], [])
        for report in done:
            dealt[(count[report.client] + 1) % 2].append(report)
        state = replace(
            state,
            inner=self.inner.update(state.inner, reports),
            fallback=self.fallback.update(state.fallback, reports),
            first=self.evidence.update(state.first, dealt[0]),
            second=self.evidence.update(state.second, dealt[1]),
            count=count,
        )
        return self._judged(state) if done else state

    def _judged(self, state: Difference) -> Difference:
        both, rng = (
            np.flatnonzero(state.count >= 2),
            np.random.default_rng(0),
        )  # not used: the evidence draws no numbers
        if len(both) < 3:
            return state
        agreement, strength = evidence_of(
            self.evidence.fitness(state.first, both, rng=rng), self.evidence.fitness(state.second, both, rng=rng)
        )
        part = 0.5 if state.is_open else 1.0
        is_open = agreement >= part * self.agreement and strength >= part * self.strength
        return replace(state, agreement=agreement, strength=strength, is_open=is_open)

    def probe(self, state: Difference, clients: IntArray, masses: FloatArray) -> Difference:
        """Give fresh router masses to the inner fitness; the evidence learns from reports alone."""
        return replace(state, inner=probed(self.inner, state.inner, clients, masses))

    def fitness(self, state: Difference, cohort: IntArray, *, rng: np.random.Generator) -> FloatArray:
        """Return the fitness of the inner estimator if the switch is open, else of the fallback."""
        if state.is_open:
            return self.inner.fitness(state.inner, cohort, rng=rng)
        return self.fallback.fitness(state.fallback, cohort, rng=rng)


def evidence_of(first: FloatArray, second: FloatArray) -> tuple[float, float]:
    """Return agreement and strength of two independent estimates of the same fitness, (num_clients, num_experts).

    Examples
    --------
    Clients that each prefer an expert of their own in both estimates, and clients that are all alike:

    >>> agreement, strength = evidence_of(np.eye(20), np.eye(20))
    >>> agreement > 4, round(strength, 2)
    (True, 1.0)
    >>> evidence_of(np.ones((20, 3)), np.ones((20, 3)))
    (0.0, 0.0)
    """
    mean = (first.mean(axis=0) + second.mean(axis=0)) / 2
    a, b = first - first.mean(axis=0), second - second.mean(axis=0)
    together = float((a * b).sum())
    variance = float(((a.T @ a) * (b.T @ b)).sum()) / (len(a) - 1)
    largest = len(a) * float((mean * (1 - mean)).sum())
    agreement = together / variance**0.5 if variance > 0 else 0.0
    return agreement, together / largest if largest > 0 else 0.0

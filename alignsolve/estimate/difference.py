"""Fitness where it shows something, chance where it shows nothing: the alignment is chosen by the evidence.

A client's reports go to two copies of an estimator in turn, first, second, first, …, so that the noise of the two is
independent. Both copies' fitness, centred over clients (what all clients agree on is no reason to align), make the
matrices A and B, a row per client that reported to both. Two figures are read off them:

- **agreement** z: Σ_i a_i·b_i against what it would be if the rows of B were dealt to the clients at random. Over all
  permutations its mean is 0 and its variance exactly tr(AᵀA·BᵀB)/(n − 1) (Hoeffding, 1951), so that no permutation is
  drawn; z is in standard deviations. Do clients differ *again* as they differed before?
- **strength** s: Σ_i a_i·b_i, the repeatable variance between clients, as a share of Σ_ij m_j·(1 − m_j), the largest
  that numbers between 0 and 1 with the experts' means m can have: Wright's fixation index F_ST. 0 where all clients
  are alike, 1 where each routes to experts of its own. A client's finite data alone repeat, too: n examples drawn from
  what everybody has give a strength of 1/n at most, which is why agreement does not suffice.

The gate opens when both are reached, and closes when either falls below half of what opened it.

What it cannot tell is whether aligning them pays: clients with skewed labels differ as well (:mod:`.need_switch` asks
that). And it needs reports that do not depend on the alignment itself: a router that was just drawn towards the experts
held, by an auxiliary loss say, speaks of those, and under a lottery agrees with nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from alignsolve.estimate import checks
from alignsolve.estimate.estimator import EstimatorState, FitnessEstimator
from alignsolve.estimate.fitness import RouterFitness
from alignsolve.estimate.random import RandomFitness
from alignsolve.estimate.report import Report
from alignsolve.numerics import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Gate:
    """What the gate has seen.

    Attributes
    ----------
    inner, fallback
        States of the fitness that is used when the gate is open, and when it is closed.
    first, second
        States of the two copies of the evidence.
    count
        (num_clients,) completed reports of each client.
    agreement, strength
        The two figures after the last round.
    is_open
        Whether the inner fitness is used.
    """

    inner: EstimatorState
    fallback: EstimatorState
    first: EstimatorState
    second: EstimatorState
    count: IntArray
    agreement: float
    strength: float
    is_open: bool

    def grow(self, num_clients: int) -> "Gate":
        """Let all make room."""
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
    """Use a fitness once the evidence shows that clients differ, and a lottery before.

    Parameters
    ----------
    inner
        The fitness to be used.
    agreement
        Standard deviations that open the gate, above 0. It is looked at after every round, hence more than a single
        test would need.
    strength
        Share of the largest possible variance that opens the gate, between 0 and 1.
    evidence
        What is tested: an estimator between 0 and 1 that does not draw. The inner one must not serve itself if it
        only knows pairs that were held: once open it would make its own evidence.
    fallback
        What is used when closed.
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

    def init(self, num_clients: int, num_experts: int) -> Gate:
        """Closed."""
        evidence = self.evidence.init(num_clients, num_experts)
        return Gate(
            inner=self.inner.init(num_clients, num_experts),
            fallback=self.fallback.init(num_clients, num_experts),
            first=evidence,
            second=evidence,
            count=np.zeros(num_clients, dtype=np.int64),
            agreement=0.0,
            strength=0.0,
            is_open=False,
        )

    def update(self, state: Gate, reports: Sequence[Report]) -> Gate:
        """Learn, deal the reports to the two copies, and look at the evidence."""
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

    def _judged(self, state: Gate) -> Gate:
        both, rng = np.flatnonzero(state.count >= 2), np.random.default_rng(0)  # the evidence does not draw
        if len(both) < 3:
            return state
        agreement, strength = evidence_of(
            self.evidence.fitness(state.first, both, rng=rng), self.evidence.fitness(state.second, both, rng=rng)
        )
        part = 0.5 if state.is_open else 1.0
        is_open = agreement >= part * self.agreement and strength >= part * self.strength
        return replace(state, agreement=agreement, strength=strength, is_open=is_open)

    def fitness(self, state: Gate, cohort: IntArray, *, rng: np.random.Generator) -> FloatArray:
        """Fitness of the inner estimator, or of the fallback."""
        if state.is_open:
            return self.inner.fitness(state.inner, cohort, rng=rng)
        return self.fallback.fitness(state.fallback, cohort, rng=rng)


def evidence_of(first: FloatArray, second: FloatArray) -> tuple[float, float]:
    """Agreement and strength of two independent estimates of the same clients' fitness, (num_clients, num_experts).

    Examples
    --------
    Clients that prefer their own expert twice, against clients that are all alike:

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

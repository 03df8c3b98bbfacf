"""FedAMoLE's affinity (arXiv 2411.19128), reconstructed from the router mass that clients report.

In FedAMoLE each expert chooses clients: P_ij is the softmax over *clients* of how well the expert's embedding fits the
client's tokens. Reports carry no embeddings. Here the router's log-probability of an expert stands for that fit: in a
linear router it equals the inner product up to a constant per client. So, over the cohort, P_ij is proportional to the
client's router mass to the power of 1/temperature.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from alignsolve.estimate import checks
from alignsolve.estimate.fitness import PairFitness, average_masses
from alignsolve.estimate.report import Report
from alignsolve.numerics import FloatArray, IntArray

TINY = 1e-12
"""Least router mass: smaller values are raised to it before the logarithm."""
NEWEST_ALONE = 1.0
"""Weight of the newest round: earlier router masses are forgotten."""


@dataclass(frozen=True)
class AffinityFitness:
    """For each expert, the softmax over the round's clients of their last router masses.

    Before a client's first report its affinities are drawn at random, as in the paper's first round.

    Parameters
    ----------
    temperature
        Above 0. A small one gives an expert to its best clients, a large one makes all clients equal.
    """

    learns_from: ClassVar[frozenset[str]] = frozenset({"router_mass"})
    temperature: float = 1.0

    def __post_init__(self) -> None:
        """Check the parameters."""
        checks.positive("temperature", self.temperature)

    def init(self, num_clients: int, num_experts: int) -> PairFitness:
        """Return the state before any report: NaN everywhere."""
        return PairFitness(np.full((num_clients, num_experts), np.nan), np.nan)

    def update(self, state: PairFitness, reports: Sequence[Report]) -> PairFitness:
        """Replace the router masses of the clients that completed the round.

        Raises
        ------
        ValueError
            If a completed report has no ``router_mass``, or one of another length than num_experts.
        """
        return replace(state, value=average_masses(state.value, reports, NEWEST_ALONE, type(self).__name__))

    def probe(self, state: PairFitness, clients: IntArray, masses: FloatArray) -> PairFitness:
        """Replace the router masses of these clients (k,) by fresh ones, (k, num_experts)."""
        return state.with_rows(clients, masses)

    def fitness(self, state: PairFitness, cohort: IntArray, *, rng: np.random.Generator) -> FloatArray:
        """Return the affinities of the cohort, (len(cohort), num_experts); the largest of each expert is 1."""
        mass = state.value[cohort]
        unknown = np.isnan(mass[:, 0])
        mass[unknown] = rng.dirichlet(np.ones(mass.shape[1]), size=int(unknown.sum()))
        logits = np.log(np.maximum(mass, TINY)) / self.temperature
        affinity: FloatArray = np.exp(logits - logits.max(axis=0))
        return affinity

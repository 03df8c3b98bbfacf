"""FedAMoLE's affinity (arXiv 2411.19128), reconstructed from what a report tells.

There each expert chooses clients: P_ij is the softmax over *clients* of how well the expert's embedding fits the
client's tokens. Reports carry no embeddings; the router's log-probability of an expert stands for its fit to the
client's data, as in a linear router it is that inner product up to a number per client. So P_ij is proportional to the
client's router mass to the power of 1/temperature, over the cohort.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from alignsolve.estimate import checks
from alignsolve.estimate.fitness import PairFitness, average_masses
from alignsolve.estimate.report import Report
from alignsolve.numerics import FloatArray, IntArray

TINY = 1e-12
"""Router mass below this counts as this."""
NEWEST_ALONE = 1.0
"""Weight of the newest round: what a client's router said before is forgotten."""


@dataclass(frozen=True)
class AffinityFitness:
    """Softmax over the round's clients, for each expert, of what their routers last said.

    Before a client's first report its affinities are drawn at random, as all are in the paper's first round.

    Parameters
    ----------
    temperature
        Above 0; small ones give an expert to its best clients, large ones make all clients equal.
    """

    temperature: float = 1.0

    def __post_init__(self) -> None:
        """Check the parameters."""
        checks.positive("temperature", self.temperature)

    def init(self, num_clients: int, num_experts: int) -> PairFitness:
        """Nobody has reported: NaN everywhere."""
        return PairFitness(np.full((num_clients, num_experts), np.nan), np.nan)

    def update(self, state: PairFitness, reports: Sequence[Report]) -> PairFitness:
        """Take the router masses of completed reports.

        Raises
        ------
        ValueError
            If a completed report has no ``router_mass``, or one of another length than num_experts.
        """
        return replace(state, value=average_masses(state.value, reports, NEWEST_ALONE, type(self).__name__))

    def fitness(self, state: PairFitness, cohort: IntArray, *, rng: np.random.Generator) -> FloatArray:
        """Affinities of the cohort's pairs, each expert's scaled to a largest of 1."""
        mass = state.value[cohort]
        unknown = np.isnan(mass[:, 0])
        mass[unknown] = rng.dirichlet(np.ones(mass.shape[1]), size=int(unknown.sum()))
        logits = np.log(np.maximum(mass, TINY)) / self.temperature
        affinity: FloatArray = np.exp(logits - logits.max(axis=0))
        return affinity

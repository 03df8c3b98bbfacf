"""IFCA, iterative federated clustering (Ghosh, Chung, Yin and Ramchandran, arXiv 2006.04088), with experts as clusters.

In the paper the server keeps a model for every cluster. In every round each client downloads all of them, takes the
one with the lowest loss on its examples, and trains it. Reconstructed: a cluster's model is one expert beside a shared
part, which the paper names as an extension (shared layers). A client with room for more experts takes those with the
next lowest losses. The price is the download of all experts in every round, and it is counted.

A configuration names it as ``alignment.policy = "benchmarks.evidence.second.ifca:ifca"``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from alignsolve import Aligner, Parts, Report
from alignsolve.estimate.fitness import PairFitness, scaled_to_range
from alignsolve.numerics import BoolArray, FloatArray, IntArray
from alignsolve.policies import UNBOUNDED


@dataclass(frozen=True)
class IfcaFitness:
    """The experts' losses on a client's examples, the lowest loss the fittest; scaled to 0..1 per client."""

    probes_at: ClassVar[Literal["start", "end"]] = "start"

    def init(self, num_clients: int, num_experts: int) -> PairFitness:
        """Return the state before any probe: NaN everywhere."""
        return PairFitness(np.full((num_clients, num_experts), np.nan), np.nan)

    def update(self, state: PairFitness, reports: Sequence[Report]) -> PairFitness:
        """Return the state unchanged: losses are measured before each round."""
        return state

    def wanted(self, state: PairFitness, cohort: IntArray, rng: np.random.Generator) -> BoolArray:
        """Ask every client for all experts."""
        return np.ones((len(cohort), state.value.shape[1]), dtype=bool)

    def told(self, state: PairFitness, clients: IntArray, losses: FloatArray, shares: FloatArray) -> PairFitness:
        """Keep the newest losses."""
        return state.with_rows(clients, losses)

    def fitness(self, state: PairFitness, cohort: IntArray, *, rng: np.random.Generator) -> FloatArray:
        """Return the fitness of the cohort, (len(cohort), num_experts); 0.5 where nothing was measured."""
        return scaled_to_range(-state.value[cohort])


def ifca(parts: Parts, **parameters: Any) -> Aligner:
    """Every client takes the experts of lowest loss on its examples, independently of other clients."""
    return parts.aligner(IfcaFitness(**parameters), UNBOUNDED, solver="topk")

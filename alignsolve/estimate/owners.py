"""SPES' fixed owners (arXiv 2602.11543): a client trains the same experts for ever, whatever its data are.

In the paper expert e belongs to node ⌊e/n⌋, where each of the nodes owns n experts. Reconstructed: with more clients
than experts several own the same one. Client i owns expert i mod num_experts, and the next ones as far as its capacity
goes. The warm-up of the paper, which draws the nodes' models together, is a rule of merging and not part of this.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alignsolve.estimate.random import Experts
from alignsolve.estimate.report import Report
from alignsolve.numerics import FloatArray, IntArray


@dataclass(frozen=True)
class OwnerFitness:
    """Fitness 1 for a client's own expert, and less for each next one."""

    def init(self, num_clients: int, num_experts: int) -> Experts:
        """Return the state, which holds the number of experts."""
        return Experts(num_experts)

    def update(self, state: Experts, reports: Sequence[Report]) -> Experts:
        """Return the state unchanged: reports are not used."""
        return state

    def fitness(self, state: Experts, cohort: IntArray, *, rng: np.random.Generator) -> FloatArray:
        """Return the fitness of the cohort, (len(cohort), num_experts), above 0 and at most 1.

        Examples
        --------
        >>> OwnerFitness().fitness(Experts(4), np.array([5]), rng=np.random.default_rng(0))
        array([[0.25, 1.  , 0.75, 0.5 ]])
        """
        steps = (np.arange(state.num_experts) - cohort[:, None]) % state.num_experts
        owned: FloatArray = 1.0 - steps / state.num_experts
        return owned

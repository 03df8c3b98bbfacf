"""Random fitness: new uniform numbers every round, so that the alignment is random within its bounds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from alignsolve.estimate.report import Report
from alignsolve.numerics import FloatArray, IntArray


@dataclass(frozen=True)
class Experts:
    """The number of experts, the only thing that a random fitness must know."""

    num_experts: int

    def grow(self, num_clients: int) -> Self:
        """Return the state itself: it holds nothing per client."""
        return self


@dataclass(frozen=True)
class RandomFitness:
    """Uniform numbers between 0 and 1, drawn anew every round; with load bounds, a balanced random alignment."""

    def init(self, num_clients: int, num_experts: int) -> Experts:
        """Return the state, which holds the number of experts."""
        return Experts(num_experts)

    def update(self, state: Experts, reports: Sequence[Report]) -> Experts:
        """Return the state unchanged: reports are not used."""
        return state

    def fitness(self, state: Experts, cohort: IntArray, *, rng: np.random.Generator) -> FloatArray:
        """Draw the fitness of the cohort, (len(cohort), num_experts)."""
        return rng.random((len(cohort), state.num_experts))

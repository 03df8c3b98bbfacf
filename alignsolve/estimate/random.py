"""No fitness at all: fresh uniform numbers every round, so that within the bounds every alignment is a lottery."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from alignsolve.estimate.report import Report
from alignsolve.numerics import FloatArray, IntArray


@dataclass(frozen=True)
class Experts:
    """How many experts there are: all that a lottery must know."""

    num_experts: int

    def grow(self, num_clients: int) -> Self:
        """Return itself: it holds nothing per client."""
        return self


@dataclass(frozen=True)
class RandomFitness:
    """Uniform numbers between 0 and 1, drawn anew for every round: with bounds this is a balanced random alignment."""

    def init(self, num_clients: int, num_experts: int) -> Experts:
        """Note the number of experts."""
        return Experts(num_experts)

    def update(self, state: Experts, reports: Sequence[Report]) -> Experts:
        """Learn nothing."""
        return state

    def fitness(self, state: Experts, cohort: IntArray, *, rng: np.random.Generator) -> FloatArray:
        """Draw the cohort's pairs."""
        return rng.random((len(cohort), state.num_experts))

"""A weighted sum of fitness estimators that all learn from the same reports."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from alignsolve.estimate.estimator import EstimatorState, FitnessEstimator
from alignsolve.estimate.report import Report
from alignsolve.numerics import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class PartStates:
    """The states of several estimators, in order."""

    parts: tuple[EstimatorState, ...]

    def grow(self, num_clients: int) -> "PartStates":
        """Return a copy with room in all states for the clients that joined."""
        return replace(self, parts=tuple(part.grow(num_clients) for part in self.parts))


@dataclass(frozen=True)
class SumFitness:
    """The sum of weight·fitness over several estimators; most of them give values between 0 and 1.

    A negative weight reverses a part: "specialise" becomes "repair". If it makes the fitness of a pair negative, the
    client leaves capacity unused rather than take that pair, because the alignment maximises the sum of fitness.

    Parameters
    ----------
    parts
        Pairs (weight, fitness estimator), at least one; weights are finite and not 0.

    Examples
    --------
    >>> from alignsolve import LossFitness, RouterFitness
    >>> SumFitness(parts=((1.0, RouterFitness()), (0.25, LossFitness())))  # doctest: +ELLIPSIS
    SumFitness(parts=((1.0, RouterFitness(...)), (0.25, LossFitness(...))))
    """

    parts: tuple[tuple[float, FitnessEstimator[Any]], ...]

    def __post_init__(self) -> None:
        """Check the parameters."""
        object.__setattr__(self, "parts", tuple((weight, part) for weight, part in self.parts))
        if not self.parts:
            raise ValueError("parts is empty; give at least one (weight, estimator)")
        for weight, part in self.parts:
            if not np.isfinite(weight) or weight == 0:
                raise ValueError(f"the weight of {type(part).__name__} is {weight}; it must be finite and not 0")

    def init(self, num_clients: int, num_experts: int) -> PartStates:
        """Return the states of all parts before the first round."""
        return PartStates(tuple(part.init(num_clients, num_experts) for _, part in self.parts))

    def update(self, state: PartStates, reports: Sequence[Report]) -> PartStates:
        """Let every part learn from the reports."""
        states = zip(self.parts, state.parts, strict=True)
        return PartStates(tuple(part.update(known, reports) for (_, part), known in states))

    def fitness(self, state: PartStates, cohort: IntArray, *, rng: np.random.Generator) -> FloatArray:
        """Return the weighted sum, (len(cohort), num_experts); parts draw random numbers in their order."""
        (first, part), *others = self.parts
        total = first * part.fitness(state.parts[0], cohort, rng=rng)
        for (weight, part), known in zip(others, state.parts[1:], strict=True):
            total += weight * part.fitness(known, cohort, rng=rng)
        return total

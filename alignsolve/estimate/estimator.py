"""What an estimator is: parameters that never change, and pure functions from one state to the next.

States are frozen dataclasses of arrays (and of further such states), so that :mod:`.state` can take any of them apart
and put it together again. ``reports`` always come ascending by client, each client at most once.
"""

from collections.abc import Sequence
from typing import Protocol, Self, TypeVar

import numpy as np

from alignsolve.estimate.deadline import Budgets
from alignsolve.estimate.load import LoadBounds
from alignsolve.estimate.report import Report
from alignsolve.numerics import BoolArray, FloatArray, IntArray


class EstimatorState(Protocol):
    """What an estimator has learned."""

    def grow(self, num_clients: int) -> Self:
        """Return the same state with room for clients that joined, about whom nothing is known."""
        ...


S = TypeVar("S", bound=EstimatorState)


class FitnessEstimator(Protocol[S]):
    """How much good it does that a client trains an expert."""

    def init(self, num_clients: int, num_experts: int) -> S:
        """Return what is known before the first round."""
        ...

    def update(self, state: S, reports: Sequence[Report]) -> S:
        """Learn from a round."""
        ...

    def fitness(self, state: S, cohort: IntArray, *, rng: np.random.Generator) -> FloatArray:
        """Fitness of the cohort's pairs, (len(cohort), num_experts), finite, higher is better."""
        ...


class LoadEstimator(Protocol[S]):
    """How much load each expert should get next."""

    def init(self, num_clients: int, num_experts: int) -> S:
        """Return what is known before the first round."""
        ...

    def update(self, state: S, reports: Sequence[Report]) -> S:
        """Learn from a round."""
        ...

    def bounds(self, state: S, client_capacity: IntArray, fitness: FloatArray) -> LoadBounds:
        """Bounds for a round of clients with these capacities, (len(cohort),), and this fitness."""
        ...


class CapacityEstimator(Protocol[S]):
    """How many experts each client can, and must, take."""

    def init(self, num_clients: int, num_experts: int) -> S:
        """Return what is known before the first round."""
        ...

    def update(self, state: S, reports: Sequence[Report]) -> S:
        """Learn from a round."""
        ...

    def capacity(self, state: S, cohort: IntArray) -> tuple[IntArray, IntArray]:
        """Most and fewest experts of each of the cohort's clients, two of (len(cohort),)."""
        ...


class BudgetEstimator(Protocol[S]):
    """What each client may spend on its experts, and what each expert costs it."""

    def init(self, num_clients: int, num_experts: int) -> S:
        """Return what is known before the first round."""
        ...

    def update(self, state: S, reports: Sequence[Report]) -> S:
        """Learn from a round."""
        ...

    def budgets(self, state: S, cohort: IntArray) -> Budgets:
        """Budgets and costs of the cohort's clients."""
        ...


class SwitchingEstimator(Protocol[S]):
    """Which experts each client holds already, and what it costs to give it another."""

    def init(self, num_clients: int, num_experts: int) -> S:
        """Return what is known before the first round."""
        ...

    def update(self, state: S, reports: Sequence[Report]) -> S:
        """Learn from a round."""
        ...

    def previous(self, state: S, cohort: IntArray) -> BoolArray:
        """Which experts the cohort's clients hold, (len(cohort), num_experts)."""
        ...

    def costs(self, num_experts: int) -> FloatArray:
        """Fitness lost by giving a client an expert that it does not hold, (num_experts,)."""
        ...

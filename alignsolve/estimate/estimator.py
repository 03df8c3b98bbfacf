"""The protocols of estimators: fixed parameters, and pure functions from one state to the next.

A state is a frozen dataclass of arrays, numbers and further states, so that :mod:`.state` can convert any state to
arrays and back. ``reports`` are always sorted by client, with at most one report per client.
"""

from collections.abc import Sequence
from typing import Protocol, Self, TypeVar

import numpy as np

from alignsolve.estimate.deadline import Budgets
from alignsolve.estimate.load import LoadBounds
from alignsolve.estimate.report import Report
from alignsolve.numerics import BoolArray, FloatArray, IntArray


class EstimatorState(Protocol):
    """The state of an estimator: everything that it has learned."""

    def grow(self, num_clients: int) -> Self:
        """Return a copy with room for clients that joined, about whom nothing is known."""
        ...


S = TypeVar("S", bound=EstimatorState)


class FitnessEstimator(Protocol[S]):
    """Estimates how useful it is that a client trains an expert."""

    def init(self, num_clients: int, num_experts: int) -> S:
        """Return the state before the first round."""
        ...

    def update(self, state: S, reports: Sequence[Report]) -> S:
        """Return the state after learning from a round's reports."""
        ...

    def fitness(self, state: S, cohort: IntArray, *, rng: np.random.Generator) -> FloatArray:
        """Return the fitness of the cohort, (len(cohort), num_experts): finite, higher is better."""
        ...


class LoadEstimator(Protocol[S]):
    """Decides how much load each expert should get in the next round."""

    def init(self, num_clients: int, num_experts: int) -> S:
        """Return the state before the first round."""
        ...

    def update(self, state: S, reports: Sequence[Report]) -> S:
        """Return the state after learning from a round's reports."""
        ...

    def bounds(self, state: S, client_capacity: IntArray, fitness: FloatArray) -> LoadBounds:
        """Return the bounds of a round, given its clients' capacities (len(cohort),) and fitness.

        With several layers, ``fitness`` has two rows: the least and the greatest fitness of every expert of all layers.
        """
        ...


class CapacityEstimator(Protocol[S]):
    """Estimates how many experts each client can take, and how many it must take."""

    def init(self, num_clients: int, num_experts: int) -> S:
        """Return the state before the first round."""
        ...

    def update(self, state: S, reports: Sequence[Report]) -> S:
        """Return the state after learning from a round's reports."""
        ...

    def capacity(self, state: S, cohort: IntArray) -> tuple[IntArray, IntArray]:
        """Return the most and the fewest experts of each client of the cohort, two arrays of shape (len(cohort),)."""
        ...


class BudgetEstimator(Protocol[S]):
    """Estimates what each client can spend on its experts, and what each expert costs it."""

    def init(self, num_clients: int, num_experts: int) -> S:
        """Return the state before the first round."""
        ...

    def update(self, state: S, reports: Sequence[Report]) -> S:
        """Return the state after learning from a round's reports."""
        ...

    def budgets(self, state: S, cohort: IntArray) -> Budgets:
        """Return the budgets and costs of the cohort's clients."""
        ...


class SwitchingEstimator(Protocol[S]):
    """Tracks which experts each client holds, and what it costs to give it another one."""

    def init(self, num_clients: int, num_experts: int) -> S:
        """Return the state before the first round."""
        ...

    def update(self, state: S, reports: Sequence[Report]) -> S:
        """Return the state after learning from a round's reports."""
        ...

    def previous(self, state: S, cohort: IntArray) -> BoolArray:
        """Return which experts the cohort's clients hold, bools of shape (len(cohort), num_experts)."""
        ...

    def costs(self, num_experts: int) -> FloatArray:
        """Return the cost of giving a client an expert that it does not hold, in fitness, (num_experts,)."""
        ...

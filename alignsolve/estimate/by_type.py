"""Fitness by type of client: what one client of a type shows counts for all of them.

M3-UCRL (arXiv 2107.04050) learns one model for many identical agents, and is optimistic about that model. Here the
reports of all clients of a type go to one row of an inner fitness. With :class:`~alignsolve.OptimisticFitness` inside,
the bonus of a pair shrinks with the trials of the whole type, so that a newcomer of a known type starts with what is
known.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from alignsolve.estimate.estimator import FitnessEstimator
from alignsolve.estimate.report import Report
from alignsolve.numerics import FloatArray, IntArray, fixed


@dataclass(frozen=True, eq=False)
class TypeState:
    """What is learned of the types.

    Attributes
    ----------
    inner
        The inner fitness' state, with a row per type.
    num_clients
        Number of clients that have joined.
    """

    inner: Any
    num_clients: int

    def grow(self, num_clients: int) -> "TypeState":
        """Return a copy with more clients; the types stay the same."""
        return replace(self, num_clients=num_clients)


@dataclass(frozen=True, eq=False)
class TypeFitness:
    """The fitness of a client's type.

    Parameters
    ----------
    types
        (num_clients,) the type of every client, also of those that join later: whole numbers, 0 or more.
    inner
        The fitness that learns; its clients are the types. It must take several reports of one client in a round, as
        :class:`~alignsolve.OptimisticFitness` does.

    Examples
    --------
    >>> from alignsolve import OptimisticFitness, Report
    >>> fitness = TypeFitness([0, 0, 1], OptimisticFitness(exploration=0.0, prior=0.0))
    >>> state = fitness.init(3, 2)
    >>> state = fitness.update(state, [Report(0, [1], [1.0], [0.0], [1.0], num_examples=5)])
    >>> fitness.fitness(state, np.arange(3), rng=np.random.default_rng(0)).tolist()
    [[0.0, 0.5], [0.0, 0.5], [0.0, 0.0]]
    """

    types: npt.ArrayLike
    inner: FitnessEstimator[Any]

    def __post_init__(self) -> None:
        """Check the parameters."""
        types = np.asarray(self.types)
        if types.dtype.kind not in "iu" or types.ndim != 1 or not len(types) or types.min() < 0:
            raise ValueError("types must be a whole number, 0 or more, for every client")
        object.__setattr__(self, "types", fixed(types.astype(np.int64)))

    def init(self, num_clients: int, num_experts: int) -> TypeState:
        """Return the state before the first round.

        Raises
        ------
        ValueError
            If there are more clients than types of clients.
        """
        self._known(num_clients)
        return TypeState(self.inner.init(int(np.max(self.types)) + 1, num_experts), num_clients)

    def update(self, state: TypeState, reports: Sequence[Report]) -> TypeState:
        """Let the inner fitness learn, with each client's type in its place."""
        types: IntArray = np.asarray(self.types)
        renamed = [replace(report, client=int(types[report.client])) for report in reports]
        renamed.sort(key=lambda report: report.client)
        return replace(state, inner=self.inner.update(state.inner, renamed))

    def fitness(self, state: TypeState, cohort: IntArray, *, rng: np.random.Generator) -> FloatArray:
        """Return the fitness of the clients' types, (len(cohort), num_experts)."""
        self._known(state.num_clients)
        types: IntArray = np.asarray(self.types)
        present, rows = np.unique(types[cohort], return_inverse=True)
        return np.asarray(self.inner.fitness(state.inner, present, rng=rng)[rows], dtype=np.float64)

    def _known(self, num_clients: int) -> None:
        known = len(np.asarray(self.types))
        if num_clients > known:
            raise ValueError(f"types names {known} clients, and there are {num_clients}: name the type of each")

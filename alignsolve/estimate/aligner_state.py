"""The state of the aligner: everything that it knows between two rounds, as one value."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from alignsolve.estimate import state as states
from alignsolve.estimate.estimator import EstimatorState
from alignsolve.estimate.privacy import Ledger
from alignsolve.numerics import FloatArray, IntArray

ESTIMATORS = ("fitness", "load", "capacity", "budget", "switching")


@dataclass(frozen=True, eq=False)
class AlignerState:
    """Everything that an aligner knows between two rounds. The value is never changed; each step returns a new one.

    Attributes
    ----------
    num_clients, num_experts
        Number of clients and of experts; :meth:`grow` adds clients.
    seed
        Seed of all random numbers (ties, estimators); seed and ``round`` fix the random numbers of a round.
    round
        Number of rounds aligned so far.
    clipped_rounds
        Number of rounds in which the cohort could not supply the loads that the load estimator asked for.
    softened_rounds
        Number of rounds whose alignment broke a soft load bound.
    prices
        (num_experts,) prices of the last round, the start of the next; all 0 until a solver has returned prices.
    room
        (num_experts,) how many more clients each expert can take: its capacity in the last round minus the clients that
        are at work. A client is at work from :meth:`alignsolve.Aligner.align` or :meth:`alignsolve.Aligner.admit` until
        its report. Negative where a soft bound was broken; 0 before the first round.
    at_work
        (num_experts,) how many clients are at work on each expert; inf where an older file does not say it.
    fitness, load, capacity, budget, switching
        States of the estimators.
    privacy
        How often each client's reports were released, if privacy noise is used.
    """

    num_clients: int
    num_experts: int
    seed: int
    round: int
    clipped_rounds: int
    softened_rounds: int
    prices: FloatArray
    room: FloatArray
    at_work: FloatArray
    fitness: EstimatorState
    load: EstimatorState
    capacity: EstimatorState
    budget: EstimatorState = field(default_factory=states.NoState)
    switching: EstimatorState = field(default_factory=states.NoState)
    privacy: Ledger | states.NoState = field(default_factory=states.NoState)

    def grow(self, num_clients: int) -> "AlignerState":
        """Return a copy with room for clients that joined; ``num_clients`` is the new total.

        Raises
        ------
        ValueError
            If ``num_clients`` is below the present number.
        """
        if num_clients < self.num_clients:
            raise ValueError(
                f"cannot grow from {self.num_clients} clients to {num_clients}: clients are never forgotten"
            )
        parts = {field: getattr(self, field).grow(num_clients) for field in (*ESTIMATORS, "privacy")}
        return replace(self, num_clients=num_clients, **parts)

    def busier(self, experts: IntArray, by: float = 1.0) -> "AlignerState":
        """Return a copy with one client more at work on each of these experts; an expert may be listed twice."""
        more = by * np.bincount(experts, minlength=self.num_experts)
        return replace(self, room=self.room - more, at_work=self.at_work + more)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the state as named arrays for a checkpoint; :meth:`alignsolve.Aligner.from_arrays` reads them."""
        return states.to_arrays(self)

"""What is kept of a round: its figures, one line of ``rounds.csv``, and what they were made from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from alignsolve import Report, Solution
from alignsolve.numerics import FloatArray, IntArray


class Row(NamedTuple):
    """One round's line in ``rounds.csv``.

    Attributes
    ----------
    round
        Counted from 1.
    accuracy, loss
        Of the whole model on the test set, after the round.
    status, proof, gap, objective
        Of the alignment, as checked by :func:`alignsolve.solve`.
    load_cv
        Coefficient of variation of the clients per expert that the alignment gives, whoever then trains.
    bytes_down, bytes_up
        Traffic of the whole cohort.
    solve_seconds, round_seconds
        Wall-clock time of solving, and of the whole round.
    clients
        Size of the cohort.
    dropped
        How many of it were lost on the way; those of ``late`` and ``out_of_memory`` are counted there alone.
    rejected
        How many returned an update that was refused.
    softened
        1 if a soft load bound was broken, else 0.
    align_seconds
        Wall-clock time of aligning and observing, solving included.
    simulated_seconds
        How long the round would have taken on the clients' devices: until the last one ended, or the deadline.
    late
        How many clients were not done at the deadline.
    out_of_memory
        How many could not hold the experts that they were given.
    quarantined
        How many clients' replies were put aside, those of clients that were not asked included.
    clock
        Simulated seconds from the start of the run to the end of this round, waiting for clients included.
    """

    round: int
    accuracy: float
    loss: float
    status: str
    proof: str
    gap: float
    objective: float
    load_cv: float
    bytes_down: int
    bytes_up: int
    solve_seconds: float
    round_seconds: float
    clients: int
    dropped: int
    rejected: int
    softened: int
    align_seconds: float
    simulated_seconds: float
    late: int
    out_of_memory: int
    quarantined: int
    clock: float

    @property
    def merged(self) -> int:
        """How many clients' updates were merged, those included that were given nothing to train."""
        return self.clients - self.dropped - self.rejected - self.late - self.out_of_memory


class PutAside(NamedTuple):
    """One reply that was not merged: a line of ``quarantine.csv``."""

    round: int
    client: int
    reason: str


@dataclass(frozen=True, eq=False)
class Round:
    """What happened in one round.

    Attributes
    ----------
    row
        Its figures.
    cohort
        (row.clients,) client indices, ascending.
    solution
        The alignment; its row r is client ``cohort[r]``.
    quarantined
        Clients whose replies were put aside, each with the reason, ascending.
    reports
        What was noted of every client that was given an expert, in the cohort's order.
    """

    row: Row
    cohort: IntArray
    solution: Solution
    quarantined: Sequence[tuple[int, str]]
    reports: Sequence[Report]


def load_variation(solution: Solution) -> float:
    """Coefficient of variation of the clients per expert that an alignment gives."""
    assert solution.loads is not None  # align() raises if there is no alignment
    return variation(solution.loads)


def variation(loads: FloatArray) -> float:
    """Coefficient of variation of loads over the experts; 0 where nothing was loaded.

    Examples
    --------
    >>> import numpy as np
    >>> variation(np.array([1.0, 3.0])), variation(np.zeros(2))
    (0.5, 0.0)
    """
    mean = loads.mean()
    return float(loads.std() / mean) if mean > 0.0 else 0.0

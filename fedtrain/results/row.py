"""What is kept of a round: its figures, one line of ``rounds.csv``, and what they were made from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from alignsolve import Report, Solution
from alignsolve.numerics import IntArray
from fedtrain.server.reception import Quarantined


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
        How many replies were put aside; duplicates are, though their client may have been merged.
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
        Replies that were put aside, with the reason, ascending by client.
    reports
        What was noted of every client that was given an expert, in the cohort's order.
    """

    row: Row
    cohort: IntArray
    solution: Solution
    quarantined: Sequence[Quarantined]
    reports: Sequence[Report]

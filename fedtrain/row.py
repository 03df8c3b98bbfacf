"""What is kept of a round: its figures, one line of ``rounds.csv``, and what they were made from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from alignsolve import Solution
from alignsolve.numerics import IntArray


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
        Coefficient of variation of the clients per expert that the alignment gives.
    bytes_down, bytes_up
        Traffic of the whole cohort.
    solve_seconds, round_seconds
        Wall-clock time of solving, and of the whole round.
    clients
        Size of the cohort.
    dropped
        How many of it did not return an update.
    rejected
        How many returned one that was not merged.
    softened
        1 if a soft load bound was broken, else 0.
    align_seconds
        Wall-clock time of aligning and observing, solving included.
    simulated_seconds
        How long the round's slowest client that came back would have taken on its device.
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
    faults
        Why updates were not merged, by client.
    """

    row: Row
    cohort: IntArray
    solution: Solution
    faults: Mapping[int, str]

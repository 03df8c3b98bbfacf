"""What is kept of a round: its figures, one line of ``rounds.csv``, and what they were made from.

An entry is one small file, so that a checkpoint need not write again what earlier rounds wrote; all entries together
are rounds.csv, quarantine.csv and alignment.npz. The fitness that an alignment came from is not kept.
"""

import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alignsolve import Report, Solution
from alignsolve.numerics import FloatArray, IntArray
from fedtrain.results import atomic

BY_EXPERT = ("loads", "capacity", "demand", "prices")
"""Arrays of an alignment that have a value for every expert; prices are NaN where the solver gave none."""
ARRAYS = ("cohort", "pair_client", "pair_expert", *BY_EXPERT)
"""All arrays of a round: its clients, who was assigned what (clients by their index in the federation), the bounds."""

DAMAGES = (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error)
"""What reading a damaged file may raise."""


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


class Entry(NamedTuple):
    """What is kept of a round.

    Attributes
    ----------
    row, quarantined
        As in :class:`Round`.
    arrays
        Its alignment, by the names in ``ARRAYS``.
    """

    row: Row
    quarantined: tuple[tuple[int, str], ...]
    arrays: Mapping[str, npt.NDArray[Any]]


def entry_of(done: Round) -> Entry:
    """Take from a round what is kept."""
    solution, problem = done.solution, done.solution.problem
    assert solution.assigned is not None  # a round without an alignment raises
    by_expert = (solution.loads, problem.expert_capacity, problem.expert_demand, solution.prices)
    unknown = np.full(problem.shape[1], np.nan)
    arrays = {
        "cohort": done.cohort,
        "pair_client": done.cohort[solution.assigned.clients()],
        "pair_expert": solution.assigned.experts,
        **{
            name: unknown if values is None else np.asarray(values, dtype=np.float64)
            for name, values in zip(BY_EXPERT, by_expert, strict=True)
        },
    }
    return Entry(done.row, tuple(done.quarantined), arrays)


def save_entry(path: Path, entry: Entry) -> None:
    """Write an entry as .npz, its row and quarantine as JSON within."""
    words = json.dumps(
        {"row": entry.row._asdict(), "quarantined": entry.quarantined}, default=lambda value: value.item()
    )
    atomic.replace_arrays(path, words=np.array(words, dtype=np.str_), **entry.arrays)


def load_entry(path: Path) -> Entry:
    """Read an entry.

    Raises
    ------
    One of ``DAMAGES``
        If the file is not one that :func:`save_entry` wrote.
    """
    with path.open("rb") as file, np.lib.npyio.NpzFile(file, allow_pickle=False) as stored:
        words = json.loads(str(stored["words"]))
        arrays = {name: stored[name] for name in ARRAYS}
    quarantined = tuple((client, reason) for client, reason in words["quarantined"])
    return Entry(Row(**words["row"]), quarantined, arrays)


def alignment_arrays(entries: Sequence[Entry], num_experts: int) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of ``alignment.npz`` that are by round."""

    def parts(name: str) -> list[npt.NDArray[Any]]:
        return [entry.arrays[name] for entry in entries]

    return {
        "rounds": np.array([entry.row.round for entry in entries], dtype=np.int64),
        "cohort_ptr": _pointers(parts("cohort")),
        "pair_ptr": _pointers(parts("pair_client")),
        **{
            name: np.concatenate([np.zeros(0, dtype=np.int64), *parts(name)])
            for name in ("cohort", "pair_client", "pair_expert")
        },
        **{name: np.stack(parts(name)) if entries else np.zeros((0, num_experts)) for name in BY_EXPERT},
    }


def _pointers(parts: list[IntArray]) -> IntArray:
    return np.concatenate([[0], np.cumsum([len(part) for part in parts], dtype=np.int64)]).astype(np.int64)


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

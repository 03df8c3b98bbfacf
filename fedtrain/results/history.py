"""The kept data of a round: its figures, which are one line of ``rounds.csv``, its quarantine and its alignment.

The data of one round are an entry, which is one small file. A checkpoint therefore never rewrites earlier rounds. All
entries together give rounds.csv, quarantine.csv and alignment.npz. The fitness of an alignment is not kept.
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
"""Arrays of an alignment with one value per expert. Prices are NaN if the solver gave none."""
ARRAYS = ("cohort", "pair_client", "pair_expert", *BY_EXPERT)
"""All arrays of a round: its clients, its aligned pairs, and the values per expert.

Clients are given by their index in the federation.
"""

DAMAGES = (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error)
"""The errors that reading a damaged file may raise."""


class Row(NamedTuple):
    """One round's line in ``rounds.csv``.

    Attributes
    ----------
    round
        Number of the round, counted from 1.
    accuracy, loss
        Accuracy and mean loss of the whole model on the test set, after the round.
    status, proof, gap, objective
        Status, kind of proof, gap and objective of the alignment, as checked by :func:`alignsolve.solve`.
    load_cv
        Coefficient of variation of the clients per expert. It counts all clients of the alignment, even those that drop
        out later.
    bytes_down, bytes_up
        Traffic of the whole cohort.
    solve_seconds, round_seconds
        Wall-clock time of solving, and of the whole round.
    clients
        Size of the cohort.
    dropped
        Number of clients that dropped out. Clients in ``late`` and ``out_of_memory`` are not counted again here.
    rejected
        Number of clients whose update was refused.
    softened
        1 if a soft load bound was broken, else 0.
    align_seconds
        Wall-clock time of aligning and observing, solving included.
    simulated_seconds
        Duration of the round on the clients' simulated devices: until the last client ended, or the deadline.
    late
        Number of clients that were not done at the deadline.
    out_of_memory
        Number of clients that could not hold their assigned experts.
    quarantined
        Number of clients whose replies were quarantined, including clients that were not asked.
    clock
        Simulated seconds from the start of the run to the end of this round, including the time spent waiting for
        clients.
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
        """Number of clients whose updates were merged. Clients without an assigned expert are counted as well."""
        return self.clients - self.dropped - self.rejected - self.late - self.out_of_memory


class PutAside(NamedTuple):
    """A line of ``quarantine.csv``: a client whose reply was not merged, and the reason."""

    round: int
    client: int
    reason: str


@dataclass(frozen=True, eq=False)
class Round:
    """The outcome of one round.

    Attributes
    ----------
    row
        The figures of the round.
    cohort
        (row.clients,) client indices, ascending.
    solution
        The alignment; its row r is client ``cohort[r]``.
    quarantined
        The clients whose replies were quarantined, each with the reason, ascending.
    reports
        The report of every client that was assigned an expert, in the cohort's order.
    """

    row: Row
    cohort: IntArray
    solution: Solution
    quarantined: Sequence[tuple[int, str]]
    reports: Sequence[Report]


class Entry(NamedTuple):
    """The kept data of a round.

    Attributes
    ----------
    row, quarantined
        The figures and the quarantined clients, as in :class:`Round`.
    arrays
        The arrays of the alignment, under the names in ``ARRAYS``.
    """

    row: Row
    quarantined: tuple[tuple[int, str], ...]
    arrays: Mapping[str, npt.NDArray[Any]]


def entry_of(done: Round) -> Entry:
    """Return the entry of a round: the part that is kept."""
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
    """Write an entry as an .npz file. Its row and its quarantine are stored in it as JSON."""
    words = json.dumps(
        {"row": entry.row._asdict(), "quarantined": entry.quarantined}, default=lambda value: value.item()
    )
    atomic.replace_arrays(path, words=np.array(words, dtype=np.str_), **entry.arrays)


def load_entry(path: Path) -> Entry:
    """Read an entry.

    Raises
    ------
    One of ``DAMAGES``
        If the file is damaged, or was not written by :func:`save_entry`.
    """
    with path.open("rb") as file, np.lib.npyio.NpzFile(file, allow_pickle=False) as stored:
        words = json.loads(str(stored["words"]))
        arrays = {name: stored[name] for name in ARRAYS}
    quarantined = tuple((client, reason) for client, reason in words["quarantined"])
    return Entry(Row(**words["row"]), quarantined, arrays)


def alignment_arrays(entries: Sequence[Entry], num_experts: int) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of ``alignment.npz`` that hold values per round."""

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
    """Return the start of each part in their concatenation, and the end of the last one."""
    return np.concatenate([[0], np.cumsum([len(part) for part in parts], dtype=np.int64)]).astype(np.int64)


def load_variation(solution: Solution) -> float:
    """Return the coefficient of variation of an alignment's loads, the clients per expert."""
    assert solution.loads is not None  # align() raises if there is no alignment
    return variation(solution.loads)


def variation(loads: FloatArray) -> float:
    """Return the coefficient of variation of loads over the experts; 0 if all loads are 0.

    Examples
    --------
    >>> import numpy as np
    >>> variation(np.array([1.0, 3.0])), variation(np.zeros(2))
    (0.5, 0.0)
    """
    mean = loads.mean()
    return float(loads.std() / mean) if mean > 0.0 else 0.0

"""What is kept of every round: its row, its quarantine and its alignment, without the fitness that it came from.

An entry is one small file, so that a checkpoint need not write again what earlier rounds wrote; all entries together
are rounds.csv, quarantine.csv and alignment.npz.
"""

import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alignsolve.numerics import IntArray
from fedtrain.results.row import Round, Row

BY_EXPERT = ("loads", "capacity", "demand", "prices")
"""Arrays of an alignment that have a value for every expert; prices are NaN where the solver gave none."""
ARRAYS = ("cohort", "pair_client", "pair_expert", *BY_EXPERT)
"""All arrays of a round: its clients, who was assigned what (clients by their index in the federation), the bounds."""

DAMAGES = (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error)
"""What reading a damaged file may raise."""


class Entry(NamedTuple):
    """What is kept of a round.

    Attributes
    ----------
    row, quarantined
        As in :class:`fedtrain.results.row.Round`.
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
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, words=np.array(words, dtype=np.str_), **entry.arrays)


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

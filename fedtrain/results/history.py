"""What is kept of every round: its row, its quarantine and its alignment, without the fitness that it came from.

An entry is one small file, so that a checkpoint need not write again what earlier rounds wrote; all entries together
are rounds.csv, quarantine.csv and alignment.npz.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from alignsolve.numerics import FloatArray, IntArray
from fedtrain.results.row import Round, Row
from fedtrain.server.reception import Quarantined

ARRAYS = ("cohort", "pair_client", "pair_expert", "loads", "capacity", "demand", "prices")


@dataclass(frozen=True, eq=False)
class Entry:
    """What is kept of a round.

    Attributes
    ----------
    row, quarantined
        As in :class:`fedtrain.results.row.Round`.
    cohort
        (row.clients,) client indices, ascending.
    pair_client, pair_expert
        (num_pairs,) who was assigned what, clients by their index in the whole federation.
    loads, capacity, demand, prices
        (num_experts,) of the alignment; prices are NaN where the solver gave none.
    """

    row: Row
    quarantined: tuple[Quarantined, ...]
    cohort: IntArray
    pair_client: IntArray
    pair_expert: IntArray
    loads: FloatArray
    capacity: FloatArray
    demand: FloatArray
    prices: FloatArray


def entry_of(done: Round) -> Entry:
    """Take from a round what is kept."""
    solution = done.solution
    assert solution.assigned is not None  # a round without an alignment raises
    nothing = np.full(solution.problem.shape[1], np.nan)
    return Entry(
        row=done.row,
        quarantined=tuple(done.quarantined),
        cohort=done.cohort,
        pair_client=done.cohort[solution.assigned.clients()],
        pair_expert=solution.assigned.experts,
        loads=_floats(solution.loads, nothing),
        capacity=_floats(solution.problem.expert_capacity, nothing),
        demand=_floats(solution.problem.expert_demand, nothing),
        prices=_floats(solution.prices, nothing),
    )


def save_entry(path: Path, entry: Entry) -> None:
    """Write an entry as .npz, its row and quarantine as JSON within."""
    words = json.dumps({"row": entry.row._asdict(), "quarantined": entry.quarantined}, default=_plain)
    arrays: dict[str, npt.NDArray[Any]] = {name: getattr(entry, name) for name in ARRAYS}
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, words=np.array(words, dtype=np.str_), **arrays)


def load_entry(path: Path) -> Entry:
    """Read an entry.

    Raises
    ------
    ValueError, KeyError, OSError
        If the file is not one that :func:`save_entry` wrote.
    """
    with path.open("rb") as file, np.lib.npyio.NpzFile(file, allow_pickle=False) as stored:
        words = json.loads(str(stored["words"]))
        arrays = {name: stored[name] for name in ARRAYS}
    quarantined = tuple(Quarantined(client, reason) for client, reason in words["quarantined"])
    return Entry(row=Row(**words["row"]), quarantined=quarantined, **arrays)


def alignment_arrays(entries: Sequence[Entry], num_experts: int) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of ``alignment.npz`` that are by round."""

    def by_expert(name: str) -> FloatArray:
        rows = [getattr(entry, name) for entry in entries]
        return np.stack(rows) if rows else np.zeros((0, num_experts))

    return {
        "rounds": np.array([entry.row.round for entry in entries], dtype=np.int64),
        "cohort_ptr": _pointers([entry.cohort for entry in entries]),
        "cohort": _joined([entry.cohort for entry in entries]),
        "pair_ptr": _pointers([entry.pair_client for entry in entries]),
        "pair_client": _joined([entry.pair_client for entry in entries]),
        "pair_expert": _joined([entry.pair_expert for entry in entries]),
        **{name: by_expert(name) for name in ("loads", "capacity", "demand", "prices")},
    }


def _floats(values: Any, otherwise: FloatArray) -> FloatArray:
    return otherwise if values is None else np.asarray(values, dtype=np.float64)


def _plain(value: Any) -> Any:
    """Turn a number of numpy's into Python's."""
    return value.item()


def _pointers(parts: list[IntArray]) -> IntArray:
    return np.concatenate([[0], np.cumsum([len(part) for part in parts], dtype=np.int64)]).astype(np.int64)


def _joined(parts: list[IntArray]) -> IntArray:
    return np.concatenate([np.zeros(0, dtype=np.int64), *parts])

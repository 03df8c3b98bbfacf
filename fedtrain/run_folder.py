"""A run's folder: made before anything is trained, one line after every round, the rest when the run ends.

Rows are flushed to the file as they come, so that whatever stops a run, the rounds that it did can be read. The other
files are written beside themselves and renamed, so that there is never half of one. Nothing is pickled.
"""

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.torch

from alignsolve.numerics import FloatArray, IntArray
from fedtrain.config import RunConfig
from fedtrain.config_file import to_toml
from fedtrain.models import Tensors
from fedtrain.row import Round, Row
from fedtrain.server import Federation

FILES = ("config.toml", "rounds.csv", "alignment.npz", "model.safetensors", "report.html")
"""What a run writes, and all that ``overwrite`` removes."""


class RunFolderError(RuntimeError):
    """The folder cannot be used; the message says why, and what to do."""


class RunFolder:
    """An open run folder, a context manager.

    Parameters
    ----------
    path
        The folder; it is made, with its parents.
    config
        Written at once.
    overwrite
        Whether an earlier run's files there may be removed; whatever else lies there stays.

    Raises
    ------
    RunFolderError
        If the folder exists and ``overwrite`` is False, or it cannot be written.
    """

    def __init__(self, path: Path, config: RunConfig, *, overwrite: bool = False) -> None:
        self.path = path
        if not overwrite and (path.exists() or path.is_symlink()):
            raise RunFolderError(f"{path} exists; choose another name (--set name=…) or pass --overwrite")
        with writing(path):
            path.mkdir(parents=True, exist_ok=True)
            for name in FILES:
                (path / name).unlink(missing_ok=True)
            (path / "config.toml").write_text(to_toml(config), encoding="utf-8")
            self._rows: TextIO = (path / "rounds.csv").open("w", encoding="utf-8", newline="")
        self._write_line(Row._fields)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._rows.close()

    def append(self, row: Row) -> None:
        """Write a round's line; it is in the file when this returns."""
        self._write_line(row)

    def _write_line(self, fields: Sequence[object]) -> None:
        with writing(self.path / "rounds.csv"):
            csv.writer(self._rows, lineterminator="\n").writerow(fields)
            self._rows.flush()

    def write_model(self, tensors: Tensors) -> None:
        """Write ``model.safetensors``, the whole model."""
        self._replace("model.safetensors", lambda path: safetensors.torch.save_file(tensors, path))

    def write_alignment(self, federation: Federation, rounds: Sequence[Round]) -> None:
        """Write ``alignment.npz``: who trained what, with bounds and prices, by round."""
        arrays = _alignment_arrays(federation, rounds)

        def write(path: Path) -> None:
            with path.open("wb") as file:
                np.savez_compressed(file, allow_pickle=False, **arrays)

        self._replace("alignment.npz", write)

    def _replace(self, name: str, write: Callable[[Path], None]) -> None:
        part = self.path / f".{name}.part"
        with writing(self.path / name):
            write(part)
            os.replace(part, self.path / name)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what goes wrong while ``path`` is written into an error that names it."""
    try:
        yield
    except (OSError, safetensors.SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RunFolderError(f"cannot write {getattr(error, 'filename', None) or path}: {reason}") from error


def _alignment_arrays(federation: Federation, rounds: Sequence[Round]) -> dict[str, npt.NDArray[Any]]:
    num_experts = federation.spec.num_experts
    pairs = [_pairs(done) for done in rounds]
    problems = [done.solution.problem for done in rounds]

    def by_expert(rows: list[FloatArray | None]) -> FloatArray:
        filled = [np.full(num_experts, np.nan) if row is None else row for row in rows]
        return np.stack(filled).astype(np.float64) if filled else np.zeros((0, num_experts))

    return {
        "rounds": np.array([done.row.round for done in rounds], dtype=np.int64),
        "num_clients": np.array(len(federation.clients), dtype=np.int64),
        "num_experts": np.array(num_experts, dtype=np.int64),
        "cohort_ptr": _pointers([done.cohort for done in rounds]),
        "cohort": _joined([done.cohort for done in rounds]),
        "pair_ptr": _pointers([clients for clients, _ in pairs]),
        "pair_client": _joined([clients for clients, _ in pairs]),
        "pair_expert": _joined([experts for _, experts in pairs]),
        "loads": by_expert([done.solution.loads for done in rounds]),
        "capacity": by_expert([problem.expert_capacity for problem in problems]),
        "demand": by_expert([problem.expert_demand for problem in problems]),
        "prices": by_expert([done.solution.prices for done in rounds]),
        "tier": federation.tier,
        "tier_names": np.array([tier.name for tier in federation.config.clients.tiers], dtype=np.str_),
        "label_counts": federation.label_counts,
    }


def _pairs(done: Round) -> tuple[IntArray, IntArray]:
    """Return a round's pairs: clients by their index in the whole federation, and experts."""
    alignment = done.solution.assigned
    assert alignment is not None  # a round without an alignment raises
    return done.cohort[alignment.clients()], alignment.experts


def _pointers(parts: list[IntArray]) -> IntArray:
    return np.concatenate([[0], np.cumsum([len(part) for part in parts], dtype=np.int64)]).astype(np.int64)


def _joined(parts: list[IntArray]) -> IntArray:
    return np.concatenate([np.zeros(0, dtype=np.int64), *parts])

"""A run's folder: made before anything is trained, a line and a checkpoint after every round, the rest when it ends.

Rows are flushed to the file as they come, so that whatever stops a run, the rounds that it did can be read; the
checkpoint comes first, so that on resuming they are written again from it, and none is missing or there twice. The
other files are written beside themselves and renamed, so that there is never half of one. Nothing is pickled.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

import numpy as np
import safetensors
import safetensors.torch

from fedtrain.config import ConfigError, RunConfig
from fedtrain.config.file import read_config, to_toml
from fedtrain.models import Tensors
from fedtrain.results import atomic
from fedtrain.results.history import Entry, alignment_arrays
from fedtrain.results.row import Row
from fedtrain.server import checkpoint
from fedtrain.server.federation import Federation, ServerState, initial_state

FILES = ("rounds.csv", "quarantine.csv", "alignment.npz", "model.safetensors", "report.html", "config.toml")
"""What a run writes, and with ``checkpoint/``, which a finished run removes, all that ``overwrite`` does away with."""

QUARANTINE = ("round", "client", "reason")
"""Columns of quarantine.csv."""


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
    resume
        Whether to go on with an earlier run of the same configuration, if there is one.

    Raises
    ------
    RunFolderError
        If the folder exists and neither ``overwrite`` nor ``resume`` is set, its run was configured otherwise, or it
        cannot be written.
    """

    def __init__(self, path: Path, config: RunConfig, *, overwrite: bool = False, resume: bool = False) -> None:
        self.path = path
        self.rows: TextIO | None = None
        self.quarantine: TextIO | None = None
        self.given = ""
        if resume and (path / "config.toml").exists():
            _check_same(path / "config.toml", config)
            return
        unused = resume and not any((path / name).exists() for name in FILES)
        if not (overwrite or unused) and (path.exists() or path.is_symlink()):
            raise RunFolderError(
                f"{path} exists; choose another name (--set name=…), pass --overwrite, or go on with it by --resume"
            )
        with writing(path):
            path.mkdir(parents=True, exist_ok=True)
            checkpoint.start(path / "checkpoint")
            for name in FILES[:-1]:
                (path / name).unlink(missing_ok=True)
            atomic.replace_text(path / "config.toml", to_toml(config))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in (self.rows, self.quarantine):
            if file is not None:
                file.close()

    @property
    def finished(self) -> bool:
        """Whether the run here was brought to its end: only then is there no checkpoint."""
        return not (self.path / "checkpoint").exists()

    def begin(self, federation: Federation) -> tuple[ServerState, list[Entry]]:
        """Return where to start and what was done before, and write that to rounds.csv and quarantine.csv.

        Raises
        ------
        RunFolderError
            If the checkpoint cannot be used, or the files cannot be written.
        """
        self.given = checkpoint.fingerprint(federation)
        try:
            found = checkpoint.load(self.path / "checkpoint", federation, self.given)
        except checkpoint.CheckpointError as error:
            raise RunFolderError(f"{error}; pass --overwrite to start again") from error
        state, entries = found or (initial_state(federation), [])
        self._write("rounds.csv", [Row._fields, *(entry.row for entry in entries)])
        self._write("quarantine.csv", [QUARANTINE, *(line for entry in entries for line in _quarantine(entry))])
        with writing(self.path):
            self.rows = (self.path / "rounds.csv").open("a", encoding="utf-8", newline="")
            self.quarantine = (self.path / "quarantine.csv").open("a", encoding="utf-8", newline="")
        return state, entries

    def append(self, entry: Entry, state: ServerState) -> None:
        """Write a round's checkpoint and its lines; they are in the files when this returns."""
        assert self.rows is not None  # begin() comes first
        assert self.quarantine is not None
        with writing(self.path / "checkpoint"):
            checkpoint.save(self.path / "checkpoint", state, entry, self.given)
        with writing(self.path / "rounds.csv"):
            self.rows.write(_csv([entry.row]))
            self.rows.flush()
        with writing(self.path / "quarantine.csv"):
            self.quarantine.write(_csv(_quarantine(entry)))
            self.quarantine.flush()

    def write_model(self, tensors: Tensors) -> None:
        """Write ``model.safetensors``, the whole model."""
        self._replace("model.safetensors", lambda path: safetensors.torch.save_file(tensors, path))

    def write_alignment(self, federation: Federation, entries: Sequence[Entry]) -> None:
        """Write ``alignment.npz``: who trained what, with bounds and prices, by round."""
        num_experts = federation.spec.num_experts
        arrays = {
            **alignment_arrays(entries, num_experts),
            "num_clients": np.array(len(federation.clients), dtype=np.int64),
            "num_experts": np.array(num_experts, dtype=np.int64),
            "tier": federation.fleet.tier,
            "tier_names": np.array(federation.fleet.tier_names, dtype=np.str_),
            "label_counts": federation.label_counts,
        }

        def write(path: Path) -> None:
            with path.open("wb") as file:
                np.savez_compressed(file, allow_pickle=False, **arrays)

        self._replace("alignment.npz", write)

    def finish(self) -> None:
        """Remove the checkpoint, or what is left of it: there is nothing to go on with."""
        with writing(self.path / "checkpoint"):
            for name in ("rounds.csv", "quarantine.csv"):
                atomic.sync(self.path / name)  # what could be written again until now
            atomic.remove_folder(self.path / "checkpoint")

    def _write(self, name: str, lines: Iterable[Sequence[object]]) -> None:
        with writing(self.path / name):
            atomic.replace_text(self.path / name, _csv(lines))

    def _replace(self, name: str, write: Callable[[Path], None]) -> None:
        with writing(self.path / name):
            atomic.replace_file(self.path / name, write)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what goes wrong while ``path`` is written into an error that names it."""
    try:
        yield
    except (OSError, safetensors.SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RunFolderError(f"cannot write {getattr(error, 'filename', None) or path}: {reason}") from error


def _check_same(path: Path, config: RunConfig) -> None:
    """Refuse to go on with a run that was configured otherwise."""
    try:
        before = _flat(asdict(read_config(path)))
    except ConfigError as error:
        raise RunFolderError(f"cannot resume: {error}") from error
    now = _flat(asdict(config))
    for key in before | now:
        if before.get(key) != now.get(key):
            raise RunFolderError(
                f"cannot resume: {key} was {before.get(key)!r} in {path} and is {now.get(key)!r} now; pass the "
                "configuration of the run, which that file is, or --overwrite to start again"
            )


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings by dotted key."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def _quarantine(entry: Entry) -> list[tuple[int, int, str]]:
    return [(entry.row.round, client, reason) for client, reason in entry.quarantined]


def _csv(lines: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()

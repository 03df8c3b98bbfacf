"""Writes a run's folder: made before training starts, lines and an entry after every round, the rest at the end.

Rows are flushed to the file as they come, so that whatever stops a run, the rounds that it did can be read; the
checkpoint comes first, so that on resuming they are written again from it, and none is missing or there twice. The
other files are written beside themselves and renamed, so that there is never half of one. Nothing is pickled.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch

from alignsolve.io import FileError
from alignsolve.numerics import IntArray
from fedtrain.config import ConfigError, RunConfig
from fedtrain.config.file import read_config, to_toml
from fedtrain.models import Tensors
from fedtrain.results import atomic
from fedtrain.results.history import DAMAGES, Entry, PutAside, Row, alignment_arrays, load_entry, save_entry

FILES = ("rounds.csv", "quarantine.csv", "alignment.npz", "model.safetensors", "report.html", "config.toml")
"""What a run writes, and with ``checkpoint/``, which a finished run removes, all that ``overwrite`` does away with."""

HEADERS: Mapping[str, Sequence[str]] = {"rounds.csv": Row._fields, "quarantine.csv": PutAside._fields}
"""The CSV files, to which every round adds lines, and their columns."""


class RunFolderError(RuntimeError):
    """The folder cannot be used; the message says why, and what to do."""


class RunFolder:
    """A run's folder.

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
        if resume and (path / "config.toml").exists():
            _check_same(path / "config.toml", config)
            return
        unused = resume and not any((path / name).exists() for name in FILES)
        if not (overwrite or unused) and (path.exists() or path.is_symlink()):
            raise RunFolderError(
                f"{path} exists; choose another name (--set name=…), pass --overwrite, or go on with it by --resume"
            )
        with writing(path):
            (self.checkpoint / "rounds").mkdir(parents=True, exist_ok=True)
            for old in [*self.checkpoint.glob("*-*"), *self.checkpoint.glob("rounds/*"), *self.checkpoint.glob(".*")]:
                atomic.remove(old)
            for name in FILES[:-1]:
                (path / name).unlink(missing_ok=True)
            atomic.replace_text(path / "config.toml", to_toml(config))

    @property
    def checkpoint(self) -> Path:
        """Where the states of an unfinished run are."""
        return self.path / "checkpoint"

    @property
    def finished(self) -> bool:
        """Whether the run here was brought to its end: only then is there no checkpoint."""
        return not self.checkpoint.exists()

    def begin(self, rounds_done: int) -> list[Entry]:
        """Read the entries of the rounds that were done, and write rounds.csv and quarantine.csv from them.

        Raises
        ------
        RunFolderError
            If an entry cannot be read, or the files cannot be written.
        """
        entries = []
        for number in range(1, rounds_done + 1):
            path = self._entry_path(number)
            try:
                entries.append(load_entry(path))
            except DAMAGES as error:
                raise RunFolderError(f"cannot read {path}: {error}; pass --overwrite to start again") from error
        for name, lines in _lines(entries).items():
            with writing(self.path / name):
                atomic.replace_text(self.path / name, csv_text([HEADERS[name], *lines]))
        return entries

    def keep(self, entry: Entry) -> None:
        """Write a round's entry, before the state of that round is saved."""
        path = self._entry_path(entry.row.round)
        with writing(path):
            save_entry(path, entry)

    def append(self, entry: Entry) -> None:
        """Write a round's lines; they are in the files when this returns."""
        for name, lines in _lines([entry]).items():
            with writing(self.path / name), (self.path / name).open("a", encoding="utf-8", newline="") as file:
                file.write(csv_text(lines))

    def write_model(self, tensors: Tensors) -> None:
        """Write ``model.safetensors``, the whole model."""
        path = self.path / "model.safetensors"
        with writing(path):
            atomic.replace_file(path, lambda part: safetensors.torch.save_file(tensors, part))

    def write_alignment(
        self, entries: Sequence[Entry], num_experts: int, tier: IntArray, tier_names: Sequence[str], labels: IntArray
    ) -> None:
        """Write ``alignment.npz``: who trained what, with bounds and prices, by round.

        Parameters
        ----------
        entries
            Of all rounds.
        num_experts
            Of the model.
        tier, tier_names
            (num_clients,) each client's kind of device, as a place in the names.
        labels
            (num_clients, num_classes) training examples per client and class.
        """
        arrays = {
            **alignment_arrays(entries, num_experts),
            "num_clients": np.array(len(tier), dtype=np.int64),
            "num_experts": np.array(num_experts, dtype=np.int64),
            "tier": tier,
            "tier_names": np.array(tier_names, dtype=np.str_),
            "label_counts": labels,
        }
        with writing(self.path / "alignment.npz"):
            atomic.replace_arrays(self.path / "alignment.npz", **arrays)

    def finish(self) -> None:
        """Remove the checkpoint, or what is left of it: there is nothing to go on with."""
        with writing(self.checkpoint):
            for name in HEADERS:
                atomic.sync(self.path / name)  # what could be written again until now
            atomic.remove_folder(self.checkpoint)

    def _entry_path(self, number: int) -> Path:
        return self.checkpoint / "rounds" / f"{number:06d}.npz"


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what goes wrong while ``path`` is written into an error that names it."""
    try:
        yield
    except (OSError, FileError, safetensors.SafetensorError) as error:
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


def _lines(entries: Sequence[Entry]) -> dict[str, Sequence[Sequence[object]]]:
    """Return what rounds add to each of the CSV files."""
    quarantined = [(entry.row.round, *line) for entry in entries for line in entry.quarantined]
    return {"rounds.csv": [entry.row for entry in entries], "quarantine.csv": quarantined}


def csv_text(lines: Iterable[Iterable[object]]) -> str:
    """Write lines of fields as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()

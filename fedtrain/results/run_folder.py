"""Writes a run's folder: it is made before training starts, extended after every round, and completed at the end.

Every round adds an entry to the checkpoint and then lines to the CSV files. The lines are in the files at once, so the
rounds of an interrupted run can be read. A resumed run rewrites the CSV files from the entries, so no line is missing
or duplicated. All other files are written atomically (:mod:`fedtrain.results.atomic`). Nothing is pickled.

Torch is loaded only to write the model, so that a report can be written again where torch is not installed.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from alignsolve.io import FileError
from alignsolve.numerics import IntArray
from fedtrain.config import ConfigError, RunConfig
from fedtrain.config.file import read_config, to_toml
from fedtrain.results import atomic
from fedtrain.results.history import DAMAGES, Entry, PutAside, Row, alignment_arrays, load_entry, save_entry

if TYPE_CHECKING:
    from fedtrain.models import Tensors

FILES = ("rounds.csv", "quarantine.csv", "alignment.npz", "model.safetensors", "report.html", "config.toml")
"""The files that a run writes. ``overwrite`` removes them and ``checkpoint/``, which a finished run removes itself."""

HEADERS: Mapping[str, Sequence[str]] = {"rounds.csv": Row._fields, "quarantine.csv": PutAside._fields}
"""The columns of the CSV files. Every round may add lines to these files."""


class RunFolderError(RuntimeError):
    """The folder cannot be used; the message gives the reason, and a remedy if there is one."""


class RunFolder:
    """A run's folder.

    Parameters
    ----------
    path
        The folder. It is made, with its parents.
    config
        The run's configuration. It is written at once.
    overwrite
        Whether an earlier run's files in the folder may be removed. All other files stay.
    resume
        Whether to go on with an earlier run of the same configuration, if there is one.

    Raises
    ------
    RunFolderError
        If the folder exists and neither ``overwrite`` nor ``resume`` is set; if its run has another configuration; or
        if it cannot be written.
    """

    def __init__(self, path: Path, config: RunConfig, *, overwrite: bool = False, resume: bool = False) -> None:
        self.path = path
        # Go on with an earlier run.
        if resume and (path / "config.toml").exists():
            _check_same(path / "config.toml", config)
            return
        # Refuse a folder that is in use, unless it may be overwritten.
        unused = resume and not any((path / name).exists() for name in FILES)
        if not (overwrite or unused) and (path.exists() or path.is_symlink()):
            raise RunFolderError(
                f"{path} exists; choose another name (--set name=…), pass --overwrite, or go on with it by --resume"
            )
        # Start a new run: make the folder, and remove the files of an earlier run.
        with writing(path):
            (self.checkpoint / "rounds").mkdir(parents=True, exist_ok=True)
            for old in [*self.checkpoint.glob("*-*"), *self.checkpoint.glob("rounds/*"), *self.checkpoint.glob(".*")]:
                atomic.remove(old)
            for name in FILES[:-1]:
                (path / name).unlink(missing_ok=True)
            atomic.replace_text(path / "config.toml", to_toml(config))

    @property
    def checkpoint(self) -> Path:
        """The folder with the states of an unfinished run."""
        return self.path / "checkpoint"

    @property
    def finished(self) -> bool:
        """Whether the run in this folder is finished. Only a finished run has no checkpoint."""
        return not self.checkpoint.exists()

    def begin(self, rounds_done: int) -> list[Entry]:
        """Read the entries of the rounds done, and write rounds.csv and quarantine.csv from them.

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
        """Write a round's entry. It must be written before the state of that round is saved."""
        path = self._entry_path(entry.row.round)
        with writing(path):
            save_entry(path, entry)

    def append(self, entry: Entry) -> None:
        """Append a round's lines to the CSV files. The lines are in the files when this returns."""
        for name, lines in _lines([entry]).items():
            with writing(self.path / name), (self.path / name).open("a", encoding="utf-8", newline="") as file:
                file.write(csv_text(lines))

    def write_model(self, tensors: "Tensors") -> None:
        """Write ``model.safetensors``, the whole model."""
        import safetensors.torch  # noqa: PLC0415  (the module's docstring says why)

        def write(part: Path) -> None:
            try:
                safetensors.torch.save_file(tensors, part)
            except safetensors.SafetensorError as error:  # a full disk, for example
                raise OSError(str(error)) from error

        path = self.path / "model.safetensors"
        with writing(path):
            atomic.replace_file(path, write)

    def write_alignment(
        self, entries: Sequence[Entry], num_experts: int, tier: IntArray, tier_names: Sequence[str], labels: IntArray
    ) -> None:
        """Write ``alignment.npz``: every round's aligned pairs, loads, load bounds and prices.

        Parameters
        ----------
        entries
            The entries of all rounds.
        num_experts
            Number of the model's experts.
        tier, tier_names
            (num_clients,) each client's device tier as an index into the names, and the names.
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
        """Mark the run as finished: remove its checkpoint, or the rest of a checkpoint that was partly removed."""
        with writing(self.checkpoint):
            for name in HEADERS:
                atomic.sync(self.path / name)  # without the checkpoint, these files cannot be written again
            atomic.remove_folder(self.checkpoint)

    def _entry_path(self, number: int) -> Path:
        return self.checkpoint / "rounds" / f"{number:06d}.npz"


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an error in writing ``path`` into a RunFolderError that names the file."""
    try:
        yield
    except (OSError, FileError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RunFolderError(f"cannot write {getattr(error, 'filename', None) or path}: {reason}") from error


def _check_same(path: Path, config: RunConfig) -> None:
    """Raise an error if the run in the folder has another configuration."""
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
    """Return nested settings as a flat dictionary with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def _lines(entries: Sequence[Entry]) -> dict[str, Sequence[Sequence[object]]]:
    """Return the lines that rounds add to each of the CSV files."""
    quarantined = [(entry.row.round, *line) for entry in entries for line in entry.quarantined]
    return {"rounds.csv": [entry.row for entry in entries], "quarantine.csv": quarantined}


def csv_text(lines: Iterable[Iterable[object]]) -> str:
    """Return lines of fields as CSV text."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()

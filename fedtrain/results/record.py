"""Reads a run folder, finished or not, for the report."""

import csv
import itertools
import math
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from alignsolve.numerics import BoolArray, FloatArray, IntArray
from fedtrain.config.file import read_toml
from fedtrain.results.history import BY_EXPERT, PutAside

WORDS = ("status", "proof")
"""Columns of rounds.csv that hold words. All other columns hold numbers."""


@dataclass(frozen=True)
class Rounds:
    """The content of rounds.csv.

    Attributes
    ----------
    columns
        The columns by name, in the file's order: float64 arrays (NaN for an empty field), or lists of words.
    incomplete
        Whether the last line was only partly written. It is left out then.
    """

    columns: Mapping[str, Any]
    incomplete: bool

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def numbers(self, column: str) -> FloatArray:
        """Return a column of numbers; all NaN if the run did not write this column."""
        values: FloatArray = self.columns.get(column, np.full(len(self), np.nan))
        return values

    def total(self, column: str) -> float:
        """Return the sum of a column of numbers, without its NaN values."""
        return float(np.nansum(self.numbers(column)))

    @cached_property
    def proven(self) -> BoolArray:
        """(num_rounds,) True for each round whose alignment was proven optimal."""
        words = zip(self.columns.get("status", ()), self.columns.get("proof", ()), strict=True)
        proven = [status == "OPTIMAL" and proof in ("PRICES", "TREE", "SOLVER") for status, proof in words]
        return np.array(proven, dtype=np.bool_)


@dataclass(frozen=True)
class Alignments:
    """The content of alignment.npz: the alignment of every round.

    Attributes
    ----------
    num_clients, num_experts
        Number of clients in the federation, and of experts in the model.
    rounds
        (num_rounds,) round numbers, as in rounds.csv.
    cohort
        Per round, the clients that took part.
    pair_client, pair_expert
        Per round, the aligned pairs.
    loads, capacity, demand, prices
        (num_rounds, num_experts) float64. Without a bound, capacity is inf and demand is 0.
    tier
        (num_clients,) index into ``tier_names``.
    label_counts
        (num_clients, num_classes) examples per class.
    """

    num_clients: int
    num_experts: int
    rounds: IntArray
    cohort: list[IntArray]
    pair_client: list[IntArray]
    pair_expert: list[IntArray]
    loads: FloatArray
    capacity: FloatArray
    demand: FloatArray
    prices: FloatArray
    tier: IntArray
    tier_names: list[str]
    label_counts: IntArray


@dataclass(frozen=True)
class RunRecord:
    """The content of a run folder.

    Attributes
    ----------
    name
        Name of the run; if it has none, the name of its folder.
    config
        config.toml as text; empty if the file is missing.
    planned
        Number of configured rounds; None if it is not known.
    rounds, alignments
        The rounds and the alignments; alignments are None if alignment.npz is missing.
    model_bytes
        Size of the whole model's tensors; None if the model was not written.
    put_aside
        The quarantined replies, in the file's order.
    """

    name: str
    config: str
    planned: int | None
    rounds: Rounds
    alignments: Alignments | None
    model_bytes: int | None
    put_aside: tuple[PutAside, ...] = ()

    @cached_property
    def whole_model_traffic(self) -> FloatArray | None:
        """(num_rounds,) traffic of the rounds if every client exchanged the whole model; None if it is not known."""
        # Clients that dropped out or ran out of memory download the model and upload nothing.
        downloads = self.rounds.numbers("clients")
        gone = self.rounds.numbers("dropped") + np.nan_to_num(self.rounds.numbers("out_of_memory"))
        traffic = (2 * downloads - gone) * (self.model_bytes or np.nan)
        return traffic if len(traffic) and np.isfinite(traffic).all() else None


def read_record(run_dir: Path) -> RunRecord:
    """Read a run folder. Files that an interrupted run has not written count as empty.

    Raises
    ------
    ValueError
        If a file is damaged or was not written by a run; the message names the file and the place.
    """
    path = run_dir / "config.toml"
    settings = read_toml(path) if path.exists() else {}
    return RunRecord(
        name=str(settings.get("name") or run_dir.resolve().name),
        config=path.read_text(encoding="utf-8") if path.exists() else "",
        planned=settings.get("rounds"),
        rounds=_read_rounds(run_dir / "rounds.csv"),
        alignments=_read_alignments(run_dir / "alignment.npz"),
        model_bytes=_read_model_bytes(run_dir / "model.safetensors"),
        put_aside=_read_quarantine(run_dir / "quarantine.csv"),
    )


def _read_rounds(path: Path) -> Rounds:
    """Read rounds.csv, column by column; a missing file has no columns."""
    (header, *rows), incomplete = _read_lines(path)
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise ValueError(f"{path}, line {number}: {len(row)} fields, the header has {len(header)}")
    columns: dict[str, Any] = {}
    for position, name in enumerate(header):
        fields = [row[position] for row in rows]
        columns[name] = fields if name in WORDS else _numbers(path, name, fields)
    return Rounds(columns, incomplete)


def _read_quarantine(path: Path) -> tuple[PutAside, ...]:
    """Read the lines of quarantine.csv; a missing file has none."""
    (_, *lines), _ = _read_lines(path)
    for number, line in enumerate(lines, start=2):
        if len(line) != len(PutAside._fields) or not (line[0].isdigit() and line[1].isdigit()):
            raise ValueError(f"{path}, line {number}: {line!r} is not a round, a client and a reason")
    return tuple(PutAside(int(number), int(client), reason) for number, client, reason in lines)


def _read_lines(path: Path) -> tuple[list[list[str]], bool]:
    """Return the lines of a CSV file, the header first, and whether its last line is incomplete.

    An incomplete last line is left out.
    """
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        lines = list(csv.reader(text.splitlines()))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is not CSV text: {error}") from error
    incomplete = bool(text) and not text.endswith("\n")
    return (lines[:-1] if incomplete else lines) or [[]], incomplete


def _numbers(path: Path, name: str, fields: list[str]) -> FloatArray:
    """Convert a column's fields to numbers; an empty field becomes NaN."""
    values = np.empty(len(fields))
    for index, field in enumerate(fields):
        try:
            values[index] = float(field) if field else math.nan
        except ValueError:
            raise ValueError(f"{path}, line {index + 2}: {name} is {field!r}, which is not a number") from None
    return values


def _read_alignments(path: Path) -> Alignments | None:
    """Read alignment.npz; None if the file is missing."""
    if not path.exists():
        return None
    try:
        with path.open("rb") as file, np.lib.npyio.NpzFile(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (ValueError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise ValueError(f"{path} is not an .npz file of arrays, or damaged: {error}") from error
    # Check that all arrays are there, with the right shapes.
    ragged = {"cohort": "cohort_ptr", "pair_client": "pair_ptr", "pair_expert": "pair_ptr"}
    needed = {field.name for field in fields(Alignments)} | set(ragged.values())
    if missing := sorted(needed - arrays.keys()):
        raise ValueError(f"{path} lacks {', '.join(missing)}")
    size = (len(arrays["rounds"]), int(arrays["num_experts"]))
    for name in BY_EXPERT:
        if arrays[name].shape != size:
            raise ValueError(f"{path}: {name} has shape {arrays[name].shape}, expected (rounds, experts) = {size}")
    # Cut the concatenated arrays into one array per round.
    read: dict[str, Any] = {name: arrays[name] for name in ("rounds", *BY_EXPERT, "tier", "label_counts")}
    for name, pointers in ragged.items():
        read[name] = [arrays[name][start:stop] for start, stop in itertools.pairwise(arrays[pointers])]
    read |= {name: int(arrays[name]) for name in ("num_clients", "num_experts")}
    return Alignments(**read, tier_names=[str(name) for name in arrays["tier_names"]])


def _read_model_bytes(path: Path) -> int | None:
    """Return the size of a safetensors file's tensors: the file without its header.

    The first 8 bytes of the file hold the length of the rest of the header.
    """
    if not path.exists():
        return None
    with path.open("rb") as file:
        header = int.from_bytes(file.read(8), "little")
    size = path.stat().st_size - 8 - header
    if size < 0:
        raise ValueError(f"{path} is not a whole safetensors file")
    return size

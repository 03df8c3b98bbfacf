"""Reads a run folder, finished or not; the report is made from it."""

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
"""Columns of rounds.csv that hold words; all others hold numbers."""


@dataclass(frozen=True)
class Rounds:
    """rounds.csv.

    Attributes
    ----------
    columns
        By name, in the file's order: float64 arrays (NaN where a field is empty), or lists of words.
    incomplete
        Whether the last line was cut off while it was written, and is left out.
    """

    columns: Mapping[str, Any]
    incomplete: bool

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def numbers(self, column: str) -> FloatArray:
        """Return a column of numbers; NaN everywhere if the run did not write it."""
        values: FloatArray = self.columns.get(column, np.full(len(self), np.nan))
        return values

    def total(self, column: str) -> float:
        """Sum of what is known of a column of numbers."""
        return float(np.nansum(self.numbers(column)))

    @cached_property
    def proven(self) -> BoolArray:
        """Which rounds' alignments were proven optimal, (num_rounds,)."""
        words = zip(self.columns.get("status", ()), self.columns.get("proof", ()), strict=True)
        proven = [status == "OPTIMAL" and proof in ("PRICES", "SOLVER") for status, proof in words]
        return np.array(proven, dtype=np.bool_)


@dataclass(frozen=True)
class Alignments:
    """alignment.npz: who trained what in every round.

    Attributes
    ----------
    rounds
        (num_rounds,) round numbers, as in rounds.csv.
    cohort
        Per round, the clients that took part.
    pair_client, pair_expert
        Per round, the aligned pairs.
    loads, capacity, demand, prices
        (num_rounds, num_experts) float64; capacity inf and demand 0 where there is no bound.
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
    """All of a run folder.

    Attributes
    ----------
    name
        Of the run, else of its folder.
    config
        config.toml as text; empty if there is none.
    planned
        Rounds that were configured; None if that is not known.
    rounds, alignments
        What was written; alignments are None if alignment.npz is missing.
    model_bytes
        Size of the whole model's tensors; None if it was not written.
    put_aside
        Replies that were quarantined, in the file's order.
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
        """What the rounds would have moved with every expert sent to and from every client, (num_rounds,); or None."""
        downloads = self.rounds.numbers("clients")
        gone = self.rounds.numbers("dropped") + np.nan_to_num(self.rounds.numbers("out_of_memory"))
        traffic = (2 * downloads - gone) * (self.model_bytes or np.nan)
        return traffic if len(traffic) and np.isfinite(traffic).all() else None


def read_record(run_dir: Path) -> RunRecord:
    """Read a run folder; a file that an interrupted run did not get to write counts as empty.

    Raises
    ------
    ValueError
        If rounds.csv or alignment.npz is not what a run writes; the message names the file and the place.
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
    (_, *lines), _ = _read_lines(path)
    for number, line in enumerate(lines, start=2):
        if len(line) != len(PutAside._fields) or not (line[0].isdigit() and line[1].isdigit()):
            raise ValueError(f"{path}, line {number}: {line!r} is not a round, a client and a reason")
    return tuple(PutAside(int(number), int(client), reason) for number, client, reason in lines)


def _read_lines(path: Path) -> tuple[list[list[str]], bool]:
    """Read a CSV file, its header first; return also whether its last line was cut off, which is then left out."""
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        lines = list(csv.reader(text.splitlines()))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is not CSV text: {error}") from error
    incomplete = bool(text) and not text.endswith("\n")
    return (lines[:-1] if incomplete else lines) or [[]], incomplete


def _numbers(path: Path, name: str, fields: list[str]) -> FloatArray:
    values = np.empty(len(fields))
    for index, field in enumerate(fields):
        try:
            values[index] = float(field) if field else math.nan
        except ValueError:
            raise ValueError(f"{path}, line {index + 2}: {name} is {field!r}, which is not a number") from None
    return values


def _read_alignments(path: Path) -> Alignments | None:
    if not path.exists():
        return None
    try:
        with path.open("rb") as file, np.lib.npyio.NpzFile(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (ValueError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise ValueError(f"{path} is not an .npz file of arrays, or damaged: {error}") from error
    ragged = {"cohort": "cohort_ptr", "pair_client": "pair_ptr", "pair_expert": "pair_ptr"}
    needed = {field.name for field in fields(Alignments)} | set(ragged.values())
    if missing := sorted(needed - arrays.keys()):
        raise ValueError(f"{path} lacks {', '.join(missing)}")
    size = (len(arrays["rounds"]), int(arrays["num_experts"]))
    for name in BY_EXPERT:
        if arrays[name].shape != size:
            raise ValueError(f"{path}: {name} has shape {arrays[name].shape}, expected (rounds, experts) = {size}")
    read: dict[str, Any] = {name: arrays[name] for name in ("rounds", *BY_EXPERT, "tier", "label_counts")}
    for name, pointers in ragged.items():
        read[name] = [arrays[name][start:stop] for start, stop in itertools.pairwise(arrays[pointers])]
    read |= {name: int(arrays[name]) for name in ("num_clients", "num_experts")}
    return Alignments(**read, tier_names=[str(name) for name in arrays["tier_names"]])


def _read_model_bytes(path: Path) -> int | None:
    """Return the size of a safetensors file's tensors: all but its header, whose length its first 8 bytes tell."""
    if not path.exists():
        return None
    with path.open("rb") as file:
        header = int.from_bytes(file.read(8), "little")
    size = path.stat().st_size - 8 - header
    if size < 0:
        raise ValueError(f"{path} is not a whole safetensors file")
    return size

"""The row of a run: one line of a CSV file has everything that is judged, curves included.

Curves are written with five significant digits, separated by spaces; a value that was not measured is a dash. So the
rows of thousands of runs are a small file, and a curve is read without the run's folder.
"""

import csv
import gzip
import io
import math
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from fedtrain.results import atomic

CURVES = ("accuracy", "loss", "personal", "worst", "seconds", "bytes")
"""Columns that hold one value per round."""


class Row(NamedTuple):
    """What is kept of a run.

    Attributes
    ----------
    key
        Name of the run: task, alignment, setting, seed, and a digest of everything that was configured.
    task, alignment, setting, seed
        Names in the plan.
    data
        Digest of the examples, the devices and the rounds of arrival.
    outcome
        ``finished``, or ``diverged``: the loss was no number, or grew far beyond its first value.
    wall, cpu
        Seconds on the clock, and of the processor.
    verdict_5, verdict
        What the aligner said after round 5 and after the last round.
    assigned_cv
        Variation of loads between experts, as assigned: mean over rounds.
    completed_cv
        Variation of loads between experts, as completed: over the whole run.
    probe_bytes
        Bytes of probes; they are in ``bytes``, too.
    accuracy, loss
        Of the whole model, per round.
    personal, worst
        Mean and least personalised accuracy per round, where it was measured.
    seconds, bytes
        Simulated seconds and bytes since the run began, per round.
    """

    key: str
    task: str
    alignment: str
    setting: str
    seed: int
    data: str
    outcome: str
    wall: float
    cpu: float
    verdict_5: str
    verdict: str
    assigned_cv: float
    completed_cv: float
    probe_bytes: int
    accuracy: tuple[float, ...]
    loss: tuple[float, ...]
    personal: tuple[float, ...]
    worst: tuple[float, ...]
    seconds: tuple[float, ...]
    bytes: tuple[float, ...]


def read_rows(path: Path) -> dict[str, Row]:
    """Read all rows of a file by key; none if there is no file.

    Raises
    ------
    ValueError
        If the file has other columns.
    """
    if not path.exists():
        return {}
    reader = csv.reader(io.StringIO(gzip.decompress(path.read_bytes()).decode()))
    if tuple(next(reader, ())) != Row._fields:
        raise ValueError(f"{path} was written by another version: its columns are not those of a row")
    return {line[0]: _row(line) for line in reader}


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write rows, sorted by key; equal rows give the same bytes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Row._fields)
    writer.writerows([_text(value) for value in row] for row in sorted(rows))
    packed = gzip.compress(text.getvalue().encode(), mtime=0)

    def write(part: Path) -> None:
        part.write_bytes(packed)

    atomic.replace_file(path, write)


def _row(line: list[str]) -> Row:
    named = dict(zip(Row._fields, line, strict=True))
    curves = {name: tuple(map(_number, named[name].split())) for name in CURVES}
    sizes = {len(curve) for curve in curves.values()}
    if len(sizes) != 1:
        raise ValueError(f"the row of {named['key']} has curves of different lengths: {sorted(sizes)}")
    numbers = {name: _number(named[name]) for name in ("wall", "cpu", "assigned_cv", "completed_cv")}
    whole = {name: int(named[name]) for name in ("seed", "probe_bytes")}
    return Row(**(named | curves | numbers | whole))  # type: ignore[arg-type]  # every field has its own type


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(map(_text, value))
    if isinstance(value, float):
        return "-" if math.isnan(value) else f"{value:.5g}"
    return str(value)


def _number(text: str) -> float:
    return math.nan if text == "-" else float(text)

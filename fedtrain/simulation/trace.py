"""Trace files: measured devices, one client a line, as CSV with a header.

Columns, in any order:

============== =========================================================================================
client         any name, each once
ms_per_example milliseconds of a forward pass of one example through one expert, above 0
memory_kib     memory for training, above 0
down_mbps      megabits per second, above 0
up_mbps        likewise
tier           optional: what the report calls this kind of device; ``trace`` if empty
joins          optional: round of arrival, 0 or more; empty: 0
available      optional: when the client is there, as ``start-end;start-end`` in seconds of simulated time, which
               repeat every ``clients.trace_period``; empty: always
============== =========================================================================================
"""

import csv
import itertools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from fedtrain.config.checks import ConfigError

NUMBERS = ("ms_per_example", "memory_kib", "down_mbps", "up_mbps")
REQUIRED = ("client", *NUMBERS)
OPTIONAL = ("tier", "joins", "available")

Windows = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class TraceRow:
    """One client of a trace; the attributes are the columns, ``joins`` None where the file says nothing."""

    client: str
    ms_per_example: float
    memory_kib: float
    down_mbps: float
    up_mbps: float
    tier: str
    joins: int | None
    windows: Windows | None


def read_trace(path: Path, *, period: float) -> list[TraceRow]:
    """Read a trace file.

    Raises
    ------
    ConfigError
        Naming the file and, where there is one, the line and the column.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = _header(path, next(reader, []))
            rows = [_row(_Line(path, reader.line_num, header, fields), period) for fields in reader if fields]
    except OSError as error:
        raise ConfigError(f"clients.trace: cannot read {path}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"clients.trace: {path} is not CSV text: {error}") from error
    seen: set[str] = set()
    for row in rows:
        if row.client in seen:
            raise ConfigError(f"clients.trace: {path} names client {row.client!r} twice")
        seen.add(row.client)
    return rows


def _header(path: Path, header: list[str]) -> list[str]:
    names = [name.strip() for name in header]
    missing = [name for name in REQUIRED if name not in names]
    unknown = [name for name in names if name not in REQUIRED + OPTIONAL]
    if missing:
        raise ConfigError(f"clients.trace: {path}, line 1: column {missing[0]} is missing")
    if unknown:
        known = ", ".join(REQUIRED + OPTIONAL)
        raise ConfigError(f"clients.trace: {path}, line 1: column {unknown[0]!r} is none of {known}")
    if len(set(names)) < len(names):
        raise ConfigError(f"clients.trace: {path}, line 1: a column is there twice")
    return names


class _Line:
    """A line's fields by column; refuses with its place."""

    def __init__(self, path: Path, number: int, header: list[str], fields: list[str]) -> None:
        self.place = f"clients.trace: {path}, line {number}"
        if len(fields) != len(header):
            raise ConfigError(f"{self.place}: {len(fields)} fields, the header has {len(header)}")
        self.fields = {name: field.strip() for name, field in zip(header, fields, strict=True)}

    def text(self, column: str) -> str:
        return self.fields.get(column, "")

    def refuse(self, column: str, rule: str) -> NoReturn:
        raise ConfigError(f"{self.place}, column {column}: {self.text(column)!r} is not {rule}")

    def above_zero(self, column: str) -> float:
        value = _number(self.text(column))
        if not 0.0 < value < math.inf:
            self.refuse(column, "a finite number above 0")
        return value


def _row(line: _Line, period: float) -> TraceRow:
    if not line.text("client"):
        line.refuse("client", "a name")
    joins = line.text("joins")
    if joins and not (joins.isascii() and joins.isdigit()):
        line.refuse("joins", "a round, 0 or more")
    return TraceRow(
        client=line.text("client"),
        **{column: line.above_zero(column) for column in NUMBERS},
        tier=line.text("tier") or "trace",
        joins=int(joins) if joins else None,
        windows=_windows(line, period),
    )


def _windows(line: _Line, period: float) -> Windows | None:
    text = line.text("available")
    if not text:
        return None
    windows = []
    for part in text.split(";"):
        start, _, end = part.partition("-")
        window = _number(start), _number(end)
        if not 0.0 <= window[0] < window[1] <= period:
            line.refuse("available", f"start-end;start-end with 0 <= start < end <= clients.trace_period = {period:g}")
        windows.append(window)
    if any(next_[0] < previous[1] for previous, next_ in itertools.pairwise(windows)):
        line.refuse("available", "ascending without overlap")
    return _joined(windows)


def _joined(windows: list[tuple[float, float]]) -> Windows:
    """Make one window of those that touch: nobody leaves in between."""
    joined = [windows[0]]
    for start, end in windows[1:]:
        if start == joined[-1][1]:
            joined[-1] = joined[-1][0], end
        else:
            joined.append((start, end))
    return tuple(joined)


def _number(text: str) -> float:
    """Read a number; NaN, which no rule accepts, if it is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan

"""Trace files: measured devices, one client a line, as CSV with a header.

Columns, in any order:

============== =========================================================================================
client         any name, each once
ms_per_example milliseconds of a forward pass of one example through one expert, above 0
memory_kib     memory for training, above 0
down_mbps      megabits per second, above 0
up_mbps        likewise
tier           optional: name of this kind of device in the report; ``trace`` if empty
joins          optional: round of arrival, 0 or more; empty: 0
available      optional: times at which the client is present, as ``start-end;start-end`` in seconds of simulated
               time. They repeat every ``clients.trace_period``. Empty: always
============== =========================================================================================
"""

import csv
import itertools
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from fedtrain.config.checks import ConfigError

NUMBERS = ("ms_per_example", "memory_kib", "down_mbps", "up_mbps")
REQUIRED = ("client", *NUMBERS)
OPTIONAL = ("tier", "joins", "available")

Windows = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class TraceRow:
    """One client of a trace; the attributes are the columns, ``windows`` is ``available``, and None means empty."""

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
        If the file is not a valid trace. The message names the file and, where known, the line and the column.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            _check_header(f"clients.trace: {path}, line 1", header)
            place = f"clients.trace: {path}, line "
            rows = [_row(f"{place}{reader.line_num}", header, fields, period) for fields in reader if fields]
    except OSError as error:
        raise ConfigError(f"clients.trace: cannot read {path}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"clients.trace: {path} is not CSV text: {error}") from error
    names = Counter(row.client for row in rows)
    for name, count in names.items():
        if count > 1:
            raise ConfigError(f"clients.trace: {path} names client {name!r} twice")
    return rows


def _check_header(place: str, names: list[str]) -> None:
    missing = [name for name in REQUIRED if name not in names]
    unknown = [name for name in names if name not in REQUIRED + OPTIONAL]
    if missing:
        raise ConfigError(f"{place}: column {missing[0]} is missing")
    if unknown:
        raise ConfigError(f"{place}: column {unknown[0]!r} is none of {', '.join(REQUIRED + OPTIONAL)}")
    if len(set(names)) < len(names):
        raise ConfigError(f"{place}: a column is there twice")


def _row(place: str, header: list[str], fields: list[str], period: float) -> TraceRow:
    """Read one line; ``place`` names the file and the line for error messages."""
    if len(fields) != len(header):
        raise ConfigError(f"{place}: {len(fields)} fields, the header has {len(header)}")
    text = dict.fromkeys(OPTIONAL, "") | {name: field.strip() for name, field in zip(header, fields, strict=True)}

    def check(column: str, holds: bool, rule: str) -> None:
        if not holds:
            raise ConfigError(f"{place}, column {column}: {text[column]!r} is not {rule}")

    check("client", text["client"] != "", "a name")
    # The figures.
    numbers = {column: _number(text[column]) for column in NUMBERS}
    for column, value in numbers.items():
        check(column, 0.0 < value < math.inf, "a finite number above 0")
    # The round of arrival and the time windows.
    joins, available = text["joins"], text["available"]
    check("joins", joins == "" or (joins.isascii() and joins.isdigit()), "a round, 0 or more")
    parts = [part.partition("-") for part in available.split(";")] if available else []
    windows = [(_number(start), _number(end)) for start, _, end in parts]
    rule = f"start-end;start-end with 0 <= start < end <= clients.trace_period = {period:g}"
    check("available", all(0.0 <= start < end <= period for start, end in windows), rule)
    ordered = all(one[1] <= after[0] for one, after in itertools.pairwise(windows))
    check("available", ordered, "ascending without overlap")
    return TraceRow(
        client=text["client"],
        **numbers,
        tier=text["tier"] or "trace",
        joins=int(joins) if joins else None,
        windows=_joined(windows) if windows else None,
    )


def _joined(windows: list[tuple[float, float]]) -> Windows:
    """Join windows that touch: the client does not leave between them."""
    joined = [windows[0]]
    for start, end in windows[1:]:
        if start == joined[-1][1]:
            joined[-1] = joined[-1][0], end
        else:
            joined.append((start, end))
    return tuple(joined)


def _number(text: str) -> float:
    """Read a number; return NaN, which no rule accepts, if the text is not a number."""
    try:
        return float(text)
    except ValueError:
        return math.nan

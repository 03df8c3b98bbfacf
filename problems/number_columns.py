"""Reads named columns of a CSV file of measurements; a fault names the file, the line, the column and what to do."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np

from alignsolve.io import FileError
from alignsolve.numerics import FloatArray


@dataclass(frozen=True)
class Columns:
    """The columns that were asked for; the lines of a file are numbered from 1, the header's."""

    path: Path
    texts: Mapping[str, Sequence[str]]
    numbers: Mapping[str, FloatArray]
    lines: Sequence[int]

    def refuse(self, row: int | None, column: str, why: str) -> NoReturn:
        """Raise a FileError for a column, in one row or in the whole file (None)."""
        at = "" if row is None else f"line {self.lines[row]}, "
        raise FileError(self.path, f"{at}column {column!r} {why}")


def read_columns(
    path: Path, hint: str, *, texts: Sequence[str] = (), numbers: Sequence[str] = (), positive: bool = False
) -> Columns:
    """Read columns by their names.

    Parameters
    ----------
    path
        The CSV file, with a header.
    hint
        What to do if the file is missing.
    texts, numbers
        Columns to read; others are ignored.
    positive
        Whether all numbers must be above 0.

    Raises
    ------
    FileError
        If the file is missing or empty, lacks a column, or holds something else than a finite number.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = csv.DictReader(file)
            header = lines.fieldnames or []
            missing = [name for name in (*texts, *numbers) if name not in header]
            if missing:
                had = ", ".join(header) or "none"
                raise FileError(path, f"lacks the column {missing[0]!r} (it has: {had}); rename or add the column")
            rows = [(lines.line_num, row) for row in lines]
    except OSError as error:
        raise FileError(path, f"cannot be read: {error.strerror or error}; {hint}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise FileError(path, f"is not a CSV file in UTF-8: {error}; save the table as 'CSV UTF-8'") from error
    if not rows:
        raise FileError(path, f"has no rows; {hint}")
    found = Columns(
        path,
        {name: [row[name] or "" for _, row in rows] for name in texts},
        {name: np.array([_number(row[name]) for _, row in rows]) for name in numbers},
        [line for line, _ in rows],
    )
    for name, values in found.numbers.items():
        bad = np.flatnonzero(~np.isfinite(values) | (values <= 0.0 if positive else False))
        if len(bad):
            k = int(bad[0])
            wanted = "a number above 0" if positive else "a finite number"
            found.refuse(k, name, f"is {rows[k][1][name]!r}; it must be {wanted}")
    return found


def _number(cell: str | None) -> float:
    try:
        return float(cell or "")
    except ValueError:
        return math.nan

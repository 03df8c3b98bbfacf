"""Problems as MPS and LP files, for every solver that reads these formats.

Floats are written with all their digits, so that reading gives the same floats. HiGHS's own writer does not do this.
highspy 1.14 writes 15 digits in both formats: 0.1 + 0.2 is read back as 0.3, and 1/3 as another number. In its LP files
a row with two bounds is read back as an equation with one more column. So the lines are written here.
"""

import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from alignsolve import AlignmentProblem
from problems.linear import LinearProgram, linear_program

TERMS_PER_LINE = 8
"""LP files have lines of a bounded length."""


def write(problem: AlignmentProblem, path: str | os.PathLike[str]) -> None:
    """Write a problem of either class as a mixed-integer program, maximising; the suffix decides the format.

    Parameters
    ----------
    problem
        Pairs become binary columns ``x_i_j``. A row's name says whose bound it is.
    path
        ``*.mps`` (free format) or ``*.lp`` (CPLEX format). An existing file is replaced.

    Raises
    ------
    ValueError
        If the path has another suffix.
    """
    target = Path(path)
    lines = {".mps": _mps, ".lp": _lp}.get(target.suffix)
    if lines is None:
        raise ValueError(f"cannot write {target.name}: the suffix must be .mps or .lp")
    with target.open("w", encoding="ascii") as file:
        file.writelines(f"{line}\n" for line in lines(linear_program(problem)))


@dataclass(frozen=True)
class _MpsRow:
    """A row in MPS form; ``range``, if it is given, is the distance from ``bound`` to the row's other bound."""

    name: str
    sense: str
    bound: float
    range: float | None = None


def _mps(program: LinearProgram) -> Iterator[str]:
    written = [_mps_rows(*row) for row in _rows(program)]
    rows = [row for parts in written for row in parts]
    yield from ("NAME alignment", "OBJSENSE", "    MAX", "ROWS", " N objective")
    for row in rows:
        yield f" {row.sense} {row.name}"
    yield "COLUMNS"
    yield from _mps_columns(program, [[row.name for row in parts] for parts in written])
    yield "RHS"
    for row in rows:
        yield f"    RHS {row.name} {row.bound}"
    yield "RANGES"
    for row in rows:
        if row.range is not None:
            yield f"    RANGE {row.name} {row.range}"
    yield "BOUNDS"
    bounds = zip(program.column_names(), program.lower.tolist(), program.upper.tolist(), strict=True)
    for name, lower, upper in bounds:
        yield f" LO BOUND {name} {lower}"
        yield f" UP BOUND {name} {upper}" if math.isfinite(upper) else f" PL BOUND {name}"
    yield "ENDATA"


def _mps_rows(name: str, lower: float, upper: float) -> list[_MpsRow]:
    """Return one MPS row, no row without a bound, or two rows if no range gives both bounds exactly.

    Two rows are needed if the bounds cross, or if the difference of the bounds is rounded.
    """
    most, least = math.isfinite(upper), math.isfinite(lower)
    if lower == upper:
        return [_MpsRow(name, "E", upper)]
    if most and least and (lower > upper or upper - (upper - lower) != lower):
        return [_MpsRow(f"{name}_most", "L", upper), _MpsRow(f"{name}_least", "G", lower)]
    if most:
        return [_MpsRow(name, "L", upper, upper - lower if least else None)]
    return [_MpsRow(name, "G", lower)] if least else []


def _mps_columns(program: LinearProgram, written: list[list[str]]) -> Iterator[str]:
    """Yield every column's cost and entries; markers around the pairs declare them integer.

    Parameters
    ----------
    program
        Rows and columns.
    written
        The names under which each row is written; there are up to two per row.
    """
    start, index, value = program.start.tolist(), program.index.tolist(), program.value.tolist()
    columns = enumerate(zip(program.column_names(), program.cost.tolist(), strict=True))
    yield "    MARKER 'MARKER' 'INTORG'"
    for k, (name, cost) in columns:
        if k == len(program.clients):
            yield "    MARKER 'MARKER' 'INTEND'"
        yield f"    {name} objective {cost}"
        for at in range(start[k], start[k + 1]):
            for row in written[index[at]]:
                yield f"    {name} {row} {value[at]}"
    if len(program.cost) == len(program.clients):
        yield "    MARKER 'MARKER' 'INTEND'"


def _lp(program: LinearProgram) -> Iterator[str]:
    names = program.column_names()
    yield "Maximize"
    yield from _sum(" objective:", zip(program.cost.tolist(), names, strict=True), "")
    yield "Subject To"
    for name, lower, upper, terms in _rows_with_terms(program, names):
        if lower == upper:
            yield from _sum(f" {name}:", terms, f" = {upper}")
            continue
        if math.isfinite(upper):
            yield from _sum(f" {name}_most:", terms, f" <= {upper}")
        if math.isfinite(lower):
            yield from _sum(f" {name}_least:", terms, f" >= {lower}")
    yield "Bounds"
    for name, lower, upper in zip(names, program.lower.tolist(), program.upper.tolist(), strict=True):
        yield f" {lower} <= {name}" + (f" <= {upper}" if math.isfinite(upper) else "")
    yield "General"
    for name in names[: len(program.clients)]:
        yield f" {name}"
    yield "End"


def _rows(program: LinearProgram) -> Iterator[tuple[str, float, float]]:
    return zip(program.row_names(), program.row_lower.tolist(), program.row_upper.tolist(), strict=True)


def _rows_with_terms(
    program: LinearProgram, names: list[str]
) -> Iterator[tuple[str, float, float, list[tuple[float, str]]]]:
    """Yield rows with their entries, collected from the columns; an empty row gets one entry of 0."""
    columns = np.repeat(np.arange(len(program.cost)), np.diff(program.start))
    order = np.argsort(program.index, kind="stable")
    ends = np.searchsorted(program.index[order], np.arange(len(program.row_lower) + 1)).tolist()
    sorted_columns, values = columns[order].tolist(), program.value[order].tolist()
    for row, (name, lower, upper) in enumerate(_rows(program)):
        entries = range(ends[row], ends[row + 1])
        terms = [(values[at], names[sorted_columns[at]]) for at in entries]
        yield name, lower, upper, terms or [(0.0, names[0])]


def _sum(head: str, terms: Iterable[tuple[float, str]], tail: str) -> Iterator[str]:
    """Yield a linear expression, over several lines if it is long."""
    written = iter(f"{coefficient:+} {name}" for coefficient, name in terms)
    line = list(islice(written, TERMS_PER_LINE))
    while line:
        following = list(islice(written, TERMS_PER_LINE))
        yield f"{head} {' '.join(line)}" + ("" if following else tail)
        head, line = "   ", following

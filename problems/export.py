"""Problems as MPS and LP files, for every solver that reads them.

Floats are written so that they read back equal. HiGHS's own writer does not do that: highspy 1.14 writes 15 digits, so
that 0.1 + 0.2 comes back as 0.3 and 1/3 as another number, in both formats; and a row that is bounded on both sides
comes back from its LP files as an equation with one more column. So the lines are written here.
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
    """Write a problem of either class as a mixed-integer program, maximising; the suffix says in which format.

    Parameters
    ----------
    problem
        Pairs become binary columns ``x_i_j``; rows are named after what they bound.
    path
        ``*.mps`` (free format) or ``*.lp`` (CPLEX format). A file that exists is replaced.

    Raises
    ------
    ValueError
        For another suffix.
    """
    target = Path(path)
    lines = {".mps": _mps, ".lp": _lp}.get(target.suffix)
    if lines is None:
        raise ValueError(f"cannot write {target.name}: the suffix must be .mps or .lp")
    with target.open("w", encoding="ascii") as file:
        file.writelines(f"{line}\n" for line in lines(linear_program(problem)))


@dataclass(frozen=True)
class _MpsRow:
    """A row as MPS has it; a range, where there is one, is the distance of its other bound."""

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
    """One row, or none where nothing is bounded; two where no range says both bounds exactly, as of crossed ones."""
    most, least = math.isfinite(upper), math.isfinite(lower)
    if lower == upper:
        return [_MpsRow(name, "E", upper)]
    if most and least and (lower > upper or upper - (upper - lower) != lower):
        return [_MpsRow(f"{name}_most", "L", upper), _MpsRow(f"{name}_least", "G", lower)]
    if most:
        return [_MpsRow(name, "L", upper, upper - lower if least else None)]
    return [_MpsRow(name, "G", lower)] if least else []


def _mps_columns(program: LinearProgram, written: list[list[str]]) -> Iterator[str]:
    """Every column's cost and entries, the pairs between the marks that make them whole.

    Parameters
    ----------
    written
        The names under which each row is written.
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
    """Rows with their entries, read off the columns; a row without entries gets a column with coefficient 0."""
    columns = np.repeat(np.arange(len(program.cost)), np.diff(program.start))
    order = np.argsort(program.index, kind="stable")
    ends = np.searchsorted(program.index[order], np.arange(len(program.row_lower) + 1)).tolist()
    sorted_columns, values = columns[order].tolist(), program.value[order].tolist()
    for row, (name, lower, upper) in enumerate(_rows(program)):
        entries = range(ends[row], ends[row + 1])
        terms = [(values[at], names[sorted_columns[at]]) for at in entries]
        yield name, lower, upper, terms or [(0.0, names[0])]


def _sum(head: str, terms: Iterable[tuple[float, str]], tail: str) -> Iterator[str]:
    """A linear expression over several lines."""
    written = iter(f"{coefficient:+} {name}" for coefficient, name in terms)
    line = list(islice(written, TERMS_PER_LINE))
    while line:
        following = list(islice(written, TERMS_PER_LINE))
        yield f"{head} {' '.join(line)}" + ("" if following else tail)
        head, line = "   ", following

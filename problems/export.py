"""Problems as MPS and LP files, for every solver that reads them; floats are written so that they read back equal."""

import math
import os
from collections.abc import Iterable, Iterator
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


def _mps(program: LinearProgram) -> Iterator[str]:
    rows = [row for row in _rows(program) if math.isfinite(row[1]) or math.isfinite(row[2])]
    yield from ("NAME alignment", "OBJSENSE", "    MAX", "ROWS", " N objective")
    for name, lower, upper in rows:
        sense = "E" if lower == upper else "L" if math.isfinite(upper) else "G"
        yield f" {sense} {name}"
    yield "COLUMNS"
    yield from _mps_columns(program, {name for name, _, _ in rows})
    yield "RHS"
    for name, lower, upper in rows:
        yield f"    RHS {name} {upper if math.isfinite(upper) else lower}"
    yield "RANGES"
    for name, lower, upper in rows:
        if math.isfinite(lower) and math.isfinite(upper) and lower != upper:
            yield f"    RANGE {name} {upper - lower}"
    yield "BOUNDS"
    bounds = zip(program.column_names(), program.lower.tolist(), program.upper.tolist(), strict=True)
    for name, lower, upper in bounds:
        yield f" LO BOUND {name} {lower}"
        yield f" UP BOUND {name} {upper}" if math.isfinite(upper) else f" PL BOUND {name}"
    yield "ENDATA"


def _mps_columns(program: LinearProgram, written: set[str]) -> Iterator[str]:
    """Every column's cost and entries, the pairs between the marks that make them whole."""
    rows = program.row_names()
    start, index, value = program.start.tolist(), program.index.tolist(), program.value.tolist()
    columns = enumerate(zip(program.column_names(), program.cost.tolist(), strict=True))
    yield "    MARKER 'MARKER' 'INTORG'"
    for k, (name, cost) in columns:
        if k == len(program.clients):
            yield "    MARKER 'MARKER' 'INTEND'"
        yield f"    {name} objective {cost}"
        for at in range(start[k], start[k + 1]):
            if rows[index[at]] in written:
                yield f"    {name} {rows[index[at]]} {value[at]}"
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

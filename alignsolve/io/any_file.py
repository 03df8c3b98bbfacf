"""Reads a problem from a file of any kind, recognised by its content: a record, tables, DIMACS or OR-Library."""

import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Literal

from alignsolve.io import dimacs, orlib
from alignsolve.io.record_file import FileError
from alignsolve.io.records import load_problem
from alignsolve.io.tables import problem_from_tables
from alignsolve.problem import AlignmentProblem

Kind = Literal["npz", "json", "dimacs", "orlib", "csv"]
STANDARD_INPUT = "-"
LOOKED_AT = 1 << 16
"""Bytes at the beginning that show the kind."""
SPREADSHEETS = {".xlsx", ".xls", ".ods"}
NUMBERS = re.compile(rb"[\s\d.eE+-]+")


def read_problem(
    path: str | os.PathLike[str],
    clients: str | os.PathLike[str] | None = None,
    experts: str | os.PathLike[str] | None = None,
    sets: str | os.PathLike[str] | None = None,
) -> AlignmentProblem:
    """Read a problem from a file of any kind.

    Parameters
    ----------
    path
        A record of a problem (.npz or .json), a DIMACS file (``asn`` or ``min``), a GAP file of the OR-Library, or a
        CSV file of pairs. ``"-"`` is the standard input.
    clients, experts, sets
        CSV files of the clients, of the experts and of their sets, beside a CSV file of pairs.

    Raises
    ------
    ValueError
        If a file cannot be read. The message names the file, and the line where there is one.
    """
    if str(path) != STANDARD_INPUT:
        return _read(Path(path), (clients, experts, sets))
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "standard input"
        copy.write_bytes(sys.stdin.buffer.read())
        kind = kind_of(copy)
        if kind in ("npz", "json"):
            copy = copy.rename(copy.with_suffix(f".{kind}"))
        try:
            return _read(copy, (clients, experts, sets))
        except ValueError as error:
            raise ValueError(str(error).replace(str(copy), "standard input")) from error


def kind_of(path: Path) -> Kind:
    """Tell the kind of a problem file by its first bytes.

    Raises
    ------
    FileError
        If it cannot be read.
    """
    if path.suffix in {".npz", ".json"}:
        return "npz" if path.suffix == ".npz" else "json"
    try:
        with path.open("rb") as file:
            begin = file.read(LOOKED_AT)
    except OSError as error:
        raise FileError(path, f"cannot be read: {error.strerror or error}") from error
    if path.suffix.lower() in SPREADSHEETS:
        raise FileError(path, "is a file of a spreadsheet program; save the table as 'CSV UTF-8' there")
    text = begin.lstrip()
    if begin.startswith(b"PK"):
        return "npz"
    if text.startswith(b"{"):
        return "json"
    if re.match(rb"(c|p)(\s|$)", text, flags=re.MULTILINE):
        return "dimacs"
    return "orlib" if text and NUMBERS.fullmatch(text) else "csv"


def _read(path: Path, sides: tuple[str | os.PathLike[str] | None, ...]) -> AlignmentProblem:
    kind = kind_of(path)
    if kind != "csv" and any(side is not None for side in sides):
        raise FileError(path, f"is a file of kind {kind}; tables of clients and experts go with a CSV file of pairs")
    if kind == "dimacs":
        return dimacs.read(path)
    if kind == "orlib":
        return orlib.read(path)
    if kind == "csv":
        return problem_from_tables(path, *sides)
    return load_problem(path)

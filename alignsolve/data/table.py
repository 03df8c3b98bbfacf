"""A table of named columns: names as numbers with a list of labels, and numbers; each place has words for errors."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alignsolve.data.frames import is_frame, narwhals_frame
from alignsolve.data.names import Name, as_name, as_names, shown
from alignsolve.numerics import IntArray, RealArray


class NameColumn(NamedTuple):
    """A column of names.

    Attributes
    ----------
    codes
        (num_rows,) int64: which label each row has.
    labels
        The distinct names, in the order in which they first occur.
    """

    codes: IntArray
    labels: list[Name]


Column = NameColumn | RealArray
"""A column of names, or of numbers: integers, or floats with NaN where a cell is empty."""


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of one length.

    Attributes
    ----------
    source
        What errors call it, such as the name of a file.
    columns
        The columns by name.
    num_rows
        Rows, without the header.
    lines
        (num_rows,) the line of each row in its file; None: the rows follow a header in line 1.
    is_file
        Whether places are lines of a file; otherwise they are rows, counted from 0.
    """

    source: str
    columns: dict[str, Column]
    num_rows: int
    lines: IntArray | None = None
    is_file: bool = False

    def place(self, row: int, column: str = "") -> str:
        """Return the words for a cell or a row: ``pairs.csv, line 7, column fitness``."""
        line = row + 2 if self.lines is None else int(self.lines[row])
        where = f"{self.source}, {f'line {line}' if self.is_file else f'row {row}'}"
        return f"{where}, column {column}" if column else where

    def names(self, column: str) -> NameColumn:
        """Return a column of names."""
        found = self.columns[column]
        assert isinstance(found, NameColumn)
        return found

    def numbers(self, column: str) -> RealArray:
        """Return a column of numbers."""
        found = self.columns[column]
        assert isinstance(found, np.ndarray)
        return found


class Numbering:
    """Numbers names in the order in which they come, batch by batch."""

    def __init__(self) -> None:
        self.codes: dict[Any, int] = {}
        self.parts: list[IntArray] = []

    def add(self, cells: list[Any]) -> None:
        """Number one batch of cells."""
        codes = self.codes
        for cell in dict.fromkeys(cells):
            codes.setdefault(cell, len(codes))
        self.parts.append(np.fromiter(map(codes.__getitem__, cells), np.int64, len(cells)))

    def add_numbered(self, codes: IntArray, labels: list[Any]) -> None:
        """Add a batch that is numbered already: which of the distinct labels each cell is."""
        if not self.codes:
            self.codes = dict(zip(labels, range(len(labels)), strict=True))
            self.parts.append(codes)
            return
        known = np.array([self.codes.setdefault(label, len(self.codes)) for label in labels], dtype=np.int64)
        self.parts.append(known[codes])

    def column(self) -> NameColumn:
        """Return the column; cells that differ only by spaces around them are one name."""
        codes = np.concatenate(self.parts) if self.parts else np.zeros(0, dtype=np.int64)
        labels = as_names(self.codes)
        if len(set(labels)) == len(labels):
            return NameColumn(codes, labels)
        distinct = {label: k for k, label in enumerate(dict.fromkeys(labels))}
        return NameColumn(np.array([distinct[label] for label in labels], dtype=np.int64)[codes], list(distinct))


def number_names(cells: Iterable[Any]) -> NameColumn:
    """Number all names of a column."""
    numbering = Numbering()
    numbering.add(list(cells))
    return numbering.column()


def read_table(source: str, given: Any, names: Iterable[str]) -> Table:
    """Read a data frame, or a mapping from column names to columns.

    Parameters
    ----------
    source
        What errors call it.
    given
        A frame of pandas, polars or another library (by narwhals), or a mapping.
    names
        Columns that hold names; all others must hold numbers.

    Raises
    ------
    ValueError
        If columns have different lengths, or a cell that must be a number is none; the message names the place.
    ImportError
        If the frame is none of pandas, and narwhals is not installed.
    """
    raw = _raw_columns(source, given)
    lengths = {name: len(cells) for name, cells in raw.items()}
    num_rows = next(iter(lengths.values()), 0)
    odd = next((name for name, length in lengths.items() if length != num_rows), None)
    if odd is not None:
        raise ValueError(f"{source}: column {odd} has {lengths[odd]} rows, the first column has {num_rows}")
    table = Table(source, {}, num_rows)
    for name, cells in raw.items():
        table.columns[name] = number_names(cells) if name in names else _read_numbers(table, name, cells)
    return table


def _raw_columns(source: str, given: Any) -> dict[str, Any]:
    """Return the columns as lists or arrays."""
    if isinstance(given, Mapping):
        return {str(name): cells if isinstance(cells, np.ndarray) else list(cells) for name, cells in given.items()}
    if not is_frame(given):
        kind = type(given).__name__
        raise ValueError(f"{source} must be a data frame, a mapping of columns or the path of a CSV file, not {kind}")
    if hasattr(given, "index"):
        twice = [name for name in set(given.columns) if list(given.columns).count(name) > 1]
        if twice:
            raise ValueError(f"{source} has the column {twice[0]} twice")
        return {str(name): _cells(given[name]) for name in given.columns}
    frame = narwhals_frame(source, given)
    return {name: _cells(frame[name]) for name in frame.columns}


def _cells(column: Any) -> Any:
    """The cells of a frame's column: an array where it holds numbers without gaps, else a list."""
    values = column.to_numpy()
    return values if values.dtype.kind in "iufb" else values.tolist()


def _read_numbers(table: Table, name: str, cells: Any) -> RealArray:
    values = cells if isinstance(cells, np.ndarray) else np.array(_filled(cells))
    if values.dtype.kind == "b":
        return values.astype(np.int64)
    if values.dtype.kind in "iuf":
        return values
    for row, cell in enumerate(values.tolist()):
        try:
            float(cell)
        except (TypeError, ValueError):
            raise ValueError(f"{table.place(row, name)}: {cell!r:.40} is no number") from None
    return values.astype(np.float64)


def _filled(cells: list[Any]) -> list[Any]:
    """Replace what is missing by NaN."""
    return [np.nan if as_name(cell) == "" else cell for cell in cells]


def refuse_empty_names(table: Table, column: str) -> None:
    """Raise for a row whose name is empty."""
    codes, labels = table.names(column)
    if "" in labels:
        row = int(np.argmax(codes == labels.index("")))
        raise ValueError(f"{table.place(row, column)}: the name is empty; write a name, or remove the line")


def sorted_once(table: Table, keys: npt.NDArray[np.int64], what: tuple[str, ...]) -> IntArray:
    """Return the order of the rows by their keys, (num_rows,); ``what`` are the columns that make a key.

    Raises
    ------
    ValueError
        If two rows have one key; with both places.
    """
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    same = np.flatnonzero(ordered[1:] == ordered[:-1])
    if not len(same):
        return order
    place = same[np.argmin(order[same + 1])]
    first, second = int(order[place]), int(order[place + 1])
    words = ", ".join(f"{name} {shown(table.names(name).labels[table.names(name).codes[first]])}" for name in what)
    before = table.place(first).removeprefix(f"{table.source}, ")
    raise ValueError(f"{table.place(second)}: {words} is in {before} already; keep one of the two")

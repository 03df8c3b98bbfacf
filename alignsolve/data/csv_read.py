"""Reads CSV files fast, without any other package, and says line and column of what is wrong.

The file is read in blocks of whole lines. A block without quotes and empty lines, whose lines all have as many cells as
the header, is split at once; the places of separators, counted by numpy, show that it is one. All other blocks go
through Python's own :mod:`csv`. Cells are separated by commas, semicolons or tabs, as the header shows. With semicolons
or tabs, numbers may have decimal commas.
"""

import csv
import io
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import IO, NoReturn

import numpy as np

from alignsolve.data.table import Column, Numbering, Table
from alignsolve.numerics import IntArray, RealArray

BLOCK = 1 << 26
"""Bytes that are split at once."""
LARGE = 1 << 20
"""Bytes from which on compiled code reads a block."""
POWERS = np.array([10.0**k for k in range(23)] + [1.0] * 233)
"""Exact powers of ten; 1 for the places of a cell that is read otherwise."""
BOM = b"\xef\xbb\xbf"
SEPARATORS = (";", "\t", ",")


class CsvError(ValueError):
    """A CSV file that cannot be read; the message names the file, the line and the column."""


def read_csv(
    given: str | os.PathLike[str] | bytes,
    names: Collection[str],
    *,
    source: str = "",
    check: Callable[[str, Sequence[str]], None] | None = None,
) -> Table:
    """Read a CSV file with a header.

    Parameters
    ----------
    given
        The path, or the content of a file.
    names
        Columns that hold names; all others hold numbers, or empty cells.
    source
        What errors call it; default: the name of the file.
    check
        Called with what errors call the file, and the columns of its header, before any cell is read.

    Raises
    ------
    CsvError
        If the file cannot be read, is not UTF-8, has no header, a column twice, a line with more or fewer cells, or a
        cell that is no number.
    """
    if isinstance(given, bytes):
        return _Reader(source or "the input", names, check).read(io.BytesIO(given))
    path = Path(given)
    reader = _Reader(source or path.name, names, check)
    try:
        with path.open("rb") as file:
            return reader.read(file)
    except OSError as error:
        raise CsvError(f"{path}: cannot be read: {error.strerror or error}") from error


class _Reader:
    """Reads one file; ``line`` is the number of its lines that were read."""

    def __init__(
        self, source: str, names: Collection[str], check: Callable[[str, Sequence[str]], None] | None = None
    ) -> None:
        self.source, self.names, self.check = source, names, check
        self.line = 0
        self.header: list[str] = []
        self.separator = ","
        self.lines: list[IntArray] = []
        self.texts: dict[str, Numbering] = {}
        self.numbers: dict[str, list[RealArray]] = {}

    def read(self, file: IO[bytes]) -> Table:
        for block in _blocks(file):
            rest = block if self.header else self._read_header(block)
            if rest:
                self._read_block(rest)
        if not self.header:
            raise CsvError(f"{self.source} is empty; the first line must name the columns")
        columns: dict[str, Column] = {}
        for name in self.header:
            if name in self.texts:
                columns[name] = self.texts[name].column()
            else:
                columns[name] = np.concatenate(self.numbers[name]) if self.numbers[name] else np.zeros(0)
        lines = np.concatenate(self.lines) if self.lines else np.zeros(0, dtype=np.int64)
        return Table(self.source, columns, len(lines), lines, is_file=True)

    def _refuse(self, line: int, why: str, column: str = "") -> NoReturn:
        where = f"{self.source}, line {line}" + (f", column {column}" if column else "")
        raise CsvError(f"{where}: {why}")

    def _read_header(self, block: bytes) -> bytes:
        """Read the first line that is not empty; return the bytes after it."""
        if block.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise CsvError(f"{self.source} is UTF-16; save it as 'CSV UTF-8'")
        block = block.removeprefix(BOM)
        while block:
            first, _, block = block.partition(b"\n")
            self.line += 1
            text = self._decoded(first, self.line).strip("\r")
            if text.strip():
                break
        else:
            return b""
        self.separator = max(SEPARATORS, key=text.count)
        self.header = [cell.strip() for cell in next(csv.reader([text], delimiter=self.separator))]
        for k, name in enumerate(self.header):
            if not name:
                self._refuse(self.line, f"column {k + 1} has no name")
            if name in self.header[:k]:
                self._refuse(self.line, f"the column {name} is there twice")
        if self.check is not None:
            self.check(self.source, self.header)
        self.texts = {name: Numbering() for name in self.header if name in self.names}
        self.numbers = {name: [] for name in self.header if name not in self.names}
        return block

    def _decoded(self, block: bytes, line: int) -> str:
        try:
            return block.decode()
        except UnicodeDecodeError as error:
            at = line + block.count(b"\n", 0, error.start)
            self._refuse(at, f"byte 0x{block[error.start]:02x} is not UTF-8; save the file as 'CSV UTF-8'")

    def _read_block(self, block: bytes) -> None:
        first = self.line + 1
        plain = block.replace(b"\r\n", b"\n") if b"\r" in block else block
        plain = plain if plain.endswith(b"\n") and not plain.endswith(b"\n\n") else plain.rstrip(b"\n") + b"\n"
        count = int(np.count_nonzero(np.frombuffer(plain, dtype=np.uint8) == ord("\n")))
        self.line += count if len(plain) == len(block) else block.count(b"\n") + (not block.endswith(b"\n"))
        if len(plain) >= LARGE and self._scanned(plain, count, first):
            return
        text = self._decoded(block, first)
        if self._is_even(plain):
            width = len(self.header)
            cells = plain.decode().replace("\n", self.separator).split(self.separator)
            lines = np.arange(first, first + count)
            columns = [cells[k : count * width : width] for k in range(width)]
        else:
            columns, lines = self._by_csv(text, first)
        self.lines.append(lines)
        for name, cells in zip(self.header, columns, strict=True):
            if name in self.texts:
                self.texts[name].add(cells)
            else:
                self.numbers[name].append(self._as_numbers(name, cells, lines))

    def _scanned(self, block: bytes, count: int, first: int) -> bool:
        """Read a large block by compiled code; False, and nothing is read, if its lines are not even and plain."""
        from alignsolve.data.csv_compiled import EXACT, LEFT, scan  # noqa: PLC0415  (it compiles)

        if b'"' in block or b"\r" in block:
            return False
        is_name = [name in self.texts for name in self.header]
        found = scan(block, count, self.separator, is_name)
        if found is None:
            return False
        lines = np.arange(first, first + len(found.codes))
        for k, name in enumerate(self.texts):
            self.texts[name].add_numbered(found.codes[:, k], self._labels(block, found.first[k], first))
        for k, name in enumerate(self.numbers):
            digits, places = found.digits[:, k], found.places[:, k]
            left = np.flatnonzero(places == LEFT)
            if not len(left) and not places.any():
                self.numbers[name].append(digits.copy())
                continue
            values = digits / POWERS[places]
            rounded = (places == 0) & (np.abs(digits) > EXACT)
            if rounded.any():
                values[rounded] = digits[rounded].astype(np.float64)
            for row in left.tolist():
                rest = block[found.begins[row, k] : block.index(b"\n", found.begins[row, k])].decode(errors="replace")
                values[row] = self._as_number(name, rest.partition(self.separator)[0], int(lines[row]))
            self.numbers[name].append(values)
        self.lines.append(lines)
        return True

    def _labels(self, block: bytes, places: IntArray, first: int) -> list[str]:
        """Return the texts of cells, given by begin and end; refuse what is not UTF-8."""
        begins, ends = places.T.tolist()
        try:
            return [block[begin:end].decode() for begin, end in zip(begins, ends, strict=True)]
        except UnicodeDecodeError:
            self._decoded(block, first)
            raise

    def _is_even(self, block: bytes) -> bool:
        """Whether all lines have as many cells as the header, and none is quoted."""
        if b'"' in block or b"\r" in block:
            return False
        data = np.frombuffer(block, dtype=np.uint8)
        ends = data == ord("\n")
        found = np.flatnonzero(ends | (data == ord(self.separator)))
        width = len(self.header)
        if len(found) % width:
            return False
        last = ends[found].reshape(-1, width)
        even = last[:, -1].all() and not last[:, :-1].any()
        return bool(even) and (width > 1 or b"\n\n" not in block)

    def _by_csv(self, text: str, first: int) -> tuple[list[list[str]], IntArray]:
        """Read lines one by one; empty ones are left out."""
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=self.separator, strict=True)
        columns: list[list[str]] = [[] for _ in self.header]
        lines: list[int] = []
        begin = first
        try:
            for row in reader:
                if len(row) == len(self.header):
                    for cells, cell in zip(columns, row, strict=True):
                        cells.append(cell)
                    lines.append(begin)
                elif any(cell.strip() for cell in row):
                    self._refuse_width(begin, row)
                begin = first + reader.line_num
        except csv.Error as error:
            self._refuse(begin, f"this is no CSV: {error}")
        return columns, np.array(lines, dtype=np.int64)

    def _refuse_width(self, line: int, row: list[str]) -> NoReturn:
        wide = len(row) > len(self.header)
        hint = ""
        if wide and self.separator == ",":
            hint = "; if numbers have decimal commas, separate the columns by semicolons"
        self._refuse(line, f"there are {len(row)} cells, the header has {len(self.header)}{hint}")

    def _as_numbers(self, name: str, cells: list[str], lines: IntArray) -> RealArray:
        """Return the numbers of a column; integers where all are whole and written so, NaN for empty cells."""
        joined = "".join(cells)
        if "," in joined and "." not in joined:
            cells = [cell.replace(",", ".") for cell in cells]
        if "_" not in joined:
            try:
                return np.array(list(map(int, cells)), dtype=np.int64)
            except (ValueError, OverflowError):
                pass
            try:
                return self._finite_or_inf(np.array(list(map(float, cells))), name, cells, lines)
            except ValueError:
                pass
        values = [self._as_number(name, cell, line) for cell, line in zip(cells, lines.tolist(), strict=True)]
        return np.array(values, dtype=np.float64)

    def _finite_or_inf(self, values: RealArray, name: str, cells: list[str], lines: IntArray) -> RealArray:
        """Refuse texts that Python reads as NaN: an empty cell is the only way to say nothing."""
        if np.isnan(values).any():
            k = int(np.isnan(values).argmax())
            self._refuse(int(lines[k]), f"{cells[k]!r} is no number; leave the cell empty, or remove the line", name)
        return values

    def _as_number(self, name: str, cell: str, line: int) -> float:
        text = cell.strip()
        if not text:
            return np.nan
        if "," in text and "." in text:
            self._refuse(line, f"{text!r:.40} has a comma and a point; write it without separators of thousands", name)
        try:
            if "_" in text:
                raise ValueError
            value = float(text.replace(",", "."))
        except ValueError:
            self._refuse(line, f"{text!r:.40} is no number", name)
        if np.isnan(value):
            self._refuse(line, f"{text!r} is no number; leave the cell empty, or remove the line", name)
        return value


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the file in blocks of whole lines; a quoted cell is never cut."""
    rest = b""
    while chunk := file.read(BLOCK):
        rest += chunk
        end = rest.rfind(b"\n") + 1
        while end and b'"' in rest and rest.count(b'"', 0, end) % 2:
            end = rest.rfind(b"\n", 0, end - 1) + 1
        if end:
            yield rest[:end]
            rest = rest[end:]
    if rest:
        yield rest

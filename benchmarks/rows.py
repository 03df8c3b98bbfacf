"""Raw rows of measurements in an append-only CSV, with machine and commit. A race resumes from its rows."""

import csv
import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from alignsolve.numerics import Number, relative_gap
from benchmarks.case import Case
from benchmarks.machine import Machine, now
from benchmarks.trial import Trial

FINAL = ("refused", "timeout", "crashed", "nothing", "skipped")
"""Outcomes after which a contender is not run again. Not "missing": the package may have been installed since."""
LATER = ("resident_mb", "fitness_mb")
"""Columns that files of earlier versions lack."""


@dataclass(frozen=True)
class Row:
    """One repeat of one contender on one instance; :class:`Trial` and :class:`Machine` describe the fields."""

    suite: str
    instance: str
    family: str
    num_clients: int
    num_experts: int
    contender: str
    repeat: int
    outcome: str
    reason: str
    status: str
    build_seconds: float
    solve_seconds: float
    backend_seconds: float
    peak_mb: float
    feasible: bool
    objective: Number | None
    bound: Number
    proof: str
    argmax_seconds: float
    resident_mb: float
    fitness_mb: float
    cores: int
    cpu: str
    memory_gb: float
    system: str
    versions: str
    commit: str
    date: str

    @property
    def total_seconds(self) -> float:
        """Seconds to build the model and to solve it."""
        return self.build_seconds + self.solve_seconds

    @property
    def key(self) -> tuple[str, str, str, int]:
        """The identity of the measurement: suite, instance, contender and repeat."""
        return self.suite, self.instance, self.contender, self.repeat


def make_row(suite: str, case: Case, contender: str, repeat: int, trial: Trial, machine: Machine) -> Row:
    """Return the row of a measurement on a machine."""
    of_case: dict[str, Any] = {
        "instance": case.name,
        "family": case.group,
        "num_clients": case.num_clients,
        "num_experts": case.num_experts,
    }
    measured: dict[str, Any] = asdict(trial) | asdict(machine) | {"date": now()}
    return Row(suite=suite, contender=contender, repeat=repeat, **of_case, **measured)


COLUMNS = [field.name for field in fields(Row)]


class Table:
    """The rows of one file, to which new rows are appended."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = read(path) if path.exists() else []

    def append(self, new: Row) -> None:
        """Append a row and write it at once, so that an interrupted run keeps its measurements."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.rows.append(new)
        whole = not self.path.exists() or _header(self.path) != COLUMNS
        with self.path.open("w" if whole else "a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=COLUMNS, lineterminator="\n")
            if whole:
                writer.writeheader()
            for row in self.rows if whole else [new]:
                writer.writerow({name: _written(value) for name, value in asdict(row).items()})

    def missing(
        self, suite: str, case: Case, contenders: Iterable[str], repeats: int, once_from: float = math.inf
    ) -> dict[str, list[int]]:
        """Return the repeats of each contender without a row.

        None are missing of contenders that have left the race, or that once took ``once_from`` seconds or more.
        """
        here = (suite, case.name)
        there = [row for row in self.rows if (row.suite, row.instance) == here and row.outcome != "missing"]
        left = {row.contender for row in there if row.outcome in FINAL or row.total_seconds >= once_from}
        done = {(row.contender, row.repeat) for row in there}
        return {
            name: [] if name in left else [r for r in range(repeats) if (name, r) not in done] for name in contenders
        }

    def too_slow(self, suite: str, case: Case, contender: str) -> Row | None:
        """Return the row of a smaller instance of the family on which the contender timed out; None without one."""
        for found in self.rows:
            same = (found.suite, found.family, found.num_experts, found.contender)
            asked = (suite, case.group, case.num_experts, contender)
            if same == asked and found.outcome == "timeout" and found.num_clients < case.num_clients:
                return found
        return None


def latest(rows: Iterable[Row]) -> list[Row]:
    """Return the last row of each measurement."""
    return list({found.key: found for found in rows}.values())


def best_bounds(rows: Iterable[Row]) -> dict[str, Number]:
    """Return instance → the lowest bound that any contender has proven."""
    bounds: dict[str, Number] = {}
    for found in rows:
        bounds[found.instance] = min(found.bound, bounds.get(found.instance, math.inf))
    return bounds


def gap(found: Row, bound: Number) -> float:
    """Return the relative gap of a row's objective to the best proven bound; inf without a feasible answer."""
    return math.inf if found.objective is None else relative_gap(bound, found.objective)


def read(path: Path) -> list[Row]:
    """Read all rows of a file.

    Raises
    ------
    ValueError
        If the file has other columns, or a cell cannot be read; the message names the line.
    """
    readers = {field.name: _READERS[field.type] for field in fields(Row)}
    with path.open(newline="", encoding="utf-8") as file:
        lines = csv.DictReader(file)
        if not set(readers) - set(LATER) <= set(lines.fieldnames or ()) <= set(readers):
            raise ValueError(f"{path.name} is not a file of benchmark rows of this version: other columns")
        rows = []
        for cells in lines:
            try:
                rows.append(Row(**{name: readers[name](cells.get(name) or "") for name in readers}))
            except ValueError as error:
                raise ValueError(f"{path.name}, line {lines.line_num}: {error}") from error
    return rows


def _header(path: Path) -> list[str]:
    with path.open(newline="", encoding="utf-8") as file:
        return next(csv.reader(file), [])


def _written(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return repr(value) if isinstance(value, float) else str(value)


def _number(cell: str) -> Number:
    return int(cell) if cell.lstrip("-").isdigit() else float(cell)


_READERS: dict[Any, Callable[[str], Any]] = {
    str: str,
    int: int,
    bool: lambda cell: cell == "True",
    float: lambda cell: _number(cell) if cell else math.nan,
    Number | None: lambda cell: _number(cell) if cell else None,
}
"""Reader of a cell, by the type of the row's field."""

"""The suite ``gap``: classical instances of the generalised assignment problem, compared with their best known values.

Run ``python -m benchmarks.solvers --suite gap --data DIR``. DIR holds the instance files (see problems/orlib.py) and
``bounds.csv`` with the columns instance, sense, dual_bound, best_known. Each line is one instance in one sense.
"""

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alignsolve import SOLVERS
from benchmarks.case import Case
from benchmarks.rows import Row, latest
from benchmarks.sections import Section
from benchmarks.suites import Suite
from problems.orlib import SENSES, Sense

OURS = (
    "lagrangian"
    if "lagrangian" in SOLVERS
    else "alignsolve.solvers.generalised_assignment.solver:solve_generalised_assignment"
)
OTHERS = tuple(name for name in ("ilp", "cpsat") if name in SOLVERS)
QUESTION = "How far are answers from the best known values of the classical instances, in the same time?"
SECONDS = 60.0
GRACE = 30.0
"""Seconds beyond the time limit after which a contender is killed."""
FIELDS = ("instance", "sense", "dual_bound", "best_known")


@dataclass(frozen=True)
class Known:
    """The best known value of an instance in one sense, and a proven bound on it."""

    sense: Sense
    bound: float
    best: float


def suite(folder: Path) -> Suite:
    """Return the suite of all instances that ``bounds.csv`` names, smallest first.

    Raises
    ------
    OSError
        If bounds.csv, or a file that it names, is missing.
    ValueError
        If bounds.csv has other columns.
    """
    cases = []
    for instance in best_known(folder):
        name, _, sense = instance.rpartition("-")
        path = folder / f"{name}.txt"
        with path.open(encoding="ascii") as file:
            num_experts, num_clients = (int(word) for word in file.readline().split()[:2])
        cases += [Case(str(path), num_clients, num_experts, sense=each) for each in SENSES if each == sense]
    cases.sort(key=lambda case: case.num_clients * case.num_experts)
    return Suite(QUESTION, tuple(cases), (OURS, *OTHERS), repeats=1, timeout=SECONDS + GRACE, time_limit=SECONDS)


def best_known(folder: Path) -> dict[str, Known]:
    """Read ``bounds.csv`` as "instance-sense" → best known value and bound.

    Raises
    ------
    ValueError
        If it has other columns.
    """
    with (folder / "bounds.csv").open(newline="", encoding="utf-8") as file:
        lines = csv.DictReader(file)
        if lines.fieldnames is None or not set(FIELDS) <= set(lines.fieldnames):
            raise ValueError(f"bounds.csv must have the columns {', '.join(FIELDS)}, not {lines.fieldnames}")
        senses: dict[str, Sense] = {sense: sense for sense in SENSES}
        return {
            f"{line['instance']}-{line['sense']}": Known(
                senses[line["sense"]], float(line["dual_bound"]), float(line["best_known"])
            )
            for line in lines
        }


def sections(rows: Iterable[Row], known: Mapping[str, Known]) -> list[Section]:
    """Return tables of the excess over the best known values and of the bounds, in sum and by instance."""
    kept = [row for row in latest(rows) if row.instance in known]
    contenders = list(dict.fromkeys(row.contender for row in kept))
    return [_sums(kept, known, contenders), _excesses(kept, known, contenders)]


def excess(row: Row, known: Known) -> float:
    """Return how much worse an answer is than the best known value, in percent; inf without an answer."""
    if row.objective is None:
        return math.inf
    worse = known.best - row.objective if known.sense == "max" else -row.objective - known.best
    return 100.0 * worse / abs(known.best)


def slack(row: Row, known: Known) -> float:
    """Return how far a row's bound lies beyond the best known value, in percent; below 0 it is not valid."""
    reached = known.best if known.sense == "max" else -known.best
    return 100.0 * (row.bound - reached) / abs(known.best)


def _sums(rows: Sequence[Row], known: Mapping[str, Known], contenders: Sequence[str]) -> Section:
    """Return the sums by type and sense: answers at the best known value, mean and largest excess, and wins."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((f"{row.instance[0].upper()} {known[row.instance].sense}", row.contender), []).append(row)
    best = {(row.instance, row.contender): excess(row, known[row.instance]) for row in rows}
    cells = []
    for (kind, contender), group in sorted(groups.items()):
        over = [best[row.instance, contender] for row in group]
        broken = sum(slack(row, known[row.instance]) < 0.0 and excess(row, known[row.instance]) >= 0.0 for row in group)
        as_good = sum(
            all(best[row.instance, contender] <= best.get((row.instance, other), math.inf) for other in contenders)
            for row in group
        )
        at_best = sum(each <= 0.0 for each in over)
        counts = [str(number) for number in (len(group), at_best, broken, as_good)]
        cells.append([f"{kind} {contender}", *counts, _percent(float(np.mean(over))), _percent(max(over))])
    header = ["type, sense", "instances", "at best known", "invalid bounds", "none better", "mean excess %", "most %"]
    note = 'Excess over the best known value in percent; "none better" counts instances without a better contender.'
    return Section("Against the best known values, by type", note, header, cells)


def _excesses(rows: Sequence[Row], known: Mapping[str, Known], contenders: Sequence[str]) -> Section:
    by_pair = {(row.instance, row.contender): row for row in rows}
    cells = []
    for instance in dict.fromkeys(row.instance for row in rows):
        line = [instance, f"{known[instance].best:g}"]
        for contender in contenders:
            row = by_pair.get((instance, contender))
            line += ["", "", ""] if row is None else _cells(row, known[instance])
        cells.append(line)
    header = ["instance", "best known"]
    for contender in contenders:
        header += [contender, "bound off by %", "s"]
    return Section(
        "Against the best known values",
        "Excess over the best known value, and distance of the bound from it, in percent.",
        header,
        cells,
    )


def _cells(row: Row, known: Known) -> list[str]:
    return [_percent(excess(row, known)), _percent(slack(row, known)), f"{row.total_seconds:.3g}"]


def _percent(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "none" if value > 0 else "?"

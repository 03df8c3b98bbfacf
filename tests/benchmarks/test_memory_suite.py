"""The memory suite: instances in files, memory in units of the fitness, and rows of earlier versions."""

import csv
from pathlib import Path

import numpy as np
import pytest

from alignsolve import RowBlocks
from benchmarks import instances, report
from benchmarks.case import Case
from benchmarks.machine import this_machine
from benchmarks.rows import LATER, Table, make_row, read
from benchmarks.trial import Trial

MACHINE = this_machine()


@pytest.mark.parametrize("stored_as", ["file", "mapped"])
def test_stored_instances_are_made_once_read_and_removed(
    stored_as: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instances, "FOLDER", tmp_path / "inputs")
    monkeypatch.setattr(instances, "DRAWN", 64)
    case = Case("uniform", 200, 4, stored=stored_as)
    problem = instances.make(case)
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "inputs").rglob("*")}
    again = instances.make(case)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "inputs").rglob("*")} == written
    assert isinstance(again.fitness, RowBlocks) == (stored_as == "mapped")
    assert np.array_equal(problem.values(), again.values())
    assert len(np.unique(problem.values(), axis=0)) == 200
    instances.remove_stored(case)
    assert list((tmp_path / "inputs").iterdir()) == []


def test_memory_is_told_against_the_fitness(tmp_path: Path) -> None:
    trial = Trial("answered", status="OPTIMAL", build_seconds=0.1, solve_seconds=0.9, peak_mb=128.0, feasible=True,
                  objective=1.0, bound=1.0, resident_mb=900.0, fitness_mb=512.0)  # fmt: skip
    case = Case("uniform", 1_000_000, 64, stored="file")
    told, _ = report.write([make_row("memory", case, "price", 0, trial, MACHINE)], tmp_path / "memory", question="?")
    assert "| uniform-file-1000000x64 | price | 512 | 128 | 0.25 | 900 | 1 |" in told.read_text()


def test_rows_of_an_earlier_version_are_read_and_kept(tmp_path: Path) -> None:
    path, case = tmp_path / "old.csv", Case("uniform", 30, 3)
    table = Table(path)
    table.append(make_row("old", case, "flow", 0, Trial("answered", peak_mb=3.0, fitness_mb=7.0), MACHINE))
    with path.open(newline="") as file:
        rows = [{name: cell for name, cell in row.items() if name not in LATER} for row in csv.DictReader(file)]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    table = Table(path)
    assert np.isnan(table.rows[0].fitness_mb)
    table.append(make_row("old", case, "flow", 1, Trial("answered", peak_mb=4.0, fitness_mb=7.0), MACHINE))
    assert [(row.repeat, row.peak_mb) for row in read(path)] == [(0, 3.0), (1, 4.0)]
    assert read(path)[1].fitness_mb == 7.0

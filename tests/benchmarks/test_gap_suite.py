"""The suite of the classical instances: its cases, and its comparison with the best known values."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import typer

from alignsolve import solve
from benchmarks import gap as gap_suite
from benchmarks import solvers
from benchmarks.case import Case
from benchmarks.machine import this_machine
from benchmarks.rows import Table, make_row
from benchmarks.solvers import run
from benchmarks.trial import Trial
from problems import FAMILIES, orlib

pytestmark = pytest.mark.filterwarnings("ignore:.*PuLP 4.0:DeprecationWarning")

MACHINE = this_machine()


@pytest.mark.slow
def test_the_gap_suite_compares_with_what_is_known(tmp_path: Path) -> None:
    problem = FAMILIES["gap-c"](np.random.default_rng(0), num_clients=12, num_experts=3)
    best = solve(problem, "ilp").objective
    orlib.write(problem, tmp_path / "c0312.txt")
    lines = ["instance,sense,dual_bound,best_known", f"c0312,min,{-best},{-best}"]
    (tmp_path / "bounds.csv").write_text("\n".join(lines) + "\n")
    chosen = gap_suite.suite(tmp_path)
    assert [(case.name, case.num_clients, case.num_experts) for case in chosen.cases] == [("c0312-min", 12, 3)]
    assert "ilp" in chosen.contenders
    table = Table(tmp_path / "gap.csv")
    run("gap", replace(chosen, contenders=("ilp", "greedy")), table, time_limit=20.0)
    run("gap", replace(chosen, contenders=("ilp", "greedy")), table, time_limit=20.0)
    assert [row.contender for row in table.rows] == ["ilp", "greedy"]
    known = gap_suite.best_known(tmp_path)["c0312-min"]
    assert gap_suite.excess(table.rows[0], known) == 0.0
    assert gap_suite.slack(table.rows[0], known) == 0.0
    by_type, by_instance = gap_suite.sections(table.rows, {"c0312-min": known})
    assert by_type.cells[0][:5] in (["C min greedy", "1", "0", "0", "0"], ["C min greedy", "1", "1", "0", "1"])
    assert by_instance.cells[0][:3] == ["c0312-min", str(-best), "0.000"]


def test_a_bound_beyond_the_best_known_value_is_counted(tmp_path: Path) -> None:
    known = {"d1-min": gap_suite.Known("min", 90.0, 100.0), "d1-max": gap_suite.Known("max", 60.0, 50.0)}
    trials = {
        "d1-min": Trial("answered", objective=-103, bound=-101.0),
        "d1-max": Trial("answered", objective=49, bound=55),
    }
    rows = [
        make_row("gap", Case("d1", 4, 2, sense=known[name].sense), "ilp", 0, trial, MACHINE)
        for name, trial in trials.items()
    ]
    assert [row.instance for row in rows] == ["d1-min", "d1-max"]
    assert [gap_suite.excess(row, known[row.instance]) for row in rows] == pytest.approx([3.0, 2.0])
    sums = gap_suite.sections(rows, known)[0].cells
    assert [line[3] for line in sums] == ["0", "1"]  # max, then min


def test_the_gap_suite_needs_its_data() -> None:
    with pytest.raises(typer.BadParameter, match="--data"):
        solvers.main(suite="gap")

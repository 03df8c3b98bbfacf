"""The evidence: its plans match the protocol, its rows are complete, and its page matches the rows."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alignsolve import POLICIES
from benchmarks.evidence import __main__ as command
from benchmarks.evidence import page as pages
from benchmarks.evidence.claims import BLIND, VISIBLE, corrected, verdicts
from benchmarks.evidence.kept import cells_of, pack, unpack
from benchmarks.evidence.second.page import Part
from fedtrain.compare.cell import Line
from fedtrain.compare.comparison import Compared
from fedtrain.compare.judge import compare, figures
from fedtrain.compare.plan import read_plan
from fedtrain.compare.run import file_of, read_cell

ROOT = Path(__file__).parents[2]
PLANS = ROOT / "benchmarks" / "evidence"


def made_up(name, seconds):
    """Return the results of a plan with three seeds if an alignment's accuracy rose to 0.9 within so many rounds."""
    plan, rng = replace(read_plan(PLANS / f"{name}.toml"), seeds=(1, 2, 3)), np.random.default_rng(3)

    def read(cell):
        rounds = np.arange(1.0, cell.config.rounds + 1)
        slope = seconds.get(cell.alignment, 20) * rng.uniform(0.99, 1.01)
        columns = {column: np.full(len(rounds), 0.005) for column in Line._fields}
        accuracy = 0.9 * np.minimum(1.0, rounds / slope)
        return columns | {"round": rounds, "accuracy": accuracy, "seconds": 10 * rounds, "bytes": 1e6 * rounds}

    settings = {(task, alignment): next(iter(plan.settings)) for task in plan.tasks for alignment in plan.alignments}
    runs = {pair: [read(plan.cell(*pair, setting, seed)) for seed in plan.seeds] for pair, setting in settings.items()}
    by_cell = {
        plan.cell(*pair, settings[pair], seed).key: run
        for pair, every in runs.items()
        for seed, run in zip(plan.seeds, every, strict=True)
    }
    found = figures(plan, settings, lambda cell: by_cell[cell.key])
    return Compared(plan, Path(), [], runs, found, compare(plan, found))


def test_the_plans_are_what_the_protocol_says():
    plan, protocol = read_plan(PLANS / "main.toml"), (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    assert set(plan.alignments) < set(POLICIES)
    assert len(plan.alignments) == 10
    assert set(re.findall(r"^\| `([\w-]+)` \|", protocol, flags=re.MULTILINE)) == set(plan.tasks)
    assert {*VISIBLE, *BLIND} <= set(plan.tasks)
    assert len(plan.seeds) >= 10
    rates = {(s["training"]["learning_rate"], s["training"]["auxiliary_loss"]) for s in plan.settings.values()}
    assert rates == {(0.1, 0.0), (0.1, 0.1), (0.2, 0.0), (0.2, 0.1)}
    assert "learning rate 0.1 or 0.2, auxiliary loss 0 or 0.1" in protocol


def test_claims_hold_where_ours_is_twice_as_fast_and_fail_where_it_is_not():
    fast = verdicts(made_up("main", {"ours": 10}))
    assert {one.number for one in fast} == {1, 2, 3, 4, 5}
    assert all(one.holds for one in fast)
    slow = verdicts(made_up("main", {"ours": 24}))
    assert {one.number for one in slow if one.holds} == {3, 5}  # accuracy is as good in the end
    assert not any(one.holds for one in slow if one.number == 5 and "rounds" in one.figure)


def test_p_is_corrected_for_the_whole_page():
    main, ablation = made_up("main", {"ours": 19}), made_up("ablation", {})
    both = corrected([main, ablation])
    pairs = [
        pair
        for alone, together in zip((main, ablation), both, strict=True)
        for pair in zip(alone.comparisons, together.comparisons, strict=True)
    ]
    assert all(alone.p <= together.p for alone, together in pairs)
    assert any(alone.p < together.p for alone, together in pairs)


def test_the_page_names_every_task_alignment_and_verdict():
    main, ablation, longer = made_up("main", {"ours": 10}), made_up("ablation", {}), made_up("longer", {"ours": 10})
    text = pages.page(main, ablation, longer)
    for name in (*main.plan.tasks, *main.plan.alignments, *ablation.plan.alignments):
        assert name in text
    assert text.count("| holds |") == len(verdicts(main))
    assert "letters-visible, 120 rounds" in text
    assert "| rolling | 18.3 (100 %) | 20.0 (100 %) | 0.509" in text
    both = pages.page(main, ablation, longer, Part("Five sentences.", "## Claims of the second", judged=True))
    assert both.index("Five sentences.") < both.index("## Claims of the second") < both.index("## The first protocol")
    assert both.count("| holds |") == text.count("| holds |")
    assert "letters-visible, 120 rounds" not in both  # in short
    unfinished = pages.page(main, ablation, longer, Part("Nothing is known.", "## What is missing", judged=False))
    assert text.split("findings.md. -->")[1] in unfinished.replace("## The first protocol\n\n", "")


def test_rows_are_kept_to_the_last_digit(tmp_path):
    cells = tmp_path / "cells"
    cells.mkdir()
    for name, value in (("b", 0.25), ("a", 1e-9)):
        line = ",".join([repr(value)] * len(Line._fields))
        (cells / f"{name}.csv").write_text(",".join(Line._fields) + "\n" + line + "\n", encoding="utf-8")
    pack(cells.glob("*.csv"), tmp_path / "kept.csv.gz")
    assert unpack(tmp_path / "again", tmp_path / "kept.csv.gz") == 2
    assert unpack(tmp_path / "again", tmp_path / "kept.csv.gz") == 0
    for path in cells.iterdir():
        assert (tmp_path / "again" / path.name).read_text() == path.read_text()
    assert unpack(tmp_path / "none", tmp_path / "not there") == 0


def test_cells_of_other_plans_are_not_kept(tmp_path):
    plan = read_plan(PLANS / "ablation.toml")
    asked = plan.cell("digits-visible", "ours", "fast-pulled", 201)
    for name in (asked.key, f"{asked.key[:-1]}x"):
        (tmp_path / f"{name}.csv").touch()
    assert cells_of([plan], tmp_path) == [file_of(asked, tmp_path)]


@pytest.mark.slow
def test_the_page_is_what_the_kept_rows_say(tmp_path, monkeypatch):
    """Every run of the plans is kept, so nothing is run here; the page in docs/ is made from the kept rows."""
    if not (ROOT / "docs" / "evidence.md").exists():
        pytest.skip("the evidence was not run to its end yet: make evidence")
    cells = tmp_path / "runs" / "cells"
    unpack(cells)
    main, ablation, longer = (read_plan(PLANS / f"{name}.toml") for name in ("main", "ablation", "longer"))
    assert all(file_of(cell, cells).exists() for cell in main.tuning_cells())
    before = {path.name for path in cells.iterdir()}
    monkeypatch.setattr(command, "ROOT", tmp_path)
    monkeypatch.setattr(command, "pack", lambda cells: None)  # nothing new to keep
    (tmp_path / "docs").mkdir()
    command.evidence(workers=2, out=tmp_path / "runs", fresh=False)
    assert {path.name for path in cells.iterdir()} == before
    for path in [tmp_path / "docs" / "evidence.md", *(tmp_path / "docs" / "evidence").glob("*.svg")]:
        assert path.read_bytes() == (ROOT / path.relative_to(tmp_path)).read_bytes()
    assert ablation.reference == main.reference
    for alignment in longer.alignments:  # as far as the protocol goes, they are its own runs
        for seed in longer.seeds:
            long = read_cell(longer.cell("letters-visible", alignment, "tuned", seed), cells)["accuracy"]
            runs = [main.cell("letters-visible", alignment, setting, seed) for setting in main.settings]
            assert any(
                np.array_equal(read_cell(run, cells)["accuracy"], long[:60])
                for run in runs
                if file_of(run, cells).exists()
            )

"""The mechanisms of neighbouring systems in training, with and without attackers: ``python -m benchmarks.systems``.

The plan ``benchmarks/systems.toml`` has one small task. Each rule of aggregation, and the fitness by embeddings, is
compared with the mean and the fitness by router masses. Kept runs are read from ``benchmarks/results/systems.csv.gz``,
missing ones are run and kept. Then the tables in ``docs/systems.md`` are written, also that of the runs with attackers,
which :mod:`benchmarks.attacks` keeps. A test checks that they are the tables of the kept runs.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks.attacks import AttackRow, read_rows
from benchmarks.evidence.kept import cells_of, pack, unpack
from fedtrain.compare.comparison import execute
from fedtrain.compare.judge import Figures, choose_settings, figures
from fedtrain.compare.plan import Cell, Plan, read_plan
from fedtrain.compare.run import Curves, read_cell
from fedtrain.compare.statistics import Estimate, paired_difference, paired_ratio
from fedtrain.compare.tables import markdown_table, mean_text, time_text

ROOT = Path(__file__).parents[1]
PLAN = ROOT / "benchmarks" / "systems.toml"
ATTACKED = ROOT / "benchmarks" / "results" / "attacks.csv"
KEPT = ROOT / "benchmarks" / "results" / "systems.csv.gz"
PAGE = ROOT / "docs" / "systems.md"
BEGIN, END = "<!-- Written by benchmarks/systems.py: {}. -->\n", "<!-- End of what was written. -->\n"
JUDGED = (5, 6, 7, 8, 9)
"""Seeds of the runs with attackers; earlier ones were used while the rules were made."""


def main() -> None:
    """Run what is missing, keep it, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, default=ROOT / "runs")
    arguments = parser.parse_args()
    cells = arguments.out / "systems" / "cells"
    unpack(cells, KEPT)
    try:
        execute(PLAN, arguments.out, workers=arguments.workers, console=Console(), cells=cells)
    finally:
        pack(cells_of([read_plan(PLAN)], cells), KEPT)
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8"), cells), encoding="utf-8")


def with_tables(page: str, cells: Path) -> str:
    """Return the page with the tables of the kept runs; those without attackers are unpacked into the folder."""
    unpack(cells, KEPT)
    plan = read_plan(PLAN)

    def read(cell: Cell) -> Curves:
        return read_cell(cell, cells)

    found = figures(plan, choose_settings(plan, read), read)
    return replaced(replaced(page, "attacks", attack_table(read_rows(ATTACKED))), "training", table(plan, found))


def attack_table(rows: Sequence[AttackRow]) -> str:
    """Return a Markdown table of the points that rules lose to the mean without an attack, seed by seed."""
    accuracy = {
        (row.attack, row.rule, row.seed): 100.0 * row.accuracy
        for row in rows
        if row.held_back > 0.0 and row.seed in JUDGED
    }
    free = np.array([accuracy["none", "mean", seed] for seed in JUDGED])
    lines = []
    for attack, rule in sorted({(attack, rule) for attack, rule, _ in accuracy}):
        own = np.array([accuracy[attack, rule, seed] for seed in JUDGED])
        lost = paired_difference(free, own)
        texts = [f"{own.mean():.1f}", _interval(lost, 1.0, 2), f"{(free - own).max():.1f}"]
        lines.append([attack, f"`{rule}`", *texts])
    return markdown_table(["attack", "rule", "accuracy, %", "points lost", "worst seed"], lines) + "\n"


def table(plan: Plan, found: Sequence[Figures]) -> str:
    """Return a Markdown table: each alignment's figures, and what they are beside those of ``plan.ours``."""
    (ours,) = (one for one in found if one.alignment == plan.ours)
    rows = [_row(plan, one, ours) for one in found]
    targets = [f"rounds to {100 * target:g} %" for target in plan.targets]
    head = ["what", *targets, "ratio of the last", "accuracy", "points more", "personalised", "points more"]
    return markdown_table(head, rows) + "\n"


def _row(plan: Plan, one: Figures, ours: Figures) -> list[str]:
    clock = max(plan.targets), "round"
    times = [time_text(one.times[target, "round"]) for target in plan.targets]
    ratio = paired_ratio(one.times[clock].restricted, ours.times[clock].restricted)
    texts = [_interval(ratio, 1.0, 2) if one is not ours else "–"]
    for name in ("accuracy", "personalised"):
        gain = paired_difference(one.levels[name], ours.levels[name])
        texts += [mean_text(one.levels[name]), _interval(gain, 100.0, 1) if one is not ours else "–"]
    return [f"`{one.alignment}`", *times, *texts]


def _interval(estimate: Estimate, factor: float, digits: int) -> str:
    value, low, high = (f"{factor * number:.{digits}f}" for number in estimate[:3])
    return f"{value} [{low}, {high}]"


def replaced(page: str, name: str, written: str) -> str:
    """Return the page with a table in place of the one of this name."""
    before, begin, rest = page.partition(BEGIN.format(name))
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks the lines {BEGIN.format(name)!r} and {END!r}")
    return f"{before}{begin}\n{written}\n{end}{after}"


if __name__ == "__main__":
    main()

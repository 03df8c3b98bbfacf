"""A whole comparison: runs the cells to tune and to judge, and writes the results beside them."""

import shutil
import time
from functools import cache
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from fedtrain.compare.forecast import forecast
from fedtrain.compare.judge import Comparison, Figures, choose_settings, compare, figures, judged_cells
from fedtrain.compare.page import Runs, page
from fedtrain.compare.plan import Cell, Plan, read_plan
from fedtrain.compare.run import Curves, file_of, read_cell, run_cells
from fedtrain.compare.tables import (
    COMPARISON_COLUMNS,
    FIGURE_COLUMNS,
    comparison_rows,
    figure_rows,
    markdown,
    nothing_to_compare,
)
from fedtrain.report.units import seconds
from fedtrain.results import atomic
from fedtrain.results.run_folder import csv_text


class Compared(NamedTuple):
    """The result of a comparison.

    Attributes
    ----------
    plan
        The plan that was run.
    folder
        The folder with the results: ``plan.toml``, ``cells/``, ``figures.csv``, ``comparisons.csv``,
        ``comparison.md``, ``report.html``.
    cells
        The files of all cells, including the cells for tuning.
    runs
        The curves of the cells for judging.
    figures, comparisons
        All figures and comparisons, computed from these curves.
    """

    plan: Plan
    folder: Path
    cells: list[Path]
    runs: Runs
    figures: list[Figures]
    comparisons: list[Comparison]


def execute(plan_file: Path, out: Path, *, workers: int, console: Console, cells: Path | None = None) -> Compared:
    """Run the cells of a plan that have no file yet, and write the results to ``out/plan.name``.

    Parameters
    ----------
    plan_file
        A TOML file (:mod:`fedtrain.compare.plan`).
    out
        Folder of all comparisons; it is created if needed.
    workers
        Number of cells that run at the same time.
    console
        Console for progress.
    cells
        Folder of the cells, which several plans may share; None: ``cells/`` in the plan's own folder.

    Raises
    ------
    ConfigError
        If the plan cannot be run.
    SolveError
        If a round has no alignment.
    """
    plan = read_plan(plan_file)
    folder = out / plan.name
    cells = folder / "cells" if cells is None else cells
    folder.mkdir(parents=True, exist_ok=True)
    if plan_file.resolve() != (folder / "plan.toml").resolve():
        shutil.copyfile(plan_file, folder / "plan.toml")

    @cache
    def read(cell: Cell) -> Curves:
        return read_cell(cell, cells)

    console.print(f"{plan.name}: timing a round of each task", markup=False, highlight=False, soft_wrap=True)
    console.print(
        f"{plan.name}: {forecast(plan, cells, workers=workers)}", markup=False, highlight=False, soft_wrap=True
    )
    # Run the cells for tuning, and choose the settings.
    tuning = list(plan.tuning_cells())
    _run(tuning, cells, workers, console, "tuning")
    settings = choose_settings(plan, read)
    # Run the cells for judging, and compute the figures.
    judged = judged_cells(plan, settings)
    _run(judged, cells, workers, console, "judging")
    found = figures(plan, settings, read)
    compared = compare(plan, found)
    runs = {(one.task, one.alignment): one.curves for one in found}
    if not compared:
        console.print(nothing_to_compare(plan), markup=False, highlight=False, soft_wrap=True)
    # Write the results.
    text = (folder / "plan.toml").read_text(encoding="utf-8")
    atomic.replace_text(folder / "report.html", page(plan, text, runs, found, compared))
    atomic.replace_text(folder / "figures.csv", csv_text([FIGURE_COLUMNS, *figure_rows(plan, found)]))
    atomic.replace_text(folder / "comparisons.csv", csv_text([COMPARISON_COLUMNS, *comparison_rows(compared)]))
    atomic.replace_text(folder / "comparison.md", markdown(plan, found, compared))
    return Compared(plan, folder, [file_of(cell, cells) for cell in (*tuning, *judged)], runs, found, compared)


def _run(cells: list[Cell], folder: Path, workers: int, console: Console, what: str) -> None:
    """Run cells, with a line for each that says how much time is left, judging by those that were run before it."""
    started, done = time.monotonic(), 0
    for number, (cell, ran) in enumerate(run_cells(cells, folder, workers=workers), start=1):
        if ran:
            done += 1
            left = (len(cells) - number) * (time.monotonic() - started) / done
            name = f"{cell.task}, {cell.alignment}, {cell.setting}, seed {cell.seed}"
            remaining = f"; about {seconds(left)} left" if number < len(cells) else ""
            console.print(
                f"{what} {number} of {len(cells)}: {name}{remaining}", markup=False, highlight=False, soft_wrap=True
            )

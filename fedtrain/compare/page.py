"""A comparison as one page without scripts or requests: curves with bands, figures and comparisons, task by task."""

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

import numpy as np

from alignsolve.numerics import FloatArray
from fedtrain.compare.judge import Comparison, Figures
from fedtrain.compare.plan import Plan
from fedtrain.compare.run import Curves
from fedtrain.compare.statistics import mean_with_margin
from fedtrain.compare.tables import Grid, comparisons_grid, figures_grid
from fedtrain.report.axis import NOT_NEGATIVE, SHARE, Limits, Ticks
from fedtrain.report.charts import Format, Series, colour_of, line_chart
from fedtrain.report.html import table, text_rows, whole_page
from fedtrain.report.units import (
    amount_of_bytes,
    number,
    percent,
    seconds,
    ticks_of_bytes,
    ticks_of_numbers,
    ticks_of_seconds,
    ticks_of_shares,
)


class _Chart(NamedTuple):
    """A chart: its title, the name of its axis, the formats of a value and of ticks, limits, and a note."""

    title: str
    name: str
    form: Format
    axis: Ticks
    limits: Limits
    note: str = ""


_REFEREE = (
    "The referee aligns each round's clients too: by the fitness that their routers show, with balanced loads. The "
    "chart shows how much less of this fitness an alignment has. Below 0 it has more, because it breaks the bounds of "
    "the loads."
)
CHARTS: Mapping[str, _Chart] = {
    "accuracy": _Chart("Accuracy", "correct predictions on the test set", percent, ticks_of_shares, SHARE),
    "completed_cv_total": _Chart(
        "Load variation between experts, since the beginning",
        "standard deviation / mean",
        number,
        ticks_of_numbers,
        NOT_NEGATIVE,
    ),
    "bytes": _Chart("Traffic so far", "bytes", amount_of_bytes, ticks_of_bytes, NOT_NEGATIVE),
    "seconds": _Chart("Simulated time so far", "time", seconds, ticks_of_seconds, NOT_NEGATIVE),
    "regret": _Chart(
        "Fitness below the referee's", "share of the referee's", percent, ticks_of_shares, (-math.inf, 1.0), _REFEREE
    ),
}
"""The curves that are drawn, by column."""
NAMES = (0, 1)
"""Columns of the tables that hold names."""
BAND = (
    "Lines are means over seeds, bands their 95 % intervals, cut at what can be; beside each name its value in the "
    "last round. A line that lies under others is drawn wider."
)

Runs = Mapping[tuple[str, str], Sequence[Curves]]
"""The curves of every seed, by task and alignment."""


def page(plan: Plan, text: str, runs: Runs, found: Sequence[Figures], compared: Sequence[Comparison]) -> str:
    """Return the page as HTML.

    Parameters
    ----------
    plan, text
        The plan that was run, and the text of its file.
    runs
        The curves that the figures are computed from.
    found, compared
        All figures and comparisons.
    """
    return whole_page(
        "comparison.html",
        title=escape(plan.name),
        kind="comparison of alignments",
        summary=escape(_summary(plan)),
        tasks="".join(f'<li><a href="#{escape(task)}">{escape(task)}</a></li>' for task in plan.tasks),
        sections="".join(_section(plan, task, runs, found, compared) for task in plan.tasks),
        plan=escape(text),
    )


def _summary(plan: Plan) -> str:
    shares = " and ".join(f"{100 * target:g} %" for target in plan.targets)
    return (
        f"Alignments: {len(plan.alignments)}; tasks: {len(plan.tasks)}; seeds to judge on: {len(plan.seeds)}. "
        f"Targets are {shares} of the final accuracy of {plan.reference}, seed by seed. p is corrected for all "
        "comparisons on this page (Holm)."
    )


def _section(plan: Plan, task: str, runs: Runs, found: Sequence[Figures], compared: Sequence[Comparison]) -> str:
    charts = "".join(_charts(plan, task, runs))
    figures = figures_grid(plan, [one for one in found if one.task == task])
    comparisons = comparisons_grid(plan, [one for one in compared if one.task == task])
    name = escape(task)
    return (
        f'<section id="{name}"><h2>{name}</h2><p class="note">{BAND}</p><div class="charts">{charts}</div>'
        f"<h3>Figures</h3>{_scrolling(f'Figures of {task}', figures)}"
        f"<h3>{escape(plan.ours)} against the others</h3>{_scrolling(f'Comparisons on {task}', comparisons)}</section>"
    )


def _charts(plan: Plan, task: str, runs: Runs) -> Iterator[str]:
    rounds = runs[task, plan.ours][0]["round"]
    for column, chart in CHARTS.items():
        series = []
        for k, alignment in enumerate(plan.alignments):
            values = np.stack([run[column] for run in runs[task, alignment]])
            middle, band = _band(values)
            colour = colour_of(k, len(plan.alignments))
            dashed = alignment == plan.reference
            series.append(Series(alignment, middle, column, colour, dashed, band))
        how: dict[str, Any] = chart._asdict()
        yield line_chart(how.pop("title"), rounds, series, **how)


def _band(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return means and interval edges of (num_seeds, num_rounds) values; NaN in rounds where a seed has no value."""
    middle, margin, _ = np.array([mean_with_margin(column) for column in values.T]).T
    return middle, np.stack([middle - margin, middle + margin])


def _scrolling(label: str, grid: Grid) -> str:
    """Write a table below its note; without rows, the note alone, which says why."""
    shown = table(label, grid.head, text_rows(grid.rows, NAMES), words=NAMES) if grid.rows else ""
    return f'<p class="note">{escape(grid.note)}</p>' + shown

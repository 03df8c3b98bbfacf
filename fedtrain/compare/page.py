"""A comparison as one page without scripts or requests: curves with bands, figures and comparisons, task by task."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape

import numpy as np

from alignsolve.numerics import FloatArray
from fedtrain.compare.judge import Comparison, Figures
from fedtrain.compare.plan import Plan
from fedtrain.compare.run import Curves
from fedtrain.compare.statistics import mean_with_margin
from fedtrain.compare.tables import Grid, comparisons_grid, figures_grid
from fedtrain.report.charts import Format, Series, line_chart
from fedtrain.report.html import fill, resource, table
from fedtrain.report.units import amount_of_bytes, number, percent, seconds, short_percent

CHARTS: Mapping[str, tuple[str, Format, Format]] = {
    "accuracy": ("Accuracy", percent, short_percent),
    "completed_cv_total": ("Load variation between experts, since the beginning", number, number),
    "bytes": ("Traffic so far", amount_of_bytes, amount_of_bytes),
    "seconds": ("Simulated time so far", seconds, seconds),
    "regret": ("Fitness below the referee's", percent, short_percent),
}
"""The curves that are drawn: title, format of a value, and format on the axis."""
BAND = "Lines are means over seeds, bands their 95 % intervals; beside each name its value in the last round."

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
    return fill(
        "comparison.html",
        title=escape(plan.name),
        style=resource("report.css"),
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
    for column, (title, form, axis) in CHARTS.items():
        series = []
        for k, alignment in enumerate(plan.alignments):
            values = np.stack([run[column] for run in runs[task, alignment]])
            middle, band = _band(values)
            colour = f"hsl({round(360 * k / len(plan.alignments)) + 205} 62% var(--line-lightness))"
            dashed = alignment == plan.reference
            series.append(Series(alignment, middle, column, colour, dashed, band))
        yield line_chart(title, rounds, series, form=form, axis=axis)


def _band(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return means and interval edges of (num_seeds, num_rounds) values; NaN in rounds where a seed has no value."""
    middle, margin, _ = np.array([mean_with_margin(column) for column in values.T]).T
    return middle, np.stack([middle - margin, middle + margin])


def _scrolling(label: str, grid: Grid) -> str:
    rows = ("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in grid.rows)
    """Write a table below its note; without rows, the note alone, which says why."""
    return f'<p class="note">{escape(grid.note)}</p>' + (table(label, grid.head, rows) if grid.rows else "")

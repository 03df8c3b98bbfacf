"""A comparison's figures as tidy rows for programs and as Markdown tables for people."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from alignsolve.numerics import FloatArray
from fedtrain.compare.judge import LEVELS, Comparison, Figures
from fedtrain.compare.plan import Plan
from fedtrain.compare.statistics import Times

FIGURE_COLUMNS = ("task", "alignment", "setting", "seed", "figure", "value")
COMPARISON_COLUMNS = ("task", "rival", "figure", "value", "low", "high", "p", "p_corrected")


def figure_rows(plan: Plan, found: Iterable[Figures]) -> Iterator[Sequence[object]]:
    """Yield one row for every run and figure; a censored time is its horizon, and its ``reached`` is 0."""
    for one in found:
        names = (one.task, one.alignment, one.setting)
        for k, seed in enumerate(plan.seeds):
            for (target, clock), times in one.times.items():
                yield *names, seed, f"{clock} to {100 * target:g} %", times.restricted[k]
                yield *names, seed, f"reached {100 * target:g} % by {clock}", int(times.reached_by[k])
            for name, values in one.levels.items():
                yield *names, seed, name, values[k]


def comparison_rows(compared: Iterable[Comparison]) -> Iterator[Sequence[object]]:
    """Yield one row for every comparison."""
    for one in compared:
        yield one.task, one.rival, one.figure, *one.result, one.p


class Grid(NamedTuple):
    """A table of texts, from which HTML or Markdown is written."""

    note: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def figures_grid(plan: Plan, found: Iterable[Figures]) -> Grid:
    """Return a table with a row for every alignment."""
    targets = [f"rounds to {100 * target:g} %" for target in plan.targets]
    rows = [
        [
            one.alignment,
            one.setting,
            *(time_text(one.times[target, "round"]) for target in plan.targets),
            *(mean_text(one.levels[name]) for name in LEVELS),
        ]
        for one in found
    ]
    note = (
        "Rounds to a target: restricted means, with the share of the runs that reached it in brackets. "
        "All other columns: means over seeds."
    )
    return Grid(note, ["alignment", "setting", *targets, *(name.replace("_", " ") for name in LEVELS)], rows)


def nothing_to_compare(plan: Plan) -> str:
    """Return the sentence that says why a comparison has no rows."""
    known = f"the alignments are ours ({plan.ours}) and the reference ({plan.reference})"
    return f"Nothing is compared: {known}, and there is no other. Add an alignment to the plan."


def comparisons_grid(plan: Plan, compared: Iterable[Comparison]) -> Grid:
    """Return a table with a row for every comparison; without any, its note says why."""
    rows = [
        [
            one.rival,
            one.figure,
            f"{one.result.value:.3f}",
            "–" if math.isnan(one.result.low) else f"{one.result.low:.3f} to {one.result.high:.3f}",
            "–" if math.isnan(one.p) else f"{one.p:.2g}",
        ]
        for one in compared
    ]
    note = "Ratios of times, differences of accuracies; 95 % intervals, p corrected for the whole comparison (Holm)."
    if not rows:
        note = nothing_to_compare(plan)
    elif len(plan.seeds) == 1:
        note += " There is one seed, so no interval and no p is known: give the plan more seeds."
    return Grid(note, ["rival", "figure", "value", "interval", "p"], rows)


def markdown(plan: Plan, found: Sequence[Figures], compared: Sequence[Comparison]) -> str:
    """Return all tables as Markdown, task by task."""
    parts = []
    for task in plan.tasks:
        figures = figures_grid(plan, [one for one in found if one.task == task])
        comparisons = comparisons_grid(plan, [one for one in compared if one.task == task])
        parts += [f"## {task}", figures.note, markdown_table(figures.head, figures.rows)]
        parts += [f"### {plan.ours} against", comparisons.note]
        parts += [markdown_table(comparisons.head, comparisons.rows)] if comparisons.rows else []
    return "\n\n".join(parts) + "\n"


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table as Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def time_text(times: Times) -> str:
    """Write a restricted mean, and in brackets the share of runs that reached the target."""
    return f"{times.mean:.1f} ({100 * times.reached:.0f} %)"


def mean_text(values: FloatArray) -> str:
    """Write the mean of the known values; a dash if no value is known."""
    known = values[np.isfinite(values)]
    return f"{known.mean():.3f}" if len(known) else "–"

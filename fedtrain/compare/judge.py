"""Judges a comparison's curves: the best setting of each alignment, its figures, and ours against every other.

A target is a share of the reference's final accuracy, separately for each seed. *Final* means the mean of the last few
rounds, because single rounds vary. Settings are chosen on the tuning seeds alone. The reference gets the setting with
the highest final accuracy. Every other alignment gets the setting that reaches the highest target in the fewest rounds.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from alignsolve.numerics import FloatArray
from fedtrain.compare import statistics
from fedtrain.compare.plan import Cell, Plan
from fedtrain.compare.run import Curves
from fedtrain.compare.statistics import Estimate, Times

Read = Callable[[Cell], Curves]
"""A function that returns a cell's curves."""
FINAL = 5
"""Number of last rounds whose mean is a final value."""
CLOCKS = ("round", "seconds", "bytes")
"""Columns in which the time to a target is measured."""
LEVELS = {
    "accuracy": "in the end",
    "personalised": "in the last round",
    "worst": "in the last round",
    "assigned_cv": "mean of rounds",
    "completed_cv": "mean of rounds",
    "completed_cv_total": "in the last round",
    "sample_cv_total": "in the last round",
    "regret": "mean of rounds",
}
"""The other figures of a run, and how each is computed from its curve."""


@dataclass(frozen=True)
class Figures:
    """An alignment's figures on a task.

    Attributes
    ----------
    task, alignment, setting
        Names in the plan.
    times
        Times to reach a target, by target and clock; one per seed of the plan.
    levels
        The figures in ``LEVELS`` by name, (num_seeds,), one value per run.
    curves
        The curves of every seed, from which the figures are computed.
    """

    task: str
    alignment: str
    setting: str
    times: Mapping[tuple[float, str], Times]
    levels: Mapping[str, FloatArray]
    curves: Sequence[Curves]


class Comparison(NamedTuple):
    """Ours against a rival on a task.

    Attributes
    ----------
    task, rival
        Names in the plan.
    figure
        Name of the compared figure: a clock with its target, or a level.
    result
        Ratio ours / rival for times; difference ours − rival for levels.
    p
        The p value of the result, corrected for the number of comparisons.
    """

    task: str
    rival: str
    figure: str
    result: Estimate
    p: float


def choose_settings(plan: Plan, read: Read) -> dict[tuple[str, str], str]:
    """Choose every alignment's setting on every task, by the tuning seeds; of equal settings, the first in the plan."""
    first, *others = plan.settings
    if not others:
        return dict.fromkeys(itertools.product(plan.tasks, plan.alignments), first)

    def tuned(task: str, alignment: str, setting: str) -> list[Curves]:
        return [read(plan.cell(task, alignment, setting, seed)) for seed in plan.tuning_seeds]

    chosen: dict[tuple[str, str], str] = {}
    for task in plan.tasks:
        # The reference: the setting with the highest final accuracy. It defines the targets.
        final = {
            setting: np.array([_final(run) for run in tuned(task, plan.reference, setting)])
            for setting in plan.settings
        }
        best = max(plan.settings, key=lambda setting: float(final[setting].mean()))
        chosen[task, plan.reference] = best
        targets = max(plan.targets) * final[best]
        # The others: the setting that reaches the highest target in the fewest rounds.
        for alignment in plan.alignments:
            if alignment == plan.reference:
                continue
            means = {
                setting: times_to(targets, tuned(task, alignment, setting), "round").mean for setting in plan.settings
            }
            chosen[task, alignment] = min(means, key=means.__getitem__)
    return chosen


def judged_cells(plan: Plan, settings: Mapping[tuple[str, str], str]) -> list[Cell]:
    """Return all cells for judging, each alignment with its chosen setting."""
    return [
        plan.cell(task, alignment, setting, seed)
        for (task, alignment), setting in settings.items()
        for seed in plan.seeds
    ]


def figures(plan: Plan, settings: Mapping[tuple[str, str], str], read: Read) -> list[Figures]:
    """Return the figures of every alignment on every task, in the plan's order."""
    found = []
    for task in plan.tasks:
        runs = {
            alignment: [read(plan.cell(task, alignment, settings[task, alignment], seed)) for seed in plan.seeds]
            for alignment in plan.alignments
        }
        reference = np.array([_final(run) for run in runs[plan.reference]])
        for alignment, curves in runs.items():
            times = {
                (target, clock): times_to(target * reference, curves, clock)
                for target, clock in itertools.product(plan.targets, CLOCKS)
            }
            levels = {name: np.array([_level(run, name) for run in curves]) for name in LEVELS}
            found.append(Figures(task, alignment, settings[task, alignment], times, levels, curves))
    return found


def compare(plan: Plan, found: Sequence[Figures]) -> list[Comparison]:
    """Compare ours with every rival on every task; p values are corrected for all comparisons together."""
    by_name = {(one.task, one.alignment): one for one in found}
    compared = []
    for task, rival in itertools.product(plan.tasks, plan.rivals()):
        # Times to targets are compared by ratios, accuracies by differences.
        ours, theirs = by_name[task, plan.ours], by_name[task, rival]
        for target, clock in itertools.product(plan.targets, CLOCKS):
            ratio = statistics.paired_ratio(
                ours.times[target, clock].restricted, theirs.times[target, clock].restricted
            )
            compared.append(Comparison(task, rival, f"{clock} to {100 * target:g} %", ratio, ratio.p))
        for name in ("accuracy", "personalised", "worst"):
            difference = statistics.paired_difference(ours.levels[name], theirs.levels[name])
            compared.append(Comparison(task, rival, name, difference, difference.p))
    return correct(compared)


def correct(compared: Sequence[Comparison]) -> list[Comparison]:
    """Correct the p values of these comparisons together, by Holm's method."""
    corrected = statistics.holm([one.result.p for one in compared])
    return [one._replace(p=p) for one, p in zip(compared, corrected, strict=True)]


def times_to(targets: FloatArray, curves: Sequence[Curves], clock: str) -> Times:
    """Return the time at which each run first reached its own target, (num_seeds,).

    Parameters
    ----------
    targets
        (num_seeds,) each run's target accuracy.
    curves
        Each run's curves.
    clock
        Column in which time is measured. A run that never reached its target gets the time of its end.
    """
    own = zip(curves, targets.tolist(), strict=True)
    reached = [statistics.first_time(run["accuracy"], target, run[clock]) for run, target in own]
    return statistics.restrict(np.array(reached), np.array([run[clock][-1] for run in curves]))


def _final(run: Curves, column: str = "accuracy") -> float:
    return float(run[column][-FINAL:].mean())


def _level(run: Curves, name: str) -> float:
    values = run[name]
    if LEVELS[name] == "in the end":
        return _final(run, name)
    if LEVELS[name] == "in the last round":
        return float(values[-1])
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else math.nan

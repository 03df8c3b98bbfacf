"""The figures of a run: rounds, seconds and bytes to a target, the area under a curve, and final values.

A target counts as reached in a round if the mean of the last three rounds is at the target, so that a single noisy
round does not count. The first two rounds are judged by the mean of what there is. Curves that were not measured in
every round have NaN in between; there the last known values count.
"""

import math
from collections.abc import Sequence

import numpy as np

from alignsolve.numerics import FloatArray
from benchmarks.evidence.second.row import Row

WINDOW = 3
"""Rounds whose mean must reach a target."""
FINAL = 5
"""Measured rounds whose mean is a final value."""


def curve_of(row: Row, measure: str) -> tuple[float, ...]:
    """Return the curve that an alignment is judged by: ``accuracy`` of the whole model, or ``personal`` accuracy."""
    return row.personal if measure == "personal" else row.accuracy


def smoothed(curve: Sequence[float]) -> FloatArray:
    """Return the mean of each value and the two measured before it, (num_rounds,); NaN before the first.

    Examples
    --------
    >>> smoothed([0.0, 0.3, 0.6, 0.9]).round(2).tolist()
    [0.0, 0.15, 0.3, 0.6]
    """
    known: list[float] = []
    means = []
    for value in curve:
        if not math.isnan(value):
            known.append(value)
        means.append(float(np.mean(known[-WINDOW:])) if known else math.nan)
    return np.array(means)


def rounds_to(curve: Sequence[float], target: float, *, after: int = 0) -> float:
    """Return the rounds until the smoothed curve reaches its target; the length of the run if it never does.

    Parameters
    ----------
    curve
        (num_rounds,) accuracies.
    target
        The value to reach.
    after
        Rounds that are left out at the start; the rest is smoothed and counted anew.
    """
    left = curve[after:]
    reached = place(left, target)
    return float(len(left) if reached is None else reached + 1)


def amount_to(curve: Sequence[float], amounts: Sequence[float], target: float, *, after: int = 0) -> float:
    """Return the seconds or bytes until the target, from cumulative ``amounts``; all of them if it is never reached."""
    before = amounts[after - 1] if after else 0.0
    reached = place(curve[after:], target)
    return amounts[-1 if reached is None else after + reached] - before


def place(curve: Sequence[float], target: float) -> int | None:
    """Return the index of the first round at the target; None if there is none."""
    reached = np.flatnonzero(smoothed(curve) >= target)
    return int(reached[0]) if len(reached) else None


def final(curve: Sequence[float]) -> float:
    """Return the mean of the last measured values; NaN if nothing was measured."""
    known = [value for value in curve if not math.isnan(value)]
    return float(np.mean(known[-FINAL:])) if known else math.nan


def area(curve: Sequence[float]) -> float:
    """Return the mean of a curve over its rounds; values that were not measured are those before them."""
    filled = smoothed(curve)
    return float(np.nanmean(filled))


def percent(share: float) -> str:
    """Write a share.

    Examples
    --------
    >>> percent(0.97)
    '97 %'
    """
    return f"{100.0 * share:g} %"


def at_risk(times: Sequence[float], horizon: int) -> list[int]:
    """Return for each round how many runs have not yet reached their target before it, (horizon,).

    Examples
    --------
    >>> at_risk([1.0, 3.0, 3.0], 3)
    [3, 2, 2]
    """
    return [sum(time >= number for time in times) for number in range(1, horizon + 1)]

"""Paired comparisons over seeds: restricted times, ratios with intervals, and Holm's correction for many comparisons.

A run that never reaches its target is *censored*: its time is only known to be longer than the horizon, the end of the
run. It counts with the horizon itself (the restricted time). This moves every ratio towards 1. So the share of runs
that reached the target is reported too.

Two alignments are compared seed by seed, because a seed fixes partition, devices, dropouts and initial model. Times are
compared by the mean of the log ratios, with Student's t.

Sources: P. Royston, M. Parmar, "Restricted mean survival time", BMC Med. Res. Methodol. 13 (2013); S. Holm, "A simple
sequentially rejective multiple test procedure", Scand. J. Stat. 6 (1979).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from alignsolve.numerics import BoolArray, FloatArray


class Times(NamedTuple):
    """The times that the runs of an alignment took to reach a target.

    Attributes
    ----------
    restricted
        (num_seeds,) each run's time; the horizon for censored runs.
    reached_by
        (num_seeds,) whether each run reached the target.
    """

    restricted: FloatArray
    reached_by: BoolArray

    @property
    def reached(self) -> float:
        """Share of the runs that reached the target."""
        return float(self.reached_by.mean())

    @property
    def mean(self) -> float:
        """Mean of the restricted times."""
        return float(self.restricted.mean())


class Estimate(NamedTuple):
    """A mean of paired comparisons.

    Attributes
    ----------
    value
        Geometric mean of ratios, or mean of differences.
    low, high
        Ends of the confidence interval; NaN with fewer than two pairs.
    p
        Two-sided p value of the hypothesis that the two do not differ; NaN with fewer than two pairs.
    """

    value: float
    low: float
    high: float
    p: float


def first_time(values: FloatArray, target: float, times: FloatArray) -> float:
    """Return the time at which a curve first reaches its target; NaN if it never does.

    Parameters
    ----------
    values, times
        (num_rounds,) the curve, and the time at the end of each round.
    target
        The value to reach.
    """
    above = np.flatnonzero(values >= target)
    return float(times[above[0]]) if len(above) else math.nan


def restrict(times: FloatArray, horizons: FloatArray) -> Times:
    """Replace censored times by the horizon.

    Parameters
    ----------
    times
        (num_seeds,) NaN for runs that did not reach the target.
    horizons
        (num_seeds,) time at the end of each run.
    """
    censored = np.isnan(times)
    return Times(np.where(censored, horizons, times), ~censored)


def paired_ratio(ours: FloatArray, theirs: FloatArray, *, confidence: float = 0.95) -> Estimate:
    """Return the geometric mean of ours / theirs with its interval.

    Parameters
    ----------
    ours, theirs
        (num_pairs,) values above 0.
    confidence
        Confidence level of the interval.

    Raises
    ------
    ValueError
        If there is no pair, or a value is not above 0.

    Examples
    --------
    >>> ratio = paired_ratio(np.array([10.0, 12.0, 11.0]), np.array([20.0, 24.0, 22.0]))
    >>> round(ratio.value, 6), round(ratio.high, 6)
    (0.5, 0.5)
    """
    if not len(ours) or not ((ours > 0).all() and (theirs > 0).all()):
        raise ValueError("a ratio needs pairs of values above 0")
    logs = np.log(ours) - np.log(theirs)
    middle, margin, p = mean_with_margin(logs, confidence)
    return Estimate(math.exp(middle), math.exp(middle - margin), math.exp(middle + margin), p)


def paired_difference(ours: FloatArray, theirs: FloatArray, *, confidence: float = 0.95) -> Estimate:
    """Return the mean of ours − theirs with its interval.

    Raises
    ------
    ValueError
        If there is no pair.
    """
    if not len(ours):
        raise ValueError("a difference needs pairs of values")
    middle, margin, p = mean_with_margin(ours - theirs, confidence)
    return Estimate(middle, middle - margin, middle + margin, p)


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p values for their number by Holm's method; NaN stays NaN and does not count.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    known = [k for k, p in enumerate(p_values) if not math.isnan(p)]
    corrected = [math.nan] * len(p_values)
    largest = 0.0
    for rank, k in enumerate(sorted(known, key=lambda k: p_values[k])):
        largest = max(largest, min(1.0, (len(known) - rank) * p_values[k]))
        corrected[k] = largest
    return corrected


def mean_with_margin(values: FloatArray, confidence: float = 0.95) -> tuple[float, float, float]:
    """Return the mean, half the width of its interval, and the p value of the hypothesis that the mean is 0."""
    from scipy import stats  # noqa: PLC0415  (half a second to import, and only reports need it)

    mean = float(values.mean())
    if len(values) < 2:
        return mean, math.nan, math.nan
    error = float(values.std(ddof=1)) / math.sqrt(len(values))
    if error == 0.0:
        return mean, 0.0, 0.0 if mean else 1.0
    freedom = len(values) - 1
    margin = float(stats.t.ppf(0.5 + confidence / 2, freedom)) * error
    return mean, margin, float(2.0 * stats.t.sf(abs(mean) / error, freedom))

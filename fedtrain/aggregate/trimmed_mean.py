"""The trimmed mean of every coordinate: Yin et al., "Byzantine-robust distributed learning", ICML 2018.

Of n holders' values the f largest and the f smallest are left out, and the rest is averaged by weight. Up to f bad
updates cannot move a coordinate out of the range of the good ones. How many are left out is counted in holders, however
heavy they are.
"""

import math

import numpy as np

from alignsolve.numerics import FloatArray


def trimmed_mean(values: FloatArray, weights: FloatArray, *, bad_share: float) -> FloatArray:
    """Average each coordinate without its extremes.

    Parameters
    ----------
    values
        (num_holders, num_parameters) float64, what each holder returned; at least one row.
    weights
        (num_holders,) above 0.
    bad_share
        f is this share of the holders, rounded up, and at most so many that one or two values are left: one or two
        holders are averaged, and bear nothing.

    Returns
    -------
    FloatArray
        (num_parameters,).

    Examples
    --------
    >>> trimmed_mean(np.array([[0.0], [2.0], [4.0], [1e9]]), np.ones(4), bad_share=0.25)
    array([3.])
    """
    count = trimmed(len(values), bad_share)
    order = np.argsort(values, axis=0, kind="stable")[count : len(values) - count]
    kept, weight = np.take_along_axis(values, order, axis=0), weights[order]
    return (kept * weight).sum(axis=0) / weight.sum(axis=0)


def trimmed(num_holders: int, bad_share: float) -> int:
    """How many values are left out at either end."""
    return min(math.ceil(bad_share * num_holders - 1e-9), (num_holders - 1) // 2)

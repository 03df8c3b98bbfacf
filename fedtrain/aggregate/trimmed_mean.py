"""The trimmed mean of every coordinate: Yin et al., "Byzantine-robust distributed learning", ICML 2018.

The f largest and the f smallest of n holders' values are left out, and the rest is averaged by weight. Up to f bad
updates cannot move a coordinate out of the range of the good ones. f counts holders; their weights play no part in it.
"""

import math

import numpy as np

from alignsolve.numerics import FloatArray


def trimmed_mean(values: FloatArray, weights: FloatArray, *, bad_share: float) -> FloatArray:
    """Return the weighted mean of each coordinate without its extreme values.

    Parameters
    ----------
    values
        (num_holders, num_parameters) float64; the values that each holder returned; at least one row.
    weights
        (num_holders,) the holders' weights, all above 0.
    bad_share
        The share of the holders that may be bad. f is this share of n, rounded up, but at least one value is kept. With
        one or two holders f is 0: they are averaged, and no bad update is tolerated.

    Returns
    -------
    FloatArray
        (num_parameters,) the merged values.

    Examples
    --------
    >>> trimmed_mean(np.array([[0.0], [2.0], [4.0], [1e9]]), np.ones(4), bad_share=0.25)
    array([3.])
    """
    # Sort each coordinate, and drop the same number of values at both ends.
    count = trimmed(len(values), bad_share)
    order = np.argsort(values, axis=0, kind="stable")[count : len(values) - count]
    # Average the rest by weight.
    kept, weight = np.take_along_axis(values, order, axis=0), weights[order]
    return (kept * weight).sum(axis=0) / weight.sum(axis=0)


def trimmed(num_holders: int, bad_share: float) -> int:
    """Return the number of values that are left out at each end."""
    return min(math.ceil(bad_share * num_holders - 1e-9), (num_holders - 1) // 2)

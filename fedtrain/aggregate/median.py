"""The median of every coordinate, weighted: Yin et al., "Byzantine-robust distributed learning", ICML 2018.

The weighted median has half of the weight below it and half above it. It therefore tolerates bad updates of less than
half of the weight: each coordinate of the result stays within the range of the good updates. With equal weights, less
than half of the holders may be bad.
"""

import numpy as np

from alignsolve.numerics import FloatArray


def median(values: FloatArray, weights: FloatArray, *, bad_share: float = 0.0) -> FloatArray:
    """Return the weighted median of each coordinate.

    If exactly half of the weight lies on either side, the result is the midpoint of the two middle values. Two holders
    of equal weight thus give their mean; of two holders with different weights, the heavier one's values are returned.
    A single holder's values are returned unchanged. With fewer than three holders, no bad update is tolerated.

    Parameters
    ----------
    values
        (num_holders, num_parameters) float64; the values that each holder returned; at least one row.
    weights
        (num_holders,) the holders' weights, all above 0.
    bad_share
        Not used by this rule: the median tolerates a fixed share.

    Returns
    -------
    FloatArray
        (num_parameters,) the merged values.

    Examples
    --------
    >>> median(np.array([[0.0, 3.0], [4.0, 9.0], [1e9, -1e9]]), np.ones(3))
    array([4., 3.])
    """
    # Sort each coordinate, and sum up the weights in that order.
    order = np.argsort(values, axis=0, kind="stable")
    ordered = np.take_along_axis(values, order, axis=0)
    below = np.cumsum(weights[order], axis=0)
    # Find the two middle rows: the first to reach half of the weight, and the first to exceed it.
    half = 0.5 * below[-1]
    slack = HALF * below[-1]
    low = np.argmax(below >= half - slack, axis=0)
    high = np.argmax(below > half + slack, axis=0)
    # Take the midpoint. The two rows differ only if exactly half of the weight lies on either side.
    columns = np.arange(values.shape[1])
    return 0.5 * (ordered[low, columns] + ordered[high, columns])


HALF = 1e-12
"""Tolerance for rounding: a sum of weights this close to half of the total, as a share of the total, counts as half."""

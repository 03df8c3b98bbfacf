"""The median of every coordinate, weighted: Yin et al., "Byzantine-robust distributed learning", ICML 2018.

The weighted median lies where half of the weight is below and half above, so that it bears bad updates of less than
half the weight: each coordinate of the result then lies within those of the good updates. With equal weights that is
less than half of the holders.
"""

import numpy as np

from alignsolve.numerics import FloatArray


def median(values: FloatArray, weights: FloatArray, *, bad_share: float = 0.0) -> FloatArray:
    """Take each coordinate's weighted median.

    Where exactly half of the weight lies on either side, the middle of the two values is taken: with two holders of
    equal weight, their mean. A single holder's values are returned as they are, and of two holders the heavier one's:
    fewer than three bear nothing.

    Parameters
    ----------
    values
        (num_holders, num_parameters) float64, what each holder returned; at least one row.
    weights
        (num_holders,) above 0.
    bad_share
        Not used: it bears what it bears.

    Returns
    -------
    FloatArray
        (num_parameters,).

    Examples
    --------
    >>> median(np.array([[0.0, 3.0], [4.0, 9.0], [1e9, -1e9]]), np.ones(3))
    array([4., 3.])
    """
    order = np.argsort(values, axis=0, kind="stable")
    ordered = np.take_along_axis(values, order, axis=0)
    below = np.cumsum(weights[order], axis=0)
    half = 0.5 * below[-1]
    slack = HALF * below[-1]
    low = np.argmax(below >= half - slack, axis=0)
    high = np.argmax(below > half + slack, axis=0)
    columns = np.arange(values.shape[1])
    return 0.5 * (ordered[low, columns] + ordered[high, columns])


HALF = 1e-12
"""Share of the weight by which a sum of weights may miss a half by rounding."""

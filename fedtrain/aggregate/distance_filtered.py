"""The distance filter of FedAA (arXiv 2402.05541).

The distance of a holder is the sum of its distances to all others. The half with the smallest distances is averaged by
weight. Fewer than half of the holders may be bad, if they are far from the others. FedAA then learns weights for the
half that is kept, for which see :mod:`fedtrain.aggregate.learned`.
"""

import numpy as np

from alignsolve.numerics import FloatArray
from fedtrain.aggregate.mean import mean

TIE = 1e-9
"""Relative difference up to which two distances are the same."""


def distance_filtered(values: FloatArray, weights: FloatArray, *, bad_share: float = 0.0) -> FloatArray:
    """Return the weighted mean of the half of the updates that is nearest to all others.

    Parameters
    ----------
    values
        (num_holders, num_parameters) float64; the values that each holder returned; at least one row.
    weights
        (num_holders,) the holders' weights, all above 0. They play no part in the choice.
    bad_share
        Not used by this rule: it always keeps half, rounded up. Updates whose distance ties with the last one that is
        kept are kept, too. Two holders are therefore always averaged, and no bad update is tolerated.

    Returns
    -------
    FloatArray
        (num_parameters,) the merged values.

    Examples
    --------
    >>> distance_filtered(np.array([[0.0], [1.0], [2.0], [1e9]]), np.ones(4))
    array([1.5])
    """
    distances = np.array([np.sqrt(np.square(values - row).sum(axis=1)).sum() for row in values])
    last = np.sort(distances)[(len(values) + 1) // 2 - 1]
    kept = distances <= last * (1.0 + TIE)
    return mean(values[kept], weights[kept])

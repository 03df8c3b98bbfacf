"""Norm matching: the scaling of FedFA (arXiv 2406.09877).

Clients that train for longer, or on smaller models, return larger tensors, and a mean favours these. So each holder's
tensor is first scaled to the mean norm of all holders. The norm leaves out the largest entries, because few of them
would decide it. The weights of the mean are those of every other rule here. Which entries the norm leaves out was
reconstructed: those above the 95th percentile of their absolute values.
"""

import numpy as np

from alignsolve.numerics import FloatArray
from fedtrain.aggregate.mean import mean

PERCENTILE = 95.0
"""Entries whose absolute value is above this percentile of their tensor do not count in its norm."""


def norm_matched(values: FloatArray, weights: FloatArray, *, bad_share: float = 0.0) -> FloatArray:
    """Return the weighted mean of the holders' values, each scaled to the holders' mean norm.

    Scaling depends on where 0 is. So the result need not lie between the values, and it does not move along if the same
    number is added to all values. A single holder's values are returned unchanged.

    Parameters
    ----------
    values
        (num_holders, num_parameters) float64; the values that each holder returned; at least one row. They are one
        tensor's: :func:`fedtrain.partial.merge` applies this rule tensor by tensor.
    weights
        (num_holders,) the holders' weights, all above 0.
    bad_share
        Not used by this rule: a single bad update can move the mean anywhere, within the mean norm.

    Returns
    -------
    FloatArray
        (num_parameters,) the merged values. Values whose norm is 0 are not scaled, and their norm does not count.

    Examples
    --------
    >>> norm_matched(np.array([[1.0, 1.0], [3.0, 3.0]]), np.ones(2))
    array([2., 2.])
    """
    sizes = np.abs(values)
    inside = sizes <= np.percentile(sizes, PERCENTILE, axis=1, keepdims=True)
    norms = np.sqrt(np.square(np.where(inside, values, 0.0)).sum(axis=1))
    found = norms > 0.0
    if len(values) == 1 or not found.any():
        return mean(values, weights)
    scale = np.where(found, norms[found].mean() / np.where(found, norms, 1.0), 1.0)
    return mean(values * scale[:, None], weights)

"""Multi-Krum: Blanchard et al., "Machine learning with adversaries: Byzantine tolerant gradient descent", NeurIPS 2017.

Let there be n holders, of which f may be bad. The score of an update is the sum of its squared distances to its n − f −
2 nearest updates. The n − f updates with the lowest scores are averaged by weight. Bad updates that are far from the
others are thus left out completely. Distances are computed over the whole vector of an expert.

The paper's guarantee needs n ≥ 2f + 3, and holds for the selection of a single update.
"""

import math

import numpy as np

from alignsolve.numerics import FloatArray


def multi_krum(values: FloatArray, weights: FloatArray, *, bad_share: float) -> FloatArray:
    """Return the weighted mean of the updates that lie close to most others.

    Parameters
    ----------
    values
        (num_holders, num_parameters) float64; the values that each holder returned; at least one row.
    weights
        (num_holders,) the holders' weights, all above 0.
    bad_share
        The share of the holders that may be bad. f is this share of n, rounded up, and at most (n − 3) / 2. With 4
        holders or fewer f is 0: all are averaged, and no bad update is tolerated.

    Returns
    -------
    FloatArray
        (num_parameters,) the merged values.

    Examples
    --------
    >>> values = np.array([[0.0], [1.0], [2.0], [3.0], [1e9]])
    >>> multi_krum(values, np.ones(5), bad_share=0.2)
    array([1.5])
    """
    count = len(values)
    bad = min(math.ceil(bad_share * count - 1e-9), max(count - 3, 0) // 2)
    if not bad:
        chosen = np.arange(count)
    else:
        # Score each update by its distances to its nearest updates, itself excluded.
        distances = _squared_distances(values)
        np.fill_diagonal(distances, np.inf)
        scores = np.sort(distances, axis=1)[:, : count - bad - 2].sum(axis=1)
        # Keep the lowest scores, in the order of the holders.
        chosen = np.sort(np.argsort(scores, kind="stable")[: count - bad])
    # Average the chosen updates by weight.
    weight = weights[chosen]
    return (values[chosen] * weight[:, None]).sum(axis=0) / weight.sum()


def _squared_distances(values: FloatArray) -> FloatArray:
    """Return the squared distances between all rows, (num_holders, num_holders).

    They are computed from differences. The expansion into squares would lose digits for large values.
    """
    return np.stack([np.square(values - row).sum(axis=1) for row in values])

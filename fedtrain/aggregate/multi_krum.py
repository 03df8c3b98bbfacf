"""Multi-Krum: Blanchard et al., "Machine learning with adversaries: Byzantine tolerant gradient descent", NeurIPS 2017.

With n holders of which f may be bad, an update's score is the sum of its squared distances to the n − f − 2 updates
nearest to it; the n − f updates with the lowest scores are averaged, by weight. Bad updates far from the others are
left out whole. The paper's guarantee asks for n ≥ 2f + 3, and is for one selected update; distances are taken over an
expert's whole vector.
"""

import math

import numpy as np

from alignsolve.numerics import FloatArray


def multi_krum(values: FloatArray, weights: FloatArray, *, bad_share: float) -> FloatArray:
    """Average those updates that lie close to most others.

    Parameters
    ----------
    values
        (num_holders, num_parameters) float64, what each holder returned; at least one row.
    weights
        (num_holders,) above 0.
    bad_share
        f is this share of the holders, rounded up, and at most (n − 3) / 2, for which there must be 5 holders or more:
        up to 4 are averaged, and bear nothing.

    Returns
    -------
    FloatArray
        (num_parameters,).

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
        distances = _squared_distances(values)
        np.fill_diagonal(distances, np.inf)
        scores = np.sort(distances, axis=1)[:, : count - bad - 2].sum(axis=1)
        chosen = np.sort(np.argsort(scores, kind="stable")[: count - bad])
    weight = weights[chosen]
    return (values[chosen] * weight[:, None]).sum(axis=0) / weight.sum()


def _squared_distances(values: FloatArray) -> FloatArray:
    """Between all rows, (num_holders, num_holders); of differences: squares of large values cancel badly."""
    return np.stack([np.square(values - row).sum(axis=1) for row in values])

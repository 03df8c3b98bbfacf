"""The weighted mean: McMahan et al., "Communication-efficient learning of deep networks" (FedAvg), AISTATS 2017.

It bears no bad update at all: a single one can move it anywhere.
"""

from alignsolve.numerics import FloatArray


def mean(values: FloatArray, weights: FloatArray, *, bad_share: float = 0.0) -> FloatArray:
    """Average by weight.

    A single holder's values are returned as they are. Rows are added in their order, one by one.

    Parameters
    ----------
    values
        (num_holders, num_parameters) float64, what each holder returned; at least one row.
    weights
        (num_holders,) above 0.
    bad_share
        Not used.

    Returns
    -------
    FloatArray
        (num_parameters,).

    Examples
    --------
    >>> import numpy as np
    >>> mean(np.array([[0.0, 3.0], [4.0, 3.0]]), np.array([3.0, 1.0]))
    array([1., 3.])
    """
    total, weight = values[0] * weights[0], float(weights[0])
    for row, more in zip(values[1:], weights[1:], strict=True):
        total += row * more
        weight += float(more)
    return total / weight

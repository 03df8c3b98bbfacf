"""The weighted mean: McMahan et al., "Communication-efficient learning of deep networks" (FedAvg), AISTATS 2017.

It bears no bad update at all: a single one can move it anywhere.
"""

from alignsolve.numerics import FloatArray
from fedtrain.aggregate.arrays import weighted_mean


def mean(values: FloatArray, weights: FloatArray, *, bad_share: float = 0.0) -> FloatArray:
    """Average by weight.

    A single holder's values are returned as they are. Rows are added in their order, one by one, as
    :func:`fedtrain.partial.merge` does it.

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
    average: FloatArray | None = weighted_mean(zip(values, weights.tolist(), strict=True), values[0])
    assert average is not None  # weights are above 0
    return average

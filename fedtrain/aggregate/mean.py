"""The weighted mean: McMahan et al., "Communication-efficient learning of deep networks" (FedAvg), AISTATS 2017.

The mean tolerates no bad update: a single one can move it anywhere.
"""

from alignsolve.numerics import FloatArray
from fedtrain.aggregate.arrays import weighted_mean


def mean(values: FloatArray, weights: FloatArray, *, bad_share: float = 0.0) -> FloatArray:
    """Return the weighted mean.

    With a single holder, its values are returned unchanged. Rows are added one by one in their order, as in
    :func:`fedtrain.partial.merge`.

    Parameters
    ----------
    values
        (num_holders, num_parameters) float64; the values that each holder returned; at least one row.
    weights
        (num_holders,) the holders' weights, all above 0.
    bad_share
        Not used by this rule.

    Returns
    -------
    FloatArray
        (num_parameters,) the merged values.

    Examples
    --------
    >>> import numpy as np
    >>> mean(np.array([[0.0, 3.0], [4.0, 3.0]]), np.array([3.0, 1.0]))
    array([1., 3.])
    """
    average: FloatArray | None = weighted_mean(zip(values, weights.tolist(), strict=True), values[0])
    assert average is not None  # weights are above 0
    return average

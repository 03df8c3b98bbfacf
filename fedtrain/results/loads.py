"""How evenly loads lie over the experts."""

from alignsolve.numerics import FloatArray


def variation(loads: FloatArray) -> float:
    """Coefficient of variation; 0 where nothing was loaded.

    Examples
    --------
    >>> import numpy as np
    >>> variation(np.array([1.0, 3.0])), variation(np.zeros(2))
    (0.5, 0.0)
    """
    mean = loads.mean()
    return float(loads.std() / mean) if mean > 0.0 else 0.0

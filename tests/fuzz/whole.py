"""Floats as whole numbers over one denominator: nothing is rounded."""

import math
from typing import Any

import numpy as np


def whole(*arrays: Any) -> tuple[list[Any], int]:
    """Write arrays over one denominator: arrays of whole numbers, and the denominator."""
    parts = [[None if math.isinf(x) else x.as_integer_ratio() for x in _flat(array)] for array in arrays]
    bottom = math.lcm(*{part[1] for array in parts for part in array if part is not None})
    tops = []
    for array, part in zip(arrays, parts, strict=True):
        top = np.empty(len(part), dtype=object)
        top[:] = [None if each is None else each[0] * (bottom // each[1]) for each in part]
        tops.append(top.reshape(np.shape(array)))
    return tops, bottom


def _flat(array: Any) -> list[Any]:
    array = np.asarray(array)
    return (array if array.dtype.kind in "iu" else array.astype(np.float64)).ravel().tolist()

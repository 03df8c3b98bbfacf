# mypy: allow-untyped-decorators
"""Order numbers in compiled code: numba's own sort takes ten seconds to compile, once more for every caller."""

from typing import Any

import numpy as np
import numpy.typing as npt

from alignsolve.runtime.jit import inner

Array = npt.NDArray[Any]  # inside compiled code, where numba knows the types

RUN = 16
"""Numbers that are sorted by insertion; sorted runs are merged."""


@inner
def falling_order(values: Array) -> Array:
    """The positions of the values, largest first; ties in the order of positions. No value is NaN."""
    n = len(values)
    order, merged = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    for start in range(0, n, RUN):
        for t in range(start, min(start + RUN, n)):
            at = t
            while at > start and values[order[at - 1]] < values[t]:
                order[at] = order[at - 1]
                at -= 1
            order[at] = t
    width = RUN
    while width < n:
        for start in range(0, n, 2 * width):
            middle, end = min(start + width, n), min(start + 2 * width, n)
            left, right = start, middle
            for t in range(start, end):
                if left < middle and (right >= end or values[order[left]] >= values[order[right]]):
                    merged[t] = order[left]
                    left += 1
                else:
                    merged[t] = order[right]
                    right += 1
        order, merged = merged, order
        width *= 2
    return order

# mypy: allow-untyped-decorators
"""Sums of many floats, compiled: almost as good as a correctly rounded sum, and many times faster.

Each addition's rounding error is kept, and all of them are added in the end (Sum2: T. Ogita, S. Rump, S. Oishi,
Accurate sum and dot product, SIAM Journal on Scientific Computing 26, 2005).
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from alignsolve.data.blocks import ClientBlock
from alignsolve.numerics import FloatArray, IntArray, fixed
from alignsolve.runtime.jit import kernel
from alignsolve.subproblem.row_compiled import readable

Matrix = npt.NDArray[Any]


def selected_sums(block: ClientBlock, indptr: IntArray, experts: IntArray) -> tuple[float, float, float]:
    """Sum the selected values of a block and the sizes of their fitness.

    Returns
    -------
    high, low, size
        Two floats that together make up the sum of the values, and the sum of |fitness|.
    """
    value, fitness = fixed(readable(block.value)), fixed(readable(block.fitness))
    high, low, size = _selected_sums(value, fitness, fixed(indptr), fixed(experts))
    return float(high), float(low), float(size)


def summed(values: FloatArray) -> float:
    """Sum of many floats, to within one rounding."""
    high, low = _sum_twice(values)
    return float(high + low)


@kernel
def _selected_sums(value: Matrix, fitness: Matrix, indptr: Matrix, experts: Matrix) -> Any:
    """Sum2 over the selected values; the plain sum over the sizes of their fitness."""
    high, low, size = 0.0, 0.0, 0.0
    for i in range(len(indptr) - 1):
        for k in range(indptr[i], indptr[i + 1]):
            term = np.float64(value[i, experts[k]])
            size += abs(np.float64(fitness[i, experts[k]]))
            after = high + term
            virtual = after - high
            low += (high - (after - virtual)) + (term - virtual)
            high = after
    return high, low, size


@kernel
def _sum_twice(values: Matrix) -> Any:
    high, low = 0.0, 0.0
    for term in values:
        after = high + term
        virtual = after - high
        low += (high - (after - virtual)) + (term - virtual)
        high = after
    return high, low

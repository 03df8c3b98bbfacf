"""Reduced fitness, fitness − price·load: what an expert is worth to a client that pays for the load it puts there.

Readable code calls :func:`subtract_prices`, compiled code :func:`.reduced_compiled.subtract_price`. Prices are
subtracted there and in the pricing pass of :mod:`alignsolve.solvers.price`, and nowhere else.
"""

import numpy as np
import numpy.typing as npt

from alignsolve.data.blocks import ClientBlock
from alignsolve.numerics import FloatArray, RealArray

LARGEST_EXACT = 2**62


def reduced_fitness(block: ClientBlock, prices: FloatArray) -> RealArray:
    """Fitness − price·load, (n, num_experts): int64 if exact in integers, else float64; meaningless if not allowed."""
    exact = is_exact_in_integers(block, prices)
    return subtract_prices(block.value, block.by_column(prices), block.load, dtype=np.int64 if exact else np.float64)


def subtract_prices(
    value: RealArray, prices: RealArray, load: FloatArray | None = None, *, dtype: npt.DTypeLike = np.float64
) -> RealArray:
    """Value − price·load in arithmetic of a type, (n, num_experts); a load of None is 1 everywhere."""
    paid = prices.astype(dtype)
    if load is not None:
        paid = paid * load.astype(dtype)
    difference: RealArray = np.subtract(value, paid, dtype=dtype)
    return difference


def is_exact_in_integers(block: ClientBlock, prices: FloatArray) -> bool:
    """Whether values, prices and loads are whole numbers whose combinations fit an int64."""
    if block.value.dtype.kind not in "iu" or not np.array_equal(prices, np.floor(prices)):
        return False
    heaviest = 1.0
    if block.load is not None:
        if not np.array_equal(block.load, np.floor(block.load)):
            return False
        heaviest = float(block.load.max(initial=0.0))
    largest_value, dearest = float(np.abs(block.value).max(initial=0)), float(np.abs(prices).max(initial=0.0))
    largest = max(largest_value + dearest * heaviest, dearest, heaviest)  # a price of 0 does not make a load fit
    return largest * max(1, block.num_experts) < LARGEST_EXACT

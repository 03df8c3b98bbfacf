"""Tolerances and sums, in one place: what "holds", "equal" and "proven" mean for numbers.

Floats are summed exactly rounded (:func:`math.fsum`), integers exactly, and every bound carries the error of the
arithmetic that made it, so that it can be rounded up by that much and stay a bound.
"""

import math
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Number: TypeAlias = float  # an exact Python int wherever the problem is integral (PEP 484: int is accepted as float)
FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
RealArray: TypeAlias = npt.NDArray[Any]  # float64 or int64, whichever is exact

FEASIBILITY = 1e-9
"""A constraint holds if it is violated by at most this share of max(|its bound|, the sum of its terms' sizes).

There is no absolute floor: x is 0 or 1, so a row's own size is always the right unit, and a floor of 1e-9 would
accept 200 % of a capacity of 1e-9.
"""

OPTIMALITY = 1e-9
"""A relative gap up to this is a proof of optimality."""

CANCELLATION = 1e-12
"""An absolute difference up to this share of the sum of the selected |fitness| is a proof too: the objective itself may
cancel to 0."""

REFUTED = 1e-6
"""A back end's bound is refuted where the objective exceeds it by more than this share of its size. A smaller excess
counts as the back end's own tolerance."""

EPSILON = float(np.finfo(np.float64).eps)
MAX_INTEGER = 2**53
"""Integers up to here are exact in every back end; larger ones are refused when the problem is made."""
MAX_FLOAT = 1e140
"""Floats up to here cannot overflow in a sum of products over any matrix that fits a machine; larger ones are refused.
"""


def total(values: RealArray) -> Number:
    """Sum exactly: an int for integer arrays, the correctly rounded float otherwise.

    Examples
    --------
    >>> total(np.array([1e16, 1.0, -1e16]))
    1.0
    >>> total(np.full(4, 2**62)) == 2**64
    True
    """
    if values.dtype.kind in "iub":
        wide = values.astype(np.int64, copy=False)
        return (int((wide >> 32).sum()) << 32) + int((wide & 0xFFFFFFFF).sum())
    return math.fsum(values.ravel().tolist())


def rounding_of_difference(minuend: FloatArray, subtrahend: FloatArray, difference: FloatArray) -> FloatArray:
    """Return what rounding took from ``difference = minuend − subtrahend``, exactly (Knuth's TwoSum)."""
    virtual = difference - minuend
    return (minuend - (difference - virtual)) + (-subtrahend - virtual)


SPLIT = 2.0**27 + 1.0
"""Times this, a float gives away the higher half of its bits (Veltkamp)."""
SMALLEST_SPLIT = 1e-280
"""Products below this may be too small for their rounding to be a float."""


def rounding_of_product(factor: FloatArray, other: FloatArray, product: FloatArray) -> FloatArray:
    """Return factor·other − product, exactly, for a rounded product (Dekker); at least where that is tiny."""
    high, other_high = (SPLIT * each - (SPLIT * each - each) for each in (factor, other))
    low, other_low = factor - high, other - other_high
    lost = ((high * other_high - product) + high * other_low + low * other_high) + low * other_low
    size = np.abs(product)
    tiny = (size < SMALLEST_SPLIT) & (factor != 0.0) & (other != 0.0)
    return np.where(tiny, -size - np.finfo(np.float64).tiny, lost)


def fixed(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a contiguous, read-only view or copy, so that compiled code needs one version for all callers' arrays."""
    view = np.ascontiguousarray(values).view()
    view.flags.writeable = False
    return view


def slack(bound: FloatArray, terms: FloatArray) -> FloatArray:
    """By how much a row may exceed ``bound`` and still hold, given the sum of the sizes of its terms."""
    finite = np.where(np.isfinite(bound), np.abs(bound), 0.0)
    return FEASIBILITY * np.maximum(finite, terms)


def relative_gap(bound: Number, objective: Number) -> float:
    """Relative distance between a bound and an objective: 0 where the bound is met, inf where one is missing.

    Examples
    --------
    >>> relative_gap(0.0, 0.0), relative_gap(10, 8), relative_gap(math.inf, 1.0)
    (0.0, 0.2, inf)
    """
    if bound <= objective:
        return 0.0
    if math.isinf(bound) or math.isinf(objective):
        return math.inf
    return float((bound - objective) / max(abs(bound), abs(objective)))


LAST_DIGITS = 8.0 * EPSILON
"""Relative distance of two large whole numbers, some 10¹⁵, that rounding alone may put between them."""


def is_proven(bound: Number, objective: Number, magnitude: float, *, whole: bool = False) -> bool:
    """Whether ``bound`` proves ``objective`` optimal; ``magnitude`` is the sum of |fitness| over selected pairs.

    Where all objectives are ``whole`` numbers the tolerance is the last digits of a float: a better one would be better
    by 1 at least.

    Examples
    --------
    >>> is_proven(2_000_000_005.1, 2_000_000_004, 2e9), is_proven(2_000_000_005.1, 2_000_000_004, 2e9, whole=True)
    (True, False)
    """
    if whole:
        return bool(bound < objective + 1) or relative_gap(bound, objective) <= LAST_DIGITS
    if relative_gap(bound, objective) <= OPTIMALITY:
        return True
    return bool(bound - objective <= CANCELLATION * magnitude)


def whole_floor(values: FloatArray) -> FloatArray:
    """Floor with a tolerance for the last digits: the largest whole number that holds as an upper bound."""
    return np.floor(values + FEASIBILITY * np.where(np.isfinite(values), np.abs(values), 0.0))


def whole_ceil(values: FloatArray) -> FloatArray:
    """Ceiling with a tolerance for the last digits: the smallest whole number that holds as a lower bound."""
    return np.ceil(values - FEASIBILITY * np.where(np.isfinite(values), np.abs(values), 0.0))

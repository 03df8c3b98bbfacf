"""The experts' side in whole loads: penalties as chains of straight stretches, whose slopes are compared with prices.

At price p an expert is *content* with every load at which the slope of its penalty below is at most p and the slope
above at least p. At p = 0 it is content with any load within its bounds, at p > 0 only with a full load, at p < 0
only with its demand, at p = overload penalty with any load from its capacity on, and so on.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alignsolve.data.expert_bounds import ExpertBounds
from alignsolve.numerics import FloatArray, IntArray, RealArray

LARGEST = 2**58
"""Worths, slopes and prices in fixed point stay below this, so that their sums fit an int64."""


class Slopes(NamedTuple):
    """Every expert's penalty as a chain of straight stretches.

    Attributes
    ----------
    least
        (num_experts,) int64: no load is below it.
    end
        (num_experts, stretches) int64, ascending: the load at which a stretch ends; the last is the largest load.
    slope
        (num_experts, stretches) float64, ascending: the penalty of one more unit within the stretch.
    """

    least: IntArray
    end: IntArray
    slope: FloatArray

    def scaled(self, fraction: float) -> "Slopes":
        """Return the same slopes for a sample, with loads multiplied by that fraction."""
        if fraction == 1.0:
            return self
        return Slopes(_whole(self.least * fraction), _whole(self.end * fraction), self.slope)


def _whole(loads: npt.NDArray[Any]) -> IntArray:
    """Round loads."""
    return np.rint(loads).astype(np.int64)


def slopes_of(bounds: ExpertBounds, num_clients: int) -> Slopes:
    """Read the stretches off the experts' bounds. Hard bounds must not cross."""
    least = bounds.least
    bends = bounds.breakpoints
    # A breakpoint may lie beyond the load of all clients together: it still decides which prices are possible.
    largest = np.fmax(np.fmax.reduce(bends, axis=0, initial=0.0), np.maximum(num_clients, least))
    most = np.where(np.isfinite(bounds.most), bounds.most, largest)
    bends = np.clip(bends, least, most)
    points = np.vstack([least, np.where(np.isnan(bends), least, bends), most])
    points.sort(axis=0)
    begin, end = points[:-1], points[1:]
    overload = np.where(np.isfinite(bounds.overload), bounds.overload, 0.0)
    shortfall = np.where(np.isfinite(bounds.shortfall), bounds.shortfall, 0.0)
    # A stretch that bends inside is one unit long (a fractional bound), so that one formula serves all.
    slope = overload * np.clip(end - bounds.capacity, 0.0, 1.0) - shortfall * np.clip(bounds.demand - begin, 0.0, 1.0)
    kept = (end > begin).any(axis=1) | (np.arange(len(end)) == len(end) - 1)
    slope = np.maximum.accumulate(np.where(end > begin, slope, -np.inf), axis=0)
    return Slopes(least.astype(np.int64), end[kept].T.astype(np.int64), slope[kept].T.copy())


def settle(slopes: Slopes, relative: IntArray, loads: IntArray) -> IntArray:
    """Return the loads nearest to ``loads`` with which the experts are content; ``relative`` are slopes − prices."""
    least, most = slopes.least.copy(), slopes.least.copy()
    for end, slope in zip(slopes.end.T, relative.T, strict=True):
        least = np.where(slope < 0, end, least)
        most = np.where(slope <= 0, end, most)
    return np.minimum(np.maximum(loads, least), most)


def signs(slopes: Slopes, prices: RealArray) -> IntArray:
    """Return whether each slope is above its real price, 1, or below it, −1: (num_experts, stretches)."""
    return np.sign(slopes.slope - prices[:, None]).astype(np.int64)


def relative_slopes(slopes: Slopes, prices: RealArray, exponent: int, step: int = 1) -> IntArray:
    """Return slopes − prices in fixed point, (num_experts, stretches)."""
    if prices.dtype.kind == "f":
        return fixed_point(slopes.slope - prices[:, None], exponent, step)
    finite = np.isfinite(slopes.slope)
    relative = np.where(finite, slopes.slope, 0).astype(np.int64) - prices[:, None]
    return np.where(finite, fixed_point(relative, exponent, step), -LARGEST)


def fixed_point(values: RealArray, exponent: int, step: int) -> IntArray:
    """Return values·2**exponent, rounded, times the step: within ±LARGEST, beyond which only the sign matters.

    Integers take exponents up to 0.
    """
    if values.dtype.kind == "i":
        most = LARGEST // step
        rounded = values if exponent == 0 else (values + (1 << (-exponent - 1))) >> -exponent
        return np.clip(rounded, -most, most) * step
    # A product with a power of two is exact too, and faster, unless that power is no float itself.
    with np.errstate(over="ignore"):
        scaled = values * 2.0**exponent if abs(exponent) < 1000 else np.ldexp(values, exponent)
    np.maximum(scaled, -(LARGEST // step), out=scaled)
    np.minimum(scaled, LARGEST // step, out=scaled)
    fixed = np.rint(scaled, out=scaled).astype(np.int64)
    fixed *= step
    return fixed

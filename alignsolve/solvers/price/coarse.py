"""Coarse prices: every expert raises its price while it has too much and lowers it while it has too little.

The steps grow while an expert keeps its direction and shrink when it turns round; only signs count, so that no scale
need be known. This is cheap on a small sample, and good enough to begin with shortest paths there.
Source: the sign rule is that of Rprop (M. Riedmiller, H. Braun, ICNN 1993).
"""

import numpy as np

from alignsolve.numerics import FloatArray, IntArray, RealArray
from alignsolve.solvers.price.pricing import Engine, Pass
from alignsolve.solvers.price.sample import Sample
from alignsolve.solvers.price.slopes import Slopes, contented

STEPS = 48
FAR = 1e18
"""Margins beyond it belong to clients without any other choice."""
GROW, SHRINK = 1.3, 0.5
CLOSE = 0.02
"""Share of the load that may be out of place when coarse prices are good enough."""


def coarse_prices(sample: Sample, engine: Engine, slopes: Slopes, prices: RealArray) -> RealArray:
    """Return roughly balanced prices for a sample."""
    turned: IntArray = np.zeros(len(prices), dtype=np.int64)
    step: FloatArray | None = None
    best, least = prices, np.inf
    for _ in range(STEPS):
        priced = Pass.run(sample, engine, prices, 1)
        excess = priced.loads - contented(slopes, prices, priced.loads)
        if np.abs(excess).sum() < least:
            best, least = prices, np.abs(excess).sum()
        if least <= CLOSE * priced.loads.sum():
            break
        wanted = np.sign(excess)
        if step is None:
            step = np.full(len(prices), _first_step(priced))
        step *= np.where(wanted == turned, GROW, np.where(wanted == -turned, SHRINK, 1.0))
        turned = wanted
        prices = _towards(prices, wanted * step, slopes)
    return best


def _first_step(priced: Pass) -> float:
    """Return a typical margin."""
    margins = priced.margins[(priced.margins > 0) & (priced.margins < FAR)]
    return float(np.median(margins)) if len(margins) else 1.0


def _towards(prices: RealArray, change: FloatArray, slopes: Slopes) -> RealArray:
    """Change the prices, but not across a slope of the penalty, where an expert is content with a range of loads."""
    whole = prices.dtype.kind == "i"
    target = prices + (np.sign(change) * np.ceil(np.abs(change)) if whole else change)
    for slope in slopes.slope.T:
        crossed = np.isfinite(slope) & ((prices < slope) & (target > slope) | (prices > slope) & (target < slope))
        target = np.where(crossed, slope, target)
    return target.astype(prices.dtype)

"""The step: prices that a quadratic model of the clients, with the experts' exact term, calls best.

The dual value is the experts' own term, a convex chain of straight stretches for each expert, plus the clients'
optima. At given prices the loads are the slope of the clients' part. How many clients are near a move between two
experts tells how fast these loads change: its curvature. So one exchange gives a model of second order. Coordinate
descent minimises it within a box around the prices: for one price alone, the best point is a bend or a stationary
point of a stretch.

With thousands of clients the true dual is nearly as smooth as the model, and each step squares the error until single
clients tell.
"""

import numpy as np

from alignsolve.data.expert_bounds import ExpertBounds
from alignsolve.numerics import FloatArray, IntArray

SWEEPS = 400
"""Most rounds over all prices."""
STILL = 1e-9
"""The descent ends when no price moves by more than this share of the box."""


def newton_step(
    bounds: ExpertBounds, prices: FloatArray, loads: IntArray, slopes: FloatArray, radius: float, damping: float
) -> tuple[FloatArray, float]:
    """Minimise the model of the dual value around the prices.

    Parameters
    ----------
    bounds
        The experts' side.
    prices
        (num_experts,) within their box.
    loads
        (num_experts,) at these prices.
    slopes
        (num_experts + 1, num_experts + 1) clients per unit of price that move between two experts; symmetric.
    radius
        No price moves farther.
    damping
        Curvature that every price has at least, above 0.

    Returns
    -------
    prices, fall
        (num_experts,) and by how much the model falls, 0 or more.
    """
    curvature = curvature_of(slopes) + damping * np.eye(len(prices))
    box = [np.maximum(bounds.project(np.full(len(prices), -np.inf)), prices - radius)]
    box.append(np.minimum(bounds.project(np.full(len(prices), np.inf)), prices + radius))
    chains = [_Chain(bounds, j) for j in range(len(prices))]
    here, slope = prices.copy(), -loads.astype(np.float64)
    for _ in range(SWEEPS):
        moved = 0.0
        for j, chain in enumerate(chains):
            step = chain.best(here[j], slope[j], curvature[j, j], box[0][j], box[1][j]) - here[j]
            if step:
                slope += curvature[:, j] * step
                here[j] += step
                moved = max(moved, abs(step))
        if moved <= STILL * radius:
            break
    drift = here - prices
    change = float(bounds.conjugate(here).sum() - bounds.conjugate(prices).sum() - loads @ drift)
    return here, max(0.0, -change - float(drift @ curvature @ drift) / 2)


def curvature_of(slopes: FloatArray) -> FloatArray:
    """Return how loads fall with prices, (num_experts, num_experts): the Laplacian of the moves, less the ground."""
    curvature: FloatArray = (np.diag(slopes.sum(axis=1)) - slopes)[:-1, :-1]
    return curvature


class _Chain:
    """One expert's term of the dual value: the largest of price·load − penalty over the bends of its penalty."""

    def __init__(self, bounds: ExpertBounds, expert: int) -> None:
        points = bounds.breakpoints
        kept = np.isfinite(points[:, expert])
        loads, first = np.unique(points[kept, expert], return_index=True)
        self.loads, self.penalty = loads, bounds.penalty(points)[kept, expert][first]
        self.bends = np.diff(self.penalty) / np.diff(loads)

    def best(self, here: float, slope: float, curvature: float, low: float, high: float) -> float:
        """Minimise the term plus slope·(p − here) + curvature/2·(p − here)² over low ≤ p ≤ high."""
        points = np.concatenate([self.bends, here - (self.loads + slope) / curvature])
        points = np.minimum(np.maximum(points, low), high)
        drift = points - here
        worth = (points[:, None] * self.loads - self.penalty).max(axis=1) + (slope + curvature / 2 * drift) * drift
        return float(points[worth.argmin()])

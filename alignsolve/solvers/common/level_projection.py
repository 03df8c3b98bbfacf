"""The step of the level method: project prices onto the set where a piecewise linear model is below a level.

This is a small quadratic program. Hildreth's method solves its dual, with one multiplier for each linear piece, by
coordinate ascent. The prices for given multipliers are the start moved along the pieces' slopes and clipped to the
box.

Source: C. Hildreth, A quadratic programming procedure, Naval Research Logistics Quarterly 4 (1957).
"""

from typing import Any

import numpy as np

from alignsolve.runtime.jit import kernel

SWEEPS = 200
"""Most rounds over all multipliers."""
CLOSE = 1e-3
"""A level counts as reached if it is missed by no more than this share of the distance at the start."""


@kernel
def nearest(slopes: Any, offsets: Any, level: float, start: Any, lower: Any, upper: Any) -> Any:
    """Find the point of the box nearest to ``start`` where slopes @ point + offsets ≤ level.

    Parameters
    ----------
    slopes, offsets
        (num_slopes, num_experts) and (num_slopes,): the model's pieces.
    level
        The level that the model should not exceed.
    start, lower, upper
        (num_experts,): the prices to project, and the box.

    Returns
    -------
    point, missed
        (num_experts,) and by how much the level is still missed there.
    """
    num_slopes, num_experts = slopes.shape
    steps = np.zeros(num_slopes)
    moved = start.copy()
    point = start.copy()
    squares = np.zeros(num_slopes)
    for k in range(num_slopes):
        squares[k] = np.dot(slopes[k], slopes[k])
    first = 0.0
    missed = 0.0
    for sweep in range(SWEEPS):
        missed = 0.0
        for turn in range(num_slopes):
            k = num_slopes - 1 - turn
            if squares[k] == 0.0:
                continue
            # One multiplier: step until its piece meets the level, or the multiplier is 0.
            excess = np.dot(slopes[k], point) + offsets[k] - level
            missed = max(missed, excess)
            step = max(-steps[k], excess / squares[k])
            if step == 0.0:
                continue
            steps[k] += step
            for j in range(num_experts):
                moved[j] -= step * slopes[k, j]
                point[j] = min(max(moved[j], lower[j]), upper[j])
        if sweep == 0:
            first = missed
        if missed <= CLOSE * first:
            break
    return point, missed

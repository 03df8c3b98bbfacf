"""The nearest prices at which a model made of slopes is below a level: a small quadratic program, compiled.

Solved in its dual, one multiplier for each slope: coordinate ascent, in which the prices for given multipliers are a
clipped step from where the search stands (Hildreth 1957).
"""

from typing import Any

import numpy as np

from alignsolve.runtime.jit import kernel

SWEEPS = 200
"""Rounds over all multipliers, at most."""
CLOSE = 1e-3
"""A level counts as reached if it is missed by no more than this share of what was missed at the start."""


@kernel
def nearest(slopes: Any, offsets: Any, level: float, start: Any, lower: Any, upper: Any) -> Any:
    """Find the point of the box nearest to ``start`` where slopes @ point + offsets ≤ level.

    Parameters
    ----------
    slopes, offsets
        (num_slopes, num_experts) and (num_slopes,).
    level
        What the model should not exceed.
    start, lower, upper
        (num_experts,): where the search stands, and its box.

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

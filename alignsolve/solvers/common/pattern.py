"""How near fitness is to a sum or a product of a client's and an expert's number, from a small sample.

Then hardly anything tells the clients apart, and prices settle only through long chains of moves.
"""

import numpy as np

from alignsolve.problem import AlignmentProblem

SAMPLE = 32
"""Clients and experts in the sample."""
PASSES = 4
"""Times that the means are taken out by turns; with every pair eligible the first takes out all."""
NOISE = 1e-18
"""Share of the sum of squares up to which what is left without the means is rounding."""


def strongest_pattern(problem: AlignmentProblem) -> tuple[float, float]:
    """Measure how near the fitness is to a sum and to a product of a client's and an expert's number.

    The means of clients and experts are taken out first: a client's constant changes no choice, and an expert's is
    paid by its price.

    Returns
    -------
    additive, rank_one
        Shares of the sum of squares: what the means explain, and, of what they leave, what the largest singular value
        does. The second is 0 where nothing is left.
    """
    clients, experts = (np.unique(np.linspace(0, size - 1, SAMPLE).astype(np.int64)) for size in problem.shape)
    block = problem.pick(clients)
    value = block.value[:, experts].astype(np.float64)
    allowed = np.ones(value.shape, dtype=np.bool_) if block.allowed is None else block.allowed[:, experts]
    value[~allowed] = 0.0
    rest = value
    for axis in (0, 1) * PASSES:
        mean = rest.sum(axis=axis, keepdims=True) / np.maximum(allowed.sum(axis=axis, keepdims=True), 1)
        rest = np.where(allowed, rest - mean, 0.0)
    whole = float((value**2).sum())
    squares = np.linalg.svd(rest, compute_uv=False) ** 2
    left = float(squares.sum())
    if left <= NOISE * whole:
        return 1.0, 0.0
    return 1.0 - left / whole, float(squares[0]) / left

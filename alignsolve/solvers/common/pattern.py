"""How near fitness is to a sum or a product of a client's and an expert's number, from a small sample.

Then hardly anything tells the clients apart, and prices settle only through long chains of moves.
"""

import numpy as np

from alignsolve.numerics import FloatArray, IntArray
from alignsolve.problem import AlignmentProblem

SAMPLE = 32
"""Clients and experts in the sample."""
PASSES = 4
"""Times that the means are taken out by turns; with every pair eligible once takes out all."""
NOISE = 1e-18
"""Share of the sum of squares up to which what is left without the means is rounding."""


NEARLY_A_SUM, NEARLY_A_PRODUCT = 0.98, 0.7
"""Shares of the sum of squares from which long chains are to be expected."""


def has_simple_pattern(problem: AlignmentProblem) -> bool:
    """Whether the fitness is nearly a sum or a product of a client's and an expert's number, as far as a sample tells.

    A sum is what the means of clients and experts explain. Of what they leave, a product is what the largest singular
    value explains.
    """
    clients, experts = (_spread_over(size) for size in problem.shape)
    allowed = np.ones((len(clients), len(experts)), dtype=np.bool_)
    if problem.eligible is not None:
        allowed = problem.eligible[np.ix_(clients, experts)]
    if not allowed.any():
        return False
    value = np.where(allowed, _values(problem, clients, experts), 0.0)
    whole = np.where(allowed, value - value.sum() / allowed.sum(), 0.0)
    rest = value
    for axis in (0, 1) * (1 if problem.eligible is None else PASSES):
        mean = rest.sum(axis=axis, keepdims=True) / np.maximum(allowed.sum(axis=axis, keepdims=True), 1)
        rest = np.where(allowed, rest - mean, 0.0)
    left = float((rest**2).sum())
    if left <= (1.0 - NEARLY_A_SUM) * float((whole**2).sum()) + NOISE * float((value**2).sum()):
        return True
    strongest = float(np.linalg.svd(rest, compute_uv=False)[0]) ** 2
    return strongest >= NEARLY_A_PRODUCT * left


def _values(problem: AlignmentProblem, clients: IntArray, experts: IntArray) -> FloatArray:
    """The values of a sample; whole rows are copied only where there are switching costs."""
    if problem.has_switching_costs or not isinstance(problem.fitness, np.ndarray):
        return problem.pick(clients).value[:, experts].astype(np.float64)
    return problem.fitness[np.ix_(clients, experts)].astype(np.float64)


def _spread_over(size: int) -> IntArray:
    """Positions from first to last, as many as the sample has."""
    number = min(size, SAMPLE)
    return np.arange(number) * (size - 1) // max(number - 1, 1)

"""Whether floats are precise enough: then an exact solver's answer is proven, and needs no second look."""

import math

import numpy as np

from alignsolve.certificate.worth import worth
from alignsolve.data.alignment import Alignment
from alignsolve.data.problem_view import ProblemView
from alignsolve.numerics import EPSILON, OPTIMALITY, FloatArray


def is_precise(problem: ProblemView, alignment: Alignment | None, prices: FloatArray | None) -> bool:
    """Whether rounding is small beside the objective of an alignment; False without an alignment or prices.

    Prices and bound are sums of fewer than (clients + experts)² numbers, each wrong by a last digit of the largest. The
    proof needs a gap below ``OPTIMALITY``, and below 1 where all is whole.
    """
    if alignment is None or prices is None:
        return False
    sided = [problem.experts] if problem.sets is None else [problem.experts, problem.sets.bounds]
    penalties = np.concatenate([part for bounds in sided for part in (bounds.overload, bounds.shortfall)])
    numbers = [prices, penalties[np.isfinite(penalties)], *(block.value for block in problem.blocks())]
    sizes = [(-float(part.min(initial=0)), float(part.max(initial=0))) for part in numbers]
    error = EPSILON * float(np.max(sizes)) * (problem.num_clients + problem.num_experts) ** 2  # NaN if a number is none
    return error <= min(OPTIMALITY * abs(worth(problem, alignment).objective), 0.5 if problem.integral else math.inf)

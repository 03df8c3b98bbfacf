"""Solvers that return claims chosen by a test, and small problems for them."""

import numpy as np

from alignsolve import AlignmentProblem, Answer, solve

FLOW = AlignmentProblem([[3.0, 1.0], [2.0, 1.5]], expert_capacity=1)
PACK = AlignmentProblem([[3.0, 1.0], [2.0, 1.5]], client_load=[2.0, 3.0], expert_capacity=3)
STUCK = AlignmentProblem(np.ones((3, 2)), client_demand=1, expert_capacity=1)
STUCK_PACK = AlignmentProblem(np.ones((3, 2)), client_demand=1, client_load=[1.0, 1.0, 2.0], expert_capacity=1.5)
BEST = [[True, False], [False, True]]
PROOF = np.array([1.0, 0.5])


def claim(problem, answer=None, **claimed):
    """Return what solve() makes of a solver with this claim."""
    return solve(problem, lambda problem, **_: answer or Answer(**claimed), throw=False)

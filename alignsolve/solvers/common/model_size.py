"""Whether an integer program of the whole problem fits into memory and into the time that is left."""

import math
import time

from alignsolve.problem import AlignmentProblem
from alignsolve.solution import SolveError

MOST_PAIRS = 1 << 22
"""Largest number of pairs for which an integer program is built; a back end needs 2 to 5 KB for each pair."""
BUILDING_SHARE = 0.5
"""A model is not started if building it would take more than this share of the time left."""


def model_fits(problem: AlignmentProblem, solver: str, seconds_per_pair: float, deadline: float) -> bool:
    """Whether there are time and memory for an integer program of the whole problem.

    Parameters
    ----------
    problem
        Of either class.
    solver
        Its name, for the error message.
    seconds_per_pair
        Time that the solver's back end takes to build the model, for each pair.
    deadline
        On the clock of :func:`time.monotonic`.

    Raises
    ------
    SolveError
        If the model is too large and there is no deadline: then an answer without proof would have no explanation.
    """
    pairs = problem.num_clients * problem.num_experts
    if pairs > MOST_PAIRS and deadline == math.inf:
        raise SolveError(
            f"{solver}: {pairs} pairs are more than its back end can hold, {MOST_PAIRS}; use solver='auto'"
        )
    return pairs <= MOST_PAIRS and pairs * seconds_per_pair < BUILDING_SHARE * (deadline - time.monotonic())

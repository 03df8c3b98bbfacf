"""How much load the clients can put on a set of experts at most, or must put there at least."""

import numpy as np

from alignsolve.data.problem_view import ProblemView
from alignsolve.numerics import BoolArray, FloatArray
from alignsolve.subproblem.dispatch import row_engine


def most_for(problem: ProblemView, direction: FloatArray) -> tuple[FloatArray, BoolArray]:
    """Per client, the most of Σ_j direction_j·load_ij·x_ij that its own row allows, and whether it allows anything.

    A direction of 1 on a set of experts and 0 elsewhere gives the most load that each client can put on the set. Its
    negative gives minus the least load that each client must put there.

    Returns
    -------
    most
        (num_clients,) float64.
    feasible
        (num_clients,) bool.
    """
    most = np.zeros(problem.num_clients)
    feasible = np.ones(problem.num_clients, dtype=np.bool_)
    engine = row_engine(problem)
    for block in problem.blocks():
        optima = engine.optimise(block.without_values(), -direction)
        most[block.start : block.stop] = optima.value.astype(np.float64)
        feasible[block.start : block.stop] = optima.feasible
    return most, feasible

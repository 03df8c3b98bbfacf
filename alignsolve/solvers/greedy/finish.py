"""Make an alignment feasible that another solver left unfinished: few of its rows and loads break a bound."""

import numpy as np

from alignsolve.data.alignment import Alignment
from alignsolve.problem import AlignmentProblem
from alignsolve.solvers.greedy.complete import complete_rows
from alignsolve.solvers.greedy.solver import repair
from alignsolve.solvers.greedy.state import (
    FREE,
    GROUP_CAPACITY,
    GROUPS,
    HELD,
    IN_GROUP,
    PER_GROUP,
    State,
    gather,
    hold,
    recount,
    to_alignment,
)


def finish(problem: AlignmentProblem, alignment: Alignment, deadline: float) -> Alignment | None:
    """Complete its rows and repair its loads; None where this fails or the deadline comes first.

    Parameters
    ----------
    problem
        Of the cardinality class.
    alignment
        Of eligible pairs, the required ones among them; no client has more experts than its capacity.
    deadline
        On the clock of :func:`time.monotonic`.
    """
    state = gather(problem)
    hold(state, np.arange(problem.num_clients), alignment.to_dense(problem.num_experts))
    _empty_overfull_groups(state)
    if not complete_rows(problem, state, deadline):
        return None
    if state.broken.any():
        repair(problem, state, deadline)
    return None if state.broken.any() else to_alignment(state)


def _empty_overfull_groups(state: State) -> None:
    """Drop what clients hold of groups in which they hold too many; they are then completed."""
    rows = state.rows[:, GROUPS:]
    overfull = rows[:, IN_GROUP::PER_GROUP] > rows[:, GROUP_CAPACITY::PER_GROUP]
    if overfull.any():
        state.status[overfull[:, state.group] & (state.status == HELD)] = FREE
        recount(state)

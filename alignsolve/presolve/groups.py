"""Groups of experts are dropped where their bounds never bind, and where there is only one group."""

import numpy as np

from alignsolve.presolve.reduction import Reduction, Rewritten, able, changed, portions
from alignsolve.problem import AlignmentProblem

NO_GROUPS = {"expert_group": None, "group_capacity": None, "group_demand": None}


def drop_groups(problem: AlignmentProblem) -> Reduction | None:
    """Drop the groups if their bounds never bind or are the clients' own; None if they matter."""
    if problem.expert_group is None:
        return None
    if problem.num_groups == 1:
        capacity = np.minimum(problem.client_capacity, problem.group_capacity[:, 0])
        demand = np.maximum(problem.client_demand, problem.group_demand[:, 0])
        fields = {"client_capacity": capacity, "client_demand": demand}
        return Rewritten(changed(problem, **fields, **NO_GROUPS), "all experts are in one group")
    if problem.group_demand.any() or not _never_bind(problem):
        return None
    return Rewritten(changed(problem, **NO_GROUPS), "the bounds of groups never bind")


def _never_bind(problem: AlignmentProblem) -> bool:
    """Whether no client can exceed its capacity in a group."""
    for rows in portions(problem):
        possible, capacity = able(problem, rows), problem.client_capacity[rows]
        for g in range(problem.num_groups):
            most = np.minimum(capacity, possible[:, problem.expert_group == g].sum(axis=1))
            if (most > problem.group_capacity[rows, g]).any():
                return False
    return True

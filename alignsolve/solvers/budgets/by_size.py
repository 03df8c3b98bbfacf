"""An alignment within all budgets by as many flows as there are sizes of experts.

Once it is settled how many experts of each size a client takes (:mod:`alignsolve.subproblem.sized_rows`), nothing is
left of the budgets, and nothing couples experts of different sizes: each size is a min-cost flow of its own. Its
optimum needs no repair.
"""

import numpy as np

from alignsolve.data.alignment import Alignment
from alignsolve.numerics import FloatArray, IntArray
from alignsolve.presolve.reduction import changed
from alignsolve.problem import AlignmentProblem
from alignsolve.solvers.budgets.rated_flow import best_flow
from alignsolve.subproblem.sized_rows import Sizes


def align_by_size(
    problem: AlignmentProblem,
    value: FloatArray,
    numbers: IntArray,
    sizes: Sizes,
    prices: FloatArray,
    deadline: float,
) -> Alignment | None:
    """Align each size's experts, a client taking at most so many of them; None where a demand cannot be met so.

    Parameters
    ----------
    problem
        Its groups have experts of one size each.
    value
        (num_clients, num_experts)
    numbers
        (num_clients, num_sizes)
    sizes
        The experts' sizes.
    prices
        (num_experts,) to begin with.
    deadline
        On the clock of :func:`time.monotonic`.

    Raises
    ------
    TimeUpError
        If the deadline comes first.
    """
    clients, experts = [], []
    for s in range(sizes.number):
        own = np.flatnonzero(sizes.of == s)
        own_value = np.ascontiguousarray(value[:, own])
        flow = best_flow(_part(problem, own_value, own), own_value, numbers[:, s], prices[own], deadline)
        if flow.alignment is None:
            return None
        clients.append(flow.alignment.clients())
        experts.append(own[flow.alignment.experts])
    return Alignment.from_pairs(np.concatenate(clients), np.concatenate(experts), problem.num_clients)


def _part(problem: AlignmentProblem, value: FloatArray, experts: IntArray) -> AlignmentProblem:
    """The problem on some experts, with their values, (num_clients, len(experts)), for fitness."""
    fields = {
        name: getattr(problem, name)[experts]
        for name in ("expert_capacity", "expert_demand", "overload_penalty", "shortfall_penalty")
    }
    if problem.expert_group is not None:
        groups, fields["expert_group"] = np.unique(problem.expert_group[experts], return_inverse=True)
        fields |= {name: getattr(problem, name)[:, groups] for name in ("group_capacity", "group_demand")}
    if problem.eligible is not None:
        fields["eligible"] = problem.eligible[:, experts]
    # Values and budgets are replaced or dropped by the flow; here they must only fit.
    return changed(
        problem,
        fitness=value,
        client_demand=np.zeros_like(problem.client_demand),
        required=None,
        previous=None,
        switching_cost=np.zeros(1),
        client_budget=None,
        expert_cost=None,
        **fields,
    )

"""Clients settle, some after the others: each chooses within its budgets, and the flow of the rest makes up for it.

A flow under rates spends the budgets only nearly. To repair it, clients would have to choose from what happens to have
room. Here a few of them choose first, from all experts under the flow's prices, and keep what they chose. Then the
others' flow is solved anew within the room that is left, with new prices, and the next few choose.
"""

from collections.abc import Callable

import numpy as np

from alignsolve.data.alignment import Alignment
from alignsolve.numerics import BoolArray, FloatArray, IntArray
from alignsolve.presolve.reduction import changed
from alignsolve.problem import AlignmentProblem
from alignsolve.solvers.budgets.rated_flow import Flow
from alignsolve.subproblem.reduced_fitness import subtract_prices
from alignsolve.subproblem.relaxed_rows import BudgetRows, relax_rows

PORTIONS = 20
"""Portions in which the clients settle."""
REWARD = 4.0
"""For a unit of a hard demand, in units of the largest value: on the way some may be unmet."""

NextFlow = Callable[[AlignmentProblem, BoolArray, FloatArray, FloatArray], Flow]
"""Solves the flow of the clients that have not settled: of (problem, settled, prices, rates)."""


def settle(
    problem: AlignmentProblem,
    value: FloatArray,
    rows: BudgetRows,
    prices: FloatArray,
    rate: FloatArray,
    next_flow: NextFlow,
    sequence: IntArray,
) -> Alignment:
    """Let clients settle in a sequence, a permutation of them; the alignment keeps all rows that can be kept.

    Parameters
    ----------
    value
        (num_clients, num_experts)
    rows
        The clients.
    prices, rate
        (num_experts,) and (num_clients, num_resources) to begin with.
    next_flow
        As its type says.
    """
    held, settled = np.zeros(problem.shape, np.bool_), np.zeros(problem.num_clients, np.bool_)
    load, rate, most = np.zeros(problem.num_experts), rate.copy(), problem.experts.most
    reward = REWARD * float(np.abs(value).max(initial=1.0))
    for portion in np.array_split(sequence, min(PORTIONS, len(sequence))):
        for i in portion:
            own = rows.part(i, i + 1)
            own = own._replace(allowed=own.allowed & ((load < most) | own.required))
            held[i] = relax_rows(own, subtract_prices(value[i : i + 1], prices), rate[i : i + 1]).chosen[0]
            load += held[i]
        settled[portion] = True
        if settled.all():
            break
        rest = _rest(problem, settled, load, reward)
        flow = next_flow(rest, settled, prices, rate)
        if flow.alignment is None:
            continue
        prices = rest.experts.project(flow.prices)
        others = np.flatnonzero(~settled)
        left = rate[others]
        relax_rows(rows.pick(others), subtract_prices(value[others], prices), left, choose=False)
        rate[others] = left
    clients, experts = np.nonzero(held)
    return Alignment.from_pairs(clients, experts, problem.num_clients)


def _rest(
    problem: AlignmentProblem, settled: BoolArray, load: FloatArray, reward: float
) -> AlignmentProblem:  # fmt: skip
    """The problem of the clients that have not settled, in the room that the others leave; those want nothing more."""
    fields = {
        "expert_capacity": np.maximum(problem.expert_capacity - load, 0.0),
        "expert_demand": np.maximum(problem.expert_demand - load, 0.0),
        "shortfall_penalty": np.minimum(problem.shortfall_penalty, reward),
        "client_demand": np.where(settled, 0, problem.client_demand),
    }
    if problem.expert_group is not None:
        fields["group_demand"] = np.where(settled[:, None], 0, problem.group_demand)
    if problem.required is not None:
        fields["required"] = problem.required & ~settled[:, None]
    return changed(problem, **fields)

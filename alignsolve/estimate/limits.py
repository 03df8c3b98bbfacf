"""Combines capacities, demands, time budgets and layers into the client fields of the round's problem.

A client that cannot meet the common demand gets fewer experts, or none. So it never makes the round infeasible.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from alignsolve.estimate.deadline import Budgets
from alignsolve.numerics import BoolArray, FloatArray, IntArray, slack, whole_floor


class ClientLimits(NamedTuple):
    """The bounds of a round's clients.

    Attributes
    ----------
    capacity
        (num_clients,) most experts that each client can take and pay for.
    fields
        Arguments of :class:`~alignsolve.AlignmentProblem`, the capacity among them.
    """

    capacity: IntArray
    fields: dict[str, Any]


def client_limits(
    capacity: IntArray,
    demand: IntArray,
    num_experts: int,
    *,
    budgets: Budgets | None = None,
    layers: Sequence[int] | None = None,
) -> ClientLimits:
    """Combine what clients can take and must take.

    Parameters
    ----------
    capacity, demand
        (num_clients,) most and fewest experts per client.
    num_experts
        Number of experts of all layers together.
    budgets
        Budgets and costs of the clients. If all experts cost a client the same, the budget becomes a capacity.
    layers
        Number of experts of each layer; a client needs one expert of each. None: one layer, without such a demand.
    """
    fields: dict[str, Any] = {}
    capacity, can = np.minimum(capacity, num_experts), np.ones(len(capacity), dtype=np.bool_)
    if budgets is not None:
        capacity = np.minimum(capacity, _affordable(budgets, num_experts))
        if budgets.cost.shape[1] > 1:
            fields |= {"client_budget": budgets.budget, "expert_cost": budgets.cost}
            can = can if layers is None else _affords_a_forward_pass(budgets, layers)
    if layers is not None:
        can &= capacity >= len(layers)
        capacity = np.where(can, capacity, 0)
        demand = np.minimum(demand, len(layers)) if "client_budget" in fields else demand
        fields["expert_group"] = np.repeat(np.arange(len(layers)), layers)
        fields["group_demand"] = np.repeat(can.astype(np.int64)[:, None], len(layers), axis=1)
    fields |= {"client_capacity": capacity, "client_demand": np.minimum(demand, capacity)}
    return ClientLimits(capacity, fields)


def _affordable(budgets: Budgets, num_experts: int) -> IntArray:
    """Return how many of its cheapest experts each client can pay for, (num_clients,)."""
    budget, cost = budgets
    if cost.shape[1] == 1:
        number = np.divide(budget, cost[:, 0], out=np.full(len(budget), np.inf), where=cost[:, 0] > 0)
        return np.minimum(whole_floor(number), num_experts).astype(np.int64)
    spent = np.cumsum(np.sort(cost, axis=1), axis=1)
    fits: BoolArray = spent <= (budget + slack(budget, budget) / 2)[:, None]
    return fits.sum(axis=1)


def _affords_a_forward_pass(budgets: Budgets, layers: Sequence[int]) -> BoolArray:
    """Return which clients can pay for the cheapest expert of every layer, (num_clients,)."""
    starts = np.concatenate([[0], np.cumsum(layers)[:-1]])
    cheapest: FloatArray = np.minimum.reduceat(budgets.cost, starts, axis=1).sum(axis=1)
    affords: BoolArray = cheapest <= budgets.budget + slack(budgets.budget, budgets.budget) / 2
    return affords

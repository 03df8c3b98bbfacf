"""Combines capacities, demands, budgets and layers into the client fields of the round's problem.

A client that cannot meet the common demand gets fewer experts, or none. So it never makes the round infeasible.
"""

import itertools
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
    layer_demand: int = 1,
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
        Number of experts of each layer; a client needs some experts of each. None: one layer, without such a demand.
    layer_demand
        Fewest experts of each layer that a client needs; all of them where a layer has fewer.
    """
    fields: dict[str, Any] = {}
    capacity, can = np.minimum(capacity, num_experts), np.ones(len(capacity), dtype=np.bool_)
    if budgets is not None:
        capacity = np.minimum(capacity, _affordable(budgets, num_experts))
        if budgets.cost.shape[1] > 1:
            cost = budgets.cost[0] if len(budgets.cost) == 1 else budgets.cost
            fields |= {"client_budget": budgets.budget, "expert_cost": cost}
            can = can if layers is None else missing_for_every_layer(budgets, layers, layer_demand) == 0.0
    if layers is not None:
        needed = np.minimum(layers, layer_demand)
        can &= capacity >= needed.sum()
        capacity = np.where(can, capacity, 0)
        demand = np.minimum(demand, needed.sum()) if "client_budget" in fields else demand
        fields["expert_group"] = np.repeat(np.arange(len(layers)), layers)
        fields["group_demand"] = np.where(can[:, None], needed, 0)
    fields |= {"client_capacity": capacity, "client_demand": np.minimum(demand, capacity)}
    return ClientLimits(capacity, fields)


def missing_for_every_layer(budgets: Budgets, layers: Sequence[int], layer_demand: int = 1) -> FloatArray:
    """Return what each client's budget lacks for the cheapest experts of every layer.

    Parameters
    ----------
    budgets
        Budgets and costs of the clients.
    layers
        Number of experts of each layer.
    layer_demand
        Fewest experts of each layer that a client needs.

    Returns
    -------
    FloatArray
        (num_clients,) in the budget's unit; 0 for a client that can pay.

    Examples
    --------
    >>> missing_for_every_layer(Budgets(np.array([5.0, 2.0]), np.array([[1.0, 3.0, 2.0]])), (2, 1))
    array([0., 1.])
    """
    starts = np.concatenate([[0], np.cumsum(layers)])
    cost = np.broadcast_to(budgets.cost, (len(budgets.cost), int(starts[-1])))
    parts = [np.sort(cost[:, low:high], axis=1)[:, :layer_demand] for low, high in itertools.pairwise(starts)]
    spent: FloatArray = np.concatenate(parts, axis=1).sum(axis=1)
    pays = spent <= budgets.budget + slack(budgets.budget, budgets.budget) / 2
    return np.where(pays, 0.0, spent - budgets.budget)


def _affordable(budgets: Budgets, num_experts: int) -> IntArray:
    """Return how many of its cheapest experts each client can pay for, (num_clients,)."""
    budget, cost = budgets
    if cost.shape[1] == 1:
        price = np.broadcast_to(cost[:, 0], budget.shape)
        number = np.divide(budget, price, out=np.full(len(budget), np.inf), where=price > 0)
        return np.minimum(whole_floor(number), num_experts).astype(np.int64)
    spent = np.cumsum(np.sort(cost, axis=1), axis=1)
    fits: BoolArray = spent <= (budget + slack(budget, budget) / 2)[:, None]
    return fits.sum(axis=1)

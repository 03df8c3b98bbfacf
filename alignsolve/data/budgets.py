"""Reads the clients' budgets and the experts' costs, for one resource or several."""

from typing import Any

import numpy as np

from alignsolve.data import validation
from alignsolve.numerics import BoolArray, FloatArray


def read_budgets(
    client_budget: Any, expert_cost: Any, eligible: BoolArray | None, shape: tuple[int, int]
) -> tuple[FloatArray | None, FloatArray | None]:
    """Validate budgets and costs.

    Parameters
    ----------
    client_budget, expert_cost
        As given to :class:`~alignsolve.AlignmentProblem`.
    eligible
        (num_clients, num_experts) bools, or None; costs of other pairs are not looked at.
    shape
        (num_clients, num_experts).

    Returns
    -------
    client_budget, expert_cost
        (num_clients, num_resources) and (num_clients, num_experts, num_resources); None for both without budgets.

    Raises
    ------
    ValueError
        If one is given without the other, their shapes do not fit, or a number is none.
    """
    if (client_budget is None) != (expert_cost is None):
        given, missing = ("client_budget", "expert_cost")
        if client_budget is None:
            given, missing = missing, given
        raise ValueError(f"{given} is given without {missing}: budgets need both")
    if client_budget is None:
        return None, None
    n, e = shape
    budget = validation.numbers("client_budget", client_budget)
    cost = validation.numbers("expert_cost", expert_cost)
    validation.check_resources(budget, cost)
    if budget.ndim < 2:
        budget, cost = np.atleast_1d(budget)[:, None], cost[..., None]
    num_resources = budget.shape[1]
    axes = ("num_clients", "num_experts", "num_resources")
    if cost.ndim == 2:
        validation.refuse_bad_amounts("expert_cost", cost, axes[1:], infinite=False)
    budget = validation.amounts("client_budget", budget, (n, num_resources), (axes[0], axes[2]), infinite=True)
    cost = validation.spread("expert_cost", cost, (n, e, num_resources), axes)
    wide = None if eligible is None else eligible[:, :, None]
    cost = validation.refuse_bad_amounts("expert_cost", cost, axes, infinite=False, eligible=wide)
    return budget, cost

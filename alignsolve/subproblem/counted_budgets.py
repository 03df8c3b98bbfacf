"""Budgets that only count: where all experts cost a client the same, its knapsack is a number of places.

Presolve writes such budgets as capacities. The answer is checked on the problem as given, with its budgets, and the
search of a knapsack whose demands bind may take a second for each client. So they are counted here once more.
"""

from dataclasses import replace

import numpy as np

from alignsolve.data.blocks import ClientBlock
from alignsolve.data.validation import unspread
from alignsolve.numerics import EPSILON, FEASIBILITY, FloatArray, IntArray


def without_budgets(block: ClientBlock) -> ClientBlock | None:
    """Return the clients with capacities in place of budgets, if each client's experts all cost the same; else None."""
    assert block.budget is not None
    assert block.cost is not None
    places = places_of(block.cost, block.budget)
    if places is None:
        return None
    return replace(block, budget=None, cost=None, capacity=np.minimum(block.capacity, places))


def places_of(given: FloatArray, budget: FloatArray) -> IntArray | None:
    """The most experts that budgets pay for, within tolerance, (n,); None where a client's costs differ.

    Parameters
    ----------
    given
        (n, num_experts, num_resources) costs.
    budget
        (n, num_resources)
    """
    cost, num_experts = unspread(given), given.shape[1]
    if not num_experts or (cost != cost[:, :1]).any():
        return None
    each = np.broadcast_to(cost[:, 0], budget.shape)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        number = np.floor(budget * (1.0 + FEASIBILITY) * (1.0 + 4.0 * EPSILON) / each)
    paid = np.where(each > 0.0, number, np.inf).min(axis=1, initial=float(num_experts))
    return np.maximum(paid, 0.0).astype(np.int64)

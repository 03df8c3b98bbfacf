"""What clients can pay, what rates charge, and what is required of them: passes over all pairs."""

import numpy as np

from alignsolve.numerics import FEASIBILITY, BoolArray, FloatArray, IntArray
from alignsolve.subproblem.relaxed_rows import BudgetRows


def payable(rows: BudgetRows) -> BoolArray:
    """(num_clients, num_experts) which experts a client can pay alone, within tolerance."""
    payable = np.ones(rows.allowed.shape, dtype=np.bool_)
    for k in range(rows.budget.shape[1]):
        payable &= rows.cost[:, :, k] <= rows.budget[:, k, None] * (1.0 + FEASIBILITY)
    return payable


def times(cost: FloatArray, rate: FloatArray) -> FloatArray:
    """Cost times rate, summed over the resources, (num_clients, num_experts)."""
    if len(cost) == 1:
        return rate @ cost[0].T
    charge: FloatArray = np.einsum("ijk,ik->ij", cost, rate)
    return charge


def inside(rows: BudgetRows) -> IntArray:
    """How many required experts of each group each client has, (num_clients, num_groups)."""
    inside = np.zeros(rows.least.shape, dtype=np.int64)
    clients, experts = np.nonzero(rows.required)
    np.add.at(inside, (clients, rows.group[experts]), 1)
    return inside

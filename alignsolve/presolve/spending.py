"""What clients can spend, in the arithmetic by which budgets are checked (:mod:`alignsolve.certificate.violations`)."""

import numpy as np

from alignsolve.numerics import EPSILON, FEASIBILITY, BoolArray, FloatArray, IntArray, slack


def holds(spent: FloatArray, budget: FloatArray) -> BoolArray:
    """Whether a budget holds, within the tolerance."""
    within: BoolArray = ~(spent - budget > slack(budget, spent))
    return within


def largest_count(cost: FloatArray, budget: FloatArray, most: IntArray) -> IntArray:
    """How many experts of equal cost each client can pay for.

    Parameters
    ----------
    cost, budget
        (n,) what each expert costs, and the budget.
    most
        (n,) numbers from which on the client needs no more.

    Returns
    -------
    count
        (n,) at most ``most``. The spending counts as added up expert by expert, as the check of an alignment does.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        near = np.floor(budget / cost * (1.0 + FEASIBILITY))
    count = np.clip(np.nan_to_num(near, nan=0.0, posinf=0.0), 0.0, most).astype(np.int64)
    # Products tell the same as sums, but where they come so near to the budget that rounding decides.
    rounding = 4.0 * EPSILON * (count + 4.0)
    pays = (count == 0) | holds(count * cost * (1.0 + rounding), budget)
    enough = (count == most) | ~holds((count + 1) * cost * (1.0 - rounding), budget)
    unclear = ~((cost > 0.0) & pays & enough)
    count[unclear] = _count_by_adding(cost[unclear], budget[unclear], most[unclear])
    return count


def _count_by_adding(cost: FloatArray, budget: FloatArray, most: IntArray) -> IntArray:
    """What :func:`largest_count` tells, expert by expert."""
    count = np.zeros(len(cost), dtype=np.int64)
    spent, pays = np.zeros(len(cost)), np.ones(len(cost), dtype=np.bool_)
    for k in range(1, int(most.max(initial=0)) + 1):
        spent = spent + cost
        pays &= (k <= most) & holds(spent, budget)
        if not pays.any():
            break
        count[pays] = k
    return count


def dearest(cost: FloatArray, possible: BoolArray, most: IntArray) -> FloatArray:
    """Spending for the ``most`` dearest experts of each client, (n,), at least what any order of adding gives.

    Parameters
    ----------
    cost, possible
        (n, num_experts) costs, and which of them count.
    most
        (n,) number of experts.
    """
    n, num_experts = cost.shape
    if not num_experts:
        return np.zeros(n)
    falling = -np.sort(-np.where(possible, cost, 0.0), axis=1)
    sums = np.cumsum(falling, axis=1)
    last = np.minimum(most, num_experts) - 1
    spent = np.where(last >= 0, sums[np.arange(n), np.maximum(last, 0)], 0.0)
    rounded: FloatArray = spent * (1.0 + 2.0 * num_experts * EPSILON)
    return rounded

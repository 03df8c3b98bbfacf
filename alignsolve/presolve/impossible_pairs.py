"""Pairs whose cost alone exceeds the client's budget become ineligible.

Required pairs stay as they are: a required pair that is too dear contradicts its row, which is found before presolve's
answer counts. Required pairs are not fixed either: taking them out of the problem would change the bounds of both
sides and the objective, and every solver fixes them itself. Pairs whose load alone exceeds the expert's capacity stay
too: the price bound of the problem as given counts them, so prices found without them would prove less there.
"""

import numpy as np

from alignsolve.data.validation import unspread
from alignsolve.numerics import BoolArray, slack
from alignsolve.presolve.reduction import Reduction, Rewritten, able, changed, portions
from alignsolve.presolve.spending import holds
from alignsolve.problem import AlignmentProblem


def drop_impossible_pairs(problem: AlignmentProblem) -> Reduction | None:
    """Make pairs ineligible that no budget pays for; None if there are none."""
    if problem.client_budget is None:
        return None
    eligible: BoolArray | None = None
    count = 0
    for rows in portions(problem):
        impossible = _too_dear(problem, rows)
        if not impossible.any():
            continue
        if eligible is None:
            eligible = np.ones(problem.shape, dtype=np.bool_) if problem.eligible is None else problem.eligible.copy()
        eligible[rows] &= ~impossible
        count += int(impossible.sum())
    if eligible is None:
        return None
    return Rewritten(changed(problem, eligible=eligible), f"{count} pairs cost more than the client's budget")


def _too_dear(problem: AlignmentProblem, rows: slice) -> BoolArray:
    """Which eligible pairs of these clients, required ones apart, cost more than the budget: (rows, num_experts)."""
    dearest = unspread(problem.expert_cost[rows]).max(axis=(0, 1), initial=0.0)
    if (dearest <= problem.client_budget[rows].min(axis=0, initial=np.inf)).all():
        return np.zeros((1, 1), dtype=np.bool_)
    possible = able(problem, rows)
    if problem.required is not None:
        possible = possible & ~problem.required[rows]
    dear = np.zeros(possible.shape, dtype=np.bool_)
    for r in range(problem.client_budget.shape[1]):
        cost, budget = problem.expert_cost[rows, :, r], problem.client_budget[rows, r]
        beyond = cost > (budget + 2.0 * slack(budget, budget))[:, None]
        # Near the budget the tolerance's own arithmetic decides.
        i, j = np.nonzero((cost > budget[:, None]) ^ beyond)
        beyond[i, j] = ~holds(cost[i, j], budget[i])
        dear |= beyond
    impossible: BoolArray = dear & possible
    return impossible

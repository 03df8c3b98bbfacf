"""A client with budgets: its own problem is a small knapsack, solved exactly by branch and bound, one row a client.

Most rows are solved in their core (:mod:`.knapsack_core`). The rest have demands that force them to take experts that
are worth less than nothing; they are searched whole (:mod:`.knapsack_search`).
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from alignsolve.data.blocks import ClientBlock
from alignsolve.numerics import FEASIBILITY, BoolArray, FloatArray, RealArray, fixed
from alignsolve.runtime.jit import kernel
from alignsolve.subproblem.knapsack_core import UNMET, solve_by_deviations, workspace
from alignsolve.subproblem.knapsack_search import STEPS, search_row
from alignsolve.subproblem.reduced_fitness import reduced_fitness
from alignsolve.subproblem.row import RowOptima

Matrix = npt.NDArray[Any]  # inside compiled code, where numba knows the types


def knapsack_rows(block: ClientBlock, prices: FloatArray, *, choose: bool = False) -> RowOptima:
    """Solve every client's own problem under the given prices; the clients have budgets.

    Arguments as in :func:`.dispatch.best_rows`.
    """
    reduced = reduced_fitness(block, prices)
    value, feasible, chosen = best_rows_within_budgets(block, reduced.astype(np.float64, copy=False))
    magnitude = _magnitude(block, reduced, prices, chosen)
    return RowOptima(value, feasible, magnitude, chosen if choose else None)


def _magnitude(block: ClientBlock, reduced: RealArray, prices: FloatArray, chosen: BoolArray) -> FloatArray:
    """Sum over the chosen pairs of |reduced fitness| + 2·|price·load|, which is at least |fitness| + |price·load|."""
    if reduced.dtype.kind == "i":
        return np.zeros(block.num_clients)
    paid = np.abs(prices) if block.load is None else np.abs(prices) * block.load
    size: FloatArray = np.where(chosen, np.abs(reduced) + 2.0 * paid, 0.0).sum(axis=1)
    return size


def best_rows_within_budgets(block: ClientBlock, reduced: FloatArray) -> tuple[FloatArray, BoolArray, BoolArray]:
    """Solve every client's own problem with budgets exactly.

    Parameters
    ----------
    block
        The clients, with budgets.
    reduced
        (n, num_experts) reduced fitness.

    Returns
    -------
    value, feasible, chosen
        (n,) the optimum, (n,) whether there is any choice, (n, num_experts) an optimal choice. Of a row that was given
        up: a bound on its optimum, that there may be a choice, and the best choice found.
    """
    assert block.budget is not None
    assert block.cost is not None
    n, num_experts = reduced.shape
    group = block.group
    group_capacity, group_demand = block.group_capacity, block.group_demand
    if group is None or group_capacity is None or group_demand is None:
        group = np.zeros(num_experts, dtype=np.int64)
        group_capacity = np.full((n, 1), num_experts, dtype=np.int64)
        group_demand = np.zeros((n, 1), dtype=np.int64)
    cost = block.cost
    if block.allowed is None:
        allowed = np.ones(reduced.shape, dtype=np.bool_)
    else:
        allowed = block.allowed
        reduced, cost = np.where(allowed, reduced, 0.0), np.where(allowed[:, :, None], cost, 0.0)
    required = np.zeros(reduced.shape, dtype=np.bool_) if block.required is None else block.required
    budget = block.budget + FEASIBILITY * np.where(np.isfinite(block.budget), np.abs(block.budget), 0)
    amounts = (fixed(np.asarray(each, dtype=np.float64)) for each in (cost, budget))
    counts = (fixed(each) for each in (block.demand, block.capacity, group, group_demand, group_capacity))
    result: tuple[FloatArray, BoolArray, BoolArray]
    result = _solve_rows(fixed(reduced), fixed(allowed), fixed(required), *amounts, *counts)
    return result


@kernel
def _solve_rows(
    reduced: Matrix,
    allowed: Matrix,
    required: Matrix,
    cost: Matrix,
    budget: Matrix,
    demand: Matrix,
    capacity: Matrix,
    group: Matrix,
    group_demand: Matrix,
    group_capacity: Matrix,
) -> Any:
    n, num_experts = reduced.shape
    value = np.zeros(n)
    feasible = np.ones(n, dtype=np.bool_)
    chosen = np.zeros((n, num_experts), dtype=np.bool_)
    space = workspace(num_experts, cost.shape[2], group_demand.shape[1])
    for i in range(n):
        row = (reduced[i], allowed[i], required[i], cost[i], budget[i], demand[i], capacity[i], group)
        value[i], status = solve_by_deviations(*row, group_demand[i], group_capacity[i], space, STEPS, chosen[i])
        if status == UNMET:
            chosen[i] = False
            value[i], feasible[i] = search_row(*row, group_demand[i], group_capacity[i], chosen[i])
    return value, feasible, chosen

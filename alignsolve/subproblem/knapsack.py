"""A client with budgets: its own problem is a small knapsack, solved exactly by branch and bound, one row a client.

Most rows are solved in their core (:mod:`.knapsack_core`). The rest have demands that force them to take experts that
are worth less than nothing; they are searched whole (:mod:`.knapsack_search`).

Rows with very many experts, all layers of a model, are not searched: their relaxation (:mod:`.relaxed_rows`) is so
close that nothing is left to gain. The same goes for rows with demands that bind, from fewer experts on.
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
from alignsolve.subproblem.relaxed_rows import budget_rows, relax_rows
from alignsolve.subproblem.row import RowOptima

MANY_EXPERTS, MANY_WITH_DEMANDS = 256, 40
"""Experts of a row up to which it is searched; and up to which it is where its demands bind."""

Matrix = npt.NDArray[Any]  # inside compiled code, where numba knows the types


def knapsack_rows(block: ClientBlock, prices: FloatArray, *, choose: bool = False) -> RowOptima:
    """Solve every client's own problem under the given prices; the clients have budgets.

    Arguments as in :func:`.dispatch.best_rows`.
    """
    reduced = reduced_fitness(block, prices)
    value, feasible, chosen = best_rows_within_budgets(block, reduced.astype(np.float64, copy=False), choose=choose)
    magnitude = _magnitude(block, reduced, prices, chosen)
    return RowOptima(value, feasible, magnitude, chosen if choose else None)


def _magnitude(block: ClientBlock, reduced: RealArray, prices: FloatArray, chosen: BoolArray) -> FloatArray:
    """Sum over the chosen pairs of |reduced fitness| + 2·|price·load|, which is at least |fitness| + |price·load|."""
    if reduced.dtype.kind == "i":
        return np.zeros(block.num_clients)
    paid = np.abs(prices) if block.load is None else np.abs(prices) * block.load
    size: FloatArray = np.where(chosen, np.abs(reduced) + 2.0 * paid, 0.0).sum(axis=1)
    return size


def best_rows_within_budgets(
    block: ClientBlock, reduced: FloatArray, *, choose: bool = True
) -> tuple[FloatArray, BoolArray, BoolArray]:
    """Solve every client's own problem with budgets exactly.

    Parameters
    ----------
    block
        The clients, with budgets.
    reduced
        (n, num_experts) reduced fitness.
    choose
        Whether choices matter: that of a row that is not searched may be worse otherwise.

    Returns
    -------
    value, feasible, chosen
        (n,) the optimum, (n,) whether there is any choice, (n, num_experts) an optimal choice. Of a row that was given
        up: a bound on its optimum, that there may be a choice, and the best choice found.
    """
    assert block.budget is not None
    assert block.cost is not None
    budget = block.budget + FEASIBILITY * np.where(np.isfinite(block.budget), np.abs(block.budget), 0)
    if block.num_experts > MANY_EXPERTS:
        return _relaxed(block, reduced, budget, choose)
    value, feasible, chosen, left = _searched(block, reduced, budget)
    if left.any():
        rows = np.flatnonzero(left)
        value[rows], feasible[rows], chosen[rows] = _relaxed(block.pick(rows), reduced[rows], budget[rows], choose)
    return value, feasible, chosen


def _relaxed(
    block: ClientBlock, reduced: FloatArray, budget: FloatArray, choose: bool
) -> tuple[FloatArray, BoolArray, BoolArray]:
    """Bounds on the optima, and good choices."""
    if block.allowed is not None:
        reduced = np.where(block.allowed, reduced, 0.0)
    rate = np.zeros_like(budget)
    relaxed = relax_rows(budget_rows(block, budget), reduced, rate, choose=choose)
    feasible = np.isfinite(relaxed.bound)
    return np.where(feasible, relaxed.bound, 0.0), feasible, relaxed.chosen


def _searched(
    block: ClientBlock, reduced: FloatArray, budget: FloatArray
) -> tuple[FloatArray, BoolArray, BoolArray, BoolArray]:
    """Exact optima, and which rows are left: those with many experts whose demands bind."""
    n, num_experts = reduced.shape
    assert block.cost is not None
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
    amounts = (fixed(np.asarray(each, dtype=np.float64)) for each in (cost, budget))
    counts = (fixed(each) for each in (block.demand, block.capacity, group, group_demand, group_capacity))
    result: tuple[FloatArray, BoolArray, BoolArray, BoolArray]
    result = _solve_rows(
        fixed(reduced), fixed(allowed), fixed(required), *amounts, *counts, num_experts <= MANY_WITH_DEMANDS
    )
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
    search: bool,
) -> Any:
    n, num_experts = reduced.shape
    value = np.zeros(n)
    feasible = np.ones(n, dtype=np.bool_)
    chosen = np.zeros((n, num_experts), dtype=np.bool_)
    left = np.zeros(n, dtype=np.bool_)
    space = workspace(num_experts, cost.shape[2], group_demand.shape[1])
    for i in range(n):
        row = (reduced[i], allowed[i], required[i], cost[i], budget[i], demand[i], capacity[i], group)
        value[i], status = solve_by_deviations(*row, group_demand[i], group_capacity[i], space, STEPS, chosen[i])
        if status == UNMET:
            chosen[i] = False
            left[i] = not search
        if status == UNMET and search:
            value[i], feasible[i] = search_row(*row, group_demand[i], group_capacity[i], chosen[i])
    return value, feasible, chosen, left

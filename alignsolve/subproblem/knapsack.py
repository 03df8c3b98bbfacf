"""A client with budgets: its own problem is a small knapsack, solved exactly by branch and bound, one row a client.

Most rows are solved in their core (:mod:`.knapsack_core`). The rest have demands that force them to take experts that
are worth less than nothing; they are searched whole (:mod:`.knapsack_search`).

Where experts are of few sizes, as those of a model's layers are, numbers of each size are searched instead
(:mod:`.sized_rows`). Other rows with very many experts are not searched: their relaxation (:mod:`.relaxed_rows`) is so
close that nothing is left to gain. The same goes for rows with demands that bind, from fewer experts on.
"""

from collections.abc import Callable
from functools import partial
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
from alignsolve.subproblem.sized_rows import size_rows, sizes_of

MANY_EXPERTS, MANY_WITH_DEMANDS = 256, 40
"""Experts of a row up to which it is searched; and up to which it is where its demands bind."""
EXPERTS_OF_A_SIZE = 4
"""Experts for each size from which on sizes are few."""

Matrix = npt.NDArray[Any]  # inside compiled code, where numba knows the types

Solved = tuple[FloatArray, BoolArray, BoolArray, BoolArray]
"""Value, feasibility and choice of some rows, and which of them are solved."""
Way = Callable[[ClientBlock, FloatArray, FloatArray], Solved]
"""Solves rows, given their reduced fitness and their budgets."""


def knapsack_rows(block: ClientBlock, prices: FloatArray, *, choose: bool = False) -> RowOptima:
    """Solve every client's own problem under the given prices; the clients have budgets.

    Arguments as in :func:`.dispatch.best_rows`.
    """
    reduced = reduced_fitness(block, prices)
    value, feasible, chosen = best_rows_within_budgets(block, reduced.astype(np.float64, copy=False), choose=choose)
    magnitude = _magnitude(block, reduced, prices, chosen)
    return RowOptima(value, feasible, magnitude, chosen if choose else None)


def relaxed_knapsack_rows(block: ClientBlock, prices: FloatArray) -> RowOptima:
    """Bound every client's own problem under the given prices without a search: values are at least the optima.

    Arguments as in :func:`.dispatch.best_rows`.
    """
    reduced = reduced_fitness(block, prices)
    value, feasible, chosen, _ = _relaxed(block, reduced.astype(np.float64, copy=False), _allowed(block), choose=False)
    return RowOptima(value, feasible, _magnitude(block, reduced, prices, chosen), None)


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
    budget = _allowed(block)
    n, num_experts = reduced.shape
    value, feasible, chosen = np.zeros(n), np.ones(n, np.bool_), np.zeros(reduced.shape, np.bool_)
    ways: list[Way] = [_sized, _searched] if num_experts <= MANY_EXPERTS else [_sized]
    ways.append(partial(_relaxed, choose=choose))
    left = np.arange(n)
    for way in ways:
        own = (block, reduced, budget) if len(left) == n else (block.pick(left), reduced[left], budget[left])
        value[left], feasible[left], chosen[left], solved = way(*own)
        left = left[~solved]
        if not len(left):
            break
    return value, feasible, chosen


def _allowed(block: ClientBlock) -> FloatArray:
    """The budgets with their tolerance, (n, num_resources)."""
    assert block.budget is not None
    size: FloatArray = np.where(np.isfinite(block.budget), np.abs(block.budget), 0)
    return np.asarray(block.budget + FEASIBILITY * size)


def _sized(block: ClientBlock, reduced: FloatArray, budget: FloatArray) -> Solved:
    """Numbers of each size: none are solved where experts are not of few sizes."""
    n = len(reduced)
    rows = budget_rows(block, budget) if _may_have_few_sizes(block) else None
    sizes = None if rows is None else sizes_of(rows)
    if rows is None or sizes is None or sizes.number * EXPERTS_OF_A_SIZE > block.num_experts:
        return np.zeros(n), np.zeros(n, np.bool_), np.zeros(reduced.shape, np.bool_), np.zeros(n, np.bool_)
    reduced, rate = _where_allowed(block, reduced), np.zeros_like(budget)
    feasible = np.isfinite(relax_rows(rows, reduced, rate, choose=False).bound)
    found = size_rows(rows, reduced, rate, sizes)
    return np.where(feasible, found.worth, 0.0), feasible, found.chosen, found.proven | ~feasible


def _may_have_few_sizes(block: ClientBlock) -> bool:
    """Whether a glance at the costs leaves it open: to look at each expert's costs takes longer than a row."""
    assert block.cost is not None
    if not block.cost.size or (block.num_clients > 1 and block.cost.strides[0] != 0):
        return False
    return len(np.unique(block.cost[0, :, 0])) * EXPERTS_OF_A_SIZE <= block.num_experts


def _where_allowed(block: ClientBlock, reduced: FloatArray) -> FloatArray:
    """The reduced fitness of allowed pairs, and 0 elsewhere, where it may be anything."""
    return reduced if block.allowed is None else np.where(block.allowed, reduced, 0.0)


def _relaxed(block: ClientBlock, reduced: FloatArray, budget: FloatArray, *, choose: bool) -> Solved:
    """Bounds on the optima, and good choices."""
    reduced, rate = _where_allowed(block, reduced), np.zeros_like(budget)
    relaxed = relax_rows(budget_rows(block, budget), reduced, rate, choose=choose)
    feasible = np.isfinite(relaxed.bound)
    return np.where(feasible, relaxed.bound, 0.0), feasible, relaxed.chosen, np.ones_like(feasible)


def _searched(block: ClientBlock, reduced: FloatArray, budget: FloatArray) -> Solved:
    """Exact optima, but for rows with many experts whose demands bind."""
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
    value, feasible, chosen, left = _solve_rows(
        fixed(reduced), fixed(allowed), fixed(required), *amounts, *counts, num_experts <= MANY_WITH_DEMANDS
    )
    return value, feasible, chosen, ~left


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

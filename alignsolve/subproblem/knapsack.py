"""A client with budgets: its own problem is a small knapsack, solved exactly by branch and bound, one row a client.

Most rows are solved in their core (:mod:`.knapsack_core`). The rest have demands that force them to take experts that
are worth less than nothing. They are searched here, depth first, experts in falling order of reduced fitness. A branch
is cut where its value so far, plus the most that the remaining experts could add, does not exceed the best value
found. "The most" is the smaller of two bounds: the best experts for which the client's capacity still has room; and
for each resource the Lagrangian bound value − λ·cost, with the λ of that resource's own fractional knapsack.

A search that takes more than ``STEPS`` steps (thirty experts whose costs equal their values, say) is given up. Then
the row counts with the bound of its root: that is not exact, but still a bound.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from alignsolve.data.blocks import ClientBlock
from alignsolve.numerics import FEASIBILITY, BoolArray, FloatArray, RealArray, fixed
from alignsolve.runtime.jit import inner, kernel
from alignsolve.subproblem.knapsack_core import UNMET, solve_by_deviations, workspace
from alignsolve.subproblem.reduced_fitness import reduced_fitness
from alignsolve.subproblem.row import RowOptima

STEPS = 1_000_000
"""Steps of one row's search, about 0.1 s; rows with up to 16 experts never need as many."""

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
            value[i], feasible[i] = _solve_row(*row, group_demand[i], group_capacity[i], chosen[i])
    return value, feasible, chosen


@inner
def _solve_row(
    reduced: Matrix,
    allowed: Matrix,
    required: Matrix,
    cost: Matrix,
    budget: Matrix,
    demand: int,
    capacity: int,
    group: Matrix,
    group_demand: Matrix,
    group_capacity: Matrix,
    best: Matrix,
) -> Any:
    """Branch and bound over one client's experts; writes the best choice and returns its value and feasibility."""
    num_experts, num_resources = cost.shape
    num_groups = len(group_demand)
    in_group = np.zeros(num_groups, dtype=np.int64)
    spent = np.zeros(num_resources)
    value = 0.0
    count = 0
    for j in range(num_experts):
        if required[j]:
            if not allowed[j]:
                return 0.0, False
            best[j] = True
            value += reduced[j]
            count += 1
            in_group[group[j]] += 1
            for r in range(num_resources):
                spent[r] += cost[j, r]
    for g in range(num_groups):
        if in_group[g] > group_capacity[g]:
            return 0.0, False
    for r in range(num_resources):
        if spent[r] > budget[r]:
            return 0.0, False
    if count > capacity:
        return 0.0, False
    ranked = np.argsort(-reduced, kind="mergesort")
    open_ = np.empty(num_experts, dtype=np.int64)
    m = 0
    for j in ranked:
        if allowed[j] and not required[j]:
            open_[m] = j
            m += 1
    open_ = open_[:m]
    rate = np.empty(num_resources)
    tail = np.zeros((num_resources, m + 1))
    for r in range(num_resources):
        rate[r] = _fractional_rate(reduced, cost[:, r], open_, budget[r] - spent[r])
        for t in range(m - 1, -1, -1):
            worth = reduced[open_[t]] - rate[r] * cost[open_[t], r]
            tail[r, t] = tail[r, t + 1] + max(worth, 0.0)
    ordered = reduced[open_]
    positive = 0
    for t in range(m):
        if ordered[t] > 0.0:
            positive = t + 1
    after = np.zeros((m + 1, num_groups), dtype=np.int64)  # open experts of each group from position t on
    cheapest = np.full((m + 1, num_resources), np.inf)  # and the least that one of them costs
    for t in range(m - 1, -1, -1):
        after[t] = after[t + 1]
        after[t, group[open_[t]]] += 1
        for r in range(num_resources):
            cheapest[t, r] = min(cheapest[t + 1, r], cost[open_[t], r])

    root = value
    for s in range(min(max(positive, demand - count), capacity - count, m)):
        root += ordered[s]
    for r in range(num_resources):
        if rate[r] > 0.0:
            root = min(root, value + rate[r] * (budget[r] - spent[r]) + tail[r, 0])

    found = False
    best_value = 0.0
    steps = 0
    taken = np.zeros(m, dtype=np.bool_)
    t = 0
    while True:
        steps += 1
        if steps > STEPS:
            return root, True
        # Descend from position t, taking whatever fits, until the branch is complete or cut.
        cut, short = _judge(
            t, m, count, value, demand, capacity, positive, ordered, rate, tail, budget, spent, in_group, group_demand,
            after, cheapest, found, best_value,
        )  # fmt: skip
        if not cut and (t < positive or short):
            j = open_[t]
            fits = count < capacity and in_group[group[j]] < group_capacity[group[j]]
            for r in range(num_resources):
                fits = fits and spent[r] + cost[j, r] <= budget[r]
            taken[t] = fits
            if fits:
                value += reduced[j]
                count += 1
                in_group[group[j]] += 1
                for r in range(num_resources):
                    spent[r] += cost[j, r]
            t += 1
            continue
        if not cut:
            found = True
            best_value = value
            for s in range(m):
                best[open_[s]] = s < t and taken[s]
        # Go back to the last expert that was taken and leave it out instead.
        t -= 1
        while t >= 0 and not taken[t]:
            t -= 1
        if t < 0:
            return best_value, found
        j = open_[t]
        taken[t] = False
        count -= 1
        in_group[group[j]] -= 1
        # Recomputed rather than subtracted: no rounding is carried from one branch into the next.
        value = 0.0
        spent[:] = 0.0
        for i in range(num_experts):
            if required[i]:
                value += reduced[i]
                for r in range(num_resources):
                    spent[r] += cost[i, r]
        for s in range(t):
            if taken[s]:
                value += reduced[open_[s]]
                for r in range(num_resources):
                    spent[r] += cost[open_[s], r]
        t += 1


@inner
def _judge(
    t: int, m: int, count: int, value: float, demand: int, capacity: int, positive: int, ordered: Matrix, rate: Matrix,
    tail: Matrix, budget: Matrix, spent: Matrix, in_group: Matrix, group_demand: Matrix, after: Matrix,
    cheapest: Matrix, found: bool, best_value: float,
) -> Any:  # fmt: skip
    """Whether no completion of this branch is feasible and beats the best; whether demands are still short."""
    need = max(demand - count, 0)
    groups_need = 0
    for g in range(len(group_demand)):
        short = group_demand[g] - in_group[g]
        if short > after[t, g]:
            return True, True
        groups_need += max(short, 0)
    need = max(need, groups_need)
    if need > m - t or need > capacity - count:
        return True, True
    if need > 0:
        for r in range(len(rate)):
            if spent[r] + need * cheapest[t, r] > budget[r]:
                return True, True
    if not found:
        return False, need > 0
    more = min(max(positive - t, need), capacity - count, m - t)
    most = value
    for s in range(t, t + more):  # summed anew: a difference of prefix sums would drown small values in a large one
        most += ordered[s]
    if most <= best_value:
        return True, need > 0
    for r in range(len(rate)):
        if rate[r] > 0.0 and value + rate[r] * (budget[r] - spent[r]) + tail[r, t] <= best_value:
            return True, need > 0
    return False, need > 0


@inner
def _fractional_rate(reduced: Matrix, cost: Matrix, open_: Matrix, room: float) -> float:
    """Value per cost at which the fractional knapsack of one resource breaks; 0 where everything worth having fits."""
    ratio = np.full(len(open_), -1.0)
    for t in range(len(open_)):
        j = open_[t]
        if reduced[j] > 0.0 and cost[j] > 0.0:
            ratio[t] = reduced[j] / cost[j]
    for t in np.argsort(-ratio, kind="mergesort"):
        if ratio[t] < 0.0:
            break
        room -= cost[open_[t]]
        if room < 0.0:
            return float(ratio[t])
    return 0.0

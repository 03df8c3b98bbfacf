"""The clients' own problems compiled, for large problems of the cardinality class: the same optimum as :mod:`.rows`.

:func:`alignsolve.rows.best_rows` is the readable version and this one's oracle. Here a client keeps the few best
reduced fitnesses in a sorted buffer while its row is read once; with groups its row is sorted instead.
"""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from alignsolve.blocks import ClientBlock
from alignsolve.numerics import FloatArray
from alignsolve.rows import RowOptima, is_exact_in_integers

Matrix = npt.NDArray[Any]
NO_FLAGS = np.ones((1, 1), dtype=np.bool_)
NO_COUNTS = np.zeros((1, 1), dtype=np.int64)


def best_rows_compiled(block: ClientBlock, prices: FloatArray) -> RowOptima:
    """Solve every client's own problem, without budgets and with unit loads; no choice is returned."""
    n = block.num_clients
    exact = is_exact_in_integers(block, prices)
    wanted = prices.astype(np.int64) if exact else prices
    value = block.value if block.value.dtype.itemsize == 8 or not exact else block.value.astype(np.int64)
    if block.value.dtype.kind in "iu" and not exact:
        value = block.value.astype(np.float64)
    if block.value.dtype == np.float16:
        value = block.value.astype(np.float32)
    best, size = np.zeros(n, dtype=wanted.dtype), np.zeros(n)
    feasible = np.zeros(n, dtype=np.bool_)
    allowed = NO_FLAGS if block.allowed is None else block.allowed
    required = NO_FLAGS if block.required is None else block.required
    has_allowed, has_required = block.allowed is not None, block.required is not None
    rows = (value, wanted, allowed, has_allowed, required, has_required, block.demand, block.capacity)
    if block.group is None or block.group_capacity is None or block.group_demand is None:
        _plain_rows(*rows, best, size, feasible)
    else:
        _grouped_rows(*rows, block.group, block.group_demand, block.group_capacity, best, size, feasible)
    return RowOptima(best, feasible, np.zeros(n) if exact else size, None)


@numba.njit(cache=True, nogil=True)
def _plain_rows(
    value: Matrix, prices: Matrix, allowed: Matrix, has_allowed: bool, required: Matrix, has_required: bool,
    demand: Matrix, capacity: Matrix, best: Matrix, size: Matrix, feasible: Matrix,
) -> None:  # fmt: skip
    """Required experts, then the best of the others: as many as demanded, more while they are worth something."""
    n, num_experts = value.shape
    kept = np.empty(num_experts, dtype=prices.dtype)
    dearest = np.abs(prices).max() if num_experts else np.abs(prices).sum()
    for i in range(n):
        taken = 0
        total = prices.dtype.type(0)
        weight = 0.0
        possible = True
        if has_required:
            for j in range(num_experts):
                if required[i, j]:
                    possible = possible and (not has_allowed or allowed[i, j])
                    total += value[i, j] - prices[j]
                    weight += abs(value[i, j] - prices[j])
                    taken += 1
        need, room = max(demand[i] - taken, 0), min(capacity[i] - taken, num_experts)
        count = 0
        for j in range(num_experts):
            if (has_allowed and not allowed[i, j]) or (has_required and required[i, j]):
                continue
            gain = value[i, j] - prices[j]
            if count < room:
                place = count
                count += 1
            elif room > 0 and gain > kept[room - 1]:
                place = room - 1
            else:
                continue
            while place > 0 and kept[place - 1] < gain:
                kept[place] = kept[place - 1]
                place -= 1
            kept[place] = gain
        for k in range(count):
            if k < need or kept[k] > 0:
                total += kept[k]
                weight += abs(kept[k])
                taken += 1
        best[i] = total
        size[i] = weight + 2.0 * taken * dearest
        feasible[i] = possible and room >= 0 and count >= need and need <= room


@numba.njit(cache=True, nogil=True)
def _grouped_rows(
    value: Matrix, prices: Matrix, allowed: Matrix, has_allowed: bool, required: Matrix, has_required: bool,
    demand: Matrix, capacity: Matrix, group: Matrix, group_demand: Matrix, group_capacity: Matrix,
    best: Matrix, size: Matrix, feasible: Matrix,
) -> None:  # fmt: skip
    """Required experts, then what each group still demands, then the best of what groups and total leave room for."""
    n, num_experts = value.shape
    num_groups = group_demand.shape[1]
    gain = np.empty(num_experts, dtype=prices.dtype)
    chosen = np.empty(num_experts, dtype=np.bool_)
    in_group = np.empty(num_groups, dtype=np.int64)
    dearest = np.abs(prices).max() if num_experts else np.abs(prices).sum()
    for i in range(n):
        taken = 0
        possible = True
        in_group[:] = 0
        for j in range(num_experts):
            open_ = not has_allowed or allowed[i, j]
            chosen[j] = has_required and required[i, j]
            gain[j] = value[i, j] - prices[j] if open_ or chosen[j] else 0
            if chosen[j]:
                possible = possible and open_
                taken += 1
                in_group[group[j]] += 1
        order = np.argsort(-gain, kind="mergesort")
        for j in order:
            open_ = not has_allowed or allowed[i, j]
            if open_ and not chosen[j] and in_group[group[j]] < group_demand[i, group[j]]:
                chosen[j] = True
                taken += 1
                in_group[group[j]] += 1
        for g in range(num_groups):
            possible = possible and group_demand[i, g] <= in_group[g] <= group_capacity[i, g]
        for j in order:
            open_ = not has_allowed or allowed[i, j]
            worth_it = taken < demand[i] or gain[j] > 0
            room = taken < capacity[i] and in_group[group[j]] < group_capacity[i, group[j]]
            if open_ and not chosen[j] and worth_it and room:
                chosen[j] = True
                taken += 1
                in_group[group[j]] += 1
        total = prices.dtype.type(0)
        weight = 0.0
        for j in range(num_experts):
            if chosen[j]:
                total += gain[j]
                weight += abs(gain[j])
        best[i] = total
        size[i] = weight + 2.0 * taken * dearest
        feasible[i] = possible and demand[i] <= taken <= capacity[i]

"""The clients' own problems compiled, for large problems of the cardinality class: the same optimum as :mod:`.rows`.

:func:`alignsolve.rows.best_rows` is the readable version and this one's oracle. Here a client keeps the few best
reduced fitnesses in a sorted buffer while its row is read once; with groups its row is sorted instead.
"""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from alignsolve.blocks import ClientBlock
from alignsolve.numerics import FloatArray, IntArray, RealArray, fixed
from alignsolve.rows import RowOptima, is_exact_in_integers

Matrix = npt.NDArray[Any]
SHUT = np.iinfo(np.int64).min // 2
NO_FLAGS = np.ones((1, 1), dtype=np.bool_)


def best_rows_compiled(block: ClientBlock, prices: FloatArray) -> RowOptima:
    """Solve every client's own problem, without budgets and with unit loads; no choice is returned."""
    n = block.num_clients
    exact = is_exact_in_integers(block, prices)
    wanted = prices.astype(np.int64) if exact else prices
    value = _readable(block.value)
    if value.dtype.kind in "iu" and not exact:
        value = value.astype(np.float64)
    best, size = np.zeros(n, dtype=wanted.dtype), np.zeros(n)
    feasible = np.zeros(n, dtype=np.bool_)
    allowed = NO_FLAGS if block.allowed is None else block.allowed
    required = NO_FLAGS if block.required is None else block.required
    has_allowed, has_required = block.allowed is not None, block.required is not None
    rows = (
        fixed(value),
        wanted,
        fixed(allowed),
        has_allowed,
        fixed(required),
        has_required,
        fixed(block.demand),
        fixed(block.capacity),
    )
    if block.group is None or block.group_capacity is None or block.group_demand is None:
        shut = np.int64(SHUT) if exact else -np.inf
        _plain_rows(*rows, shut, best, size, feasible)
    else:
        _grouped_rows(
            *rows, fixed(block.group), fixed(block.group_demand), fixed(block.group_capacity), best, size, feasible
        )
    return RowOptima(best, feasible, np.zeros(n) if exact else size, None)


@numba.njit(cache=True, nogil=True)
def _plain_rows(
    value: Matrix, prices: Matrix, allowed: Matrix, has_allowed: bool, required: Matrix, has_required: bool,
    demand: Matrix, capacity: Matrix, shut: Any, best: Matrix, size: Matrix, feasible: Matrix,
) -> None:  # fmt: skip
    """Required experts, then the best of the others: as many as demanded, more while they are worth something."""
    n, num_experts = value.shape
    gain, kept = np.empty(num_experts, dtype=prices.dtype), np.empty(num_experts + 1, dtype=prices.dtype)
    dearest = np.abs(prices).max() if num_experts else np.abs(prices).sum()
    for i in range(n):
        taken = 0
        total = prices.dtype.type(0)
        weight = 0.0
        possible = True
        for j in range(num_experts):
            gain[j] = value[i, j] - prices[j]
        if has_required:
            for j in range(num_experts):
                if required[i, j]:
                    possible = possible and (not has_allowed or allowed[i, j])
                    total += gain[j]
                    weight += abs(gain[j])
                    taken += 1
                    gain[j] = shut
        if has_allowed:
            for j in range(num_experts):
                if not allowed[i, j]:
                    gain[j] = shut
        need, room = max(demand[i] - taken, 0), min(capacity[i] - taken, num_experts)
        if room > 0:
            kept[:room] = shut
            least = shut
            for j in range(num_experts):
                if gain[j] > least:
                    place = room - 1
                    while place > 0 and kept[place - 1] < gain[j]:
                        kept[place] = kept[place - 1]
                        place -= 1
                    kept[place] = gain[j]
                    least = kept[room - 1]
        found = 0
        while found < room and kept[found] > shut:
            if found < need or kept[found] > 0:
                total += kept[found]
                weight += abs(kept[found])
                taken += 1
            found += 1
        best[i] = total
        size[i] = weight + 2.0 * taken * dearest
        feasible[i] = possible and room >= 0 and found >= need and need <= room


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


def selected_sums(block: ClientBlock, indptr: IntArray, experts: IntArray) -> tuple[float, float, float]:
    """Sum of a block's selected values as two floats that make it up, and the sum of their fitness' sizes."""
    value, fitness = fixed(_readable(block.value)), fixed(_readable(block.fitness))
    high, low, size = _selected_sums(value, fitness, fixed(indptr), fixed(experts))
    return float(high), float(low), float(size)


def summed(values: FloatArray) -> float:
    """Sum of many floats, to within one rounding."""
    high, low = _sum_twice(values)
    return float(high + low)


def _readable(values: RealArray) -> RealArray:
    """A type that the compiled code has a version for: in this machine's byte order, the small ones widened."""
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if values.dtype == np.float16:
        return values.astype(np.float32)
    return values if values.dtype.itemsize == 8 or values.dtype.kind == "f" else values.astype(np.int64)


@numba.njit(cache=True, nogil=True)
def _selected_sums(value: Matrix, fitness: Matrix, indptr: Matrix, experts: Matrix) -> Any:
    """Add with the rounding error of each addition kept and added in the end (Ogita, Rump, Oishi: Sum2)."""
    high, low, size = 0.0, 0.0, 0.0
    for i in range(len(indptr) - 1):
        for k in range(indptr[i], indptr[i + 1]):
            term = np.float64(value[i, experts[k]])
            size += abs(np.float64(fitness[i, experts[k]]))
            after = high + term
            virtual = after - high
            low += (high - (after - virtual)) + (term - virtual)
            high = after
    return high, low, size


@numba.njit(cache=True, nogil=True)
def _sum_twice(values: Matrix) -> Any:
    high, low = 0.0, 0.0
    for term in values:
        after = high + term
        virtual = after - high
        low += (high - (after - virtual)) + (term - virtual)
        high = after
    return high, low

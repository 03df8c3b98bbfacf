"""The clients' own problems compiled, for large problems of the cardinality class: the same optimum as :mod:`.row`.

:func:`.row.greedy_rows` is the readable version and the oracle of this one. Without groups each row is read once and
only its few largest reduced fitnesses are sorted (:mod:`.simd_topk`). With groups the whole row is sorted.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from alignsolve.data.blocks import ClientBlock
from alignsolve.numerics import FloatArray, RealArray, fixed
from alignsolve.runtime.jit import absent, inner, kernel, present
from alignsolve.subproblem.reduced_compiled import subtract_price
from alignsolve.subproblem.reduced_fitness import is_exact_in_integers
from alignsolve.subproblem.row import RowOptima
from alignsolve.subproblem.simd_topk import BATCH, LANES, Desk, best_of, desk, lane_tops, listed, mark

Matrix = npt.NDArray[Any]
SHUT = np.iinfo(np.int64).min // 2


def best_rows_compiled(block: ClientBlock, prices: FloatArray) -> RowOptima:
    """Solve every client's own problem, without budgets and with unit loads; no choice is returned."""
    n = block.num_clients
    exact = is_exact_in_integers(block, prices)
    wanted = prices.astype(np.int64) if exact else prices
    value = readable(block.value)
    if value.dtype.kind in "iu" and not exact:
        value = value.astype(np.float64)
    best, size = np.zeros(n, dtype=wanted.dtype), np.zeros(n)
    feasible = np.zeros(n, dtype=np.bool_)
    allowed = absent(np.bool_) if block.allowed is None else block.allowed
    required = absent(np.bool_) if block.required is None else block.required
    rows = (fixed(value), wanted, fixed(allowed), fixed(required), fixed(block.demand), fixed(block.capacity))
    if block.group is None or block.group_capacity is None or block.group_demand is None:
        limits = (np.int64(SHUT), np.int64(SHUT + 1)) if exact else (-np.inf, -np.finfo(np.float64).max)
        room = desk(block.num_experts, wanted.dtype, limits[0])
        if block.required is None and block.capacity.max(initial=0) <= 1:
            _single_rows(fixed(value), wanted, *rows[2:3], *rows[4:], *limits, room, best, size, feasible)
        else:
            _plain_rows(*rows, *limits, room, best, size, feasible)
    else:
        _grouped_rows(
            *rows, fixed(block.group), fixed(block.group_demand), fixed(block.group_capacity), best, size, feasible
        )
    return RowOptima(best, feasible, np.zeros(n) if exact else size, None)


@kernel
def _plain_rows(
    value: Matrix, prices: Matrix, allowed: Matrix, required: Matrix, demand: Matrix, capacity: Matrix,
    shut: Any, lowest: Any, desk: Desk, best: Matrix, size: Matrix, feasible: Matrix,
) -> None:  # fmt: skip
    """Take the required experts, then the best others: as many as demanded, more while they are worth something.

    Rows are read in batches. All rows of a batch are marked before the best of any are sorted, so that reading does not
    wait for mispredicted branches.
    """
    n, num_experts = value.shape
    has_allowed, has_required = present(allowed), present(required)
    rows, marks, enough, likely, kept, tops = desk
    fixed_number = np.zeros(BATCH, dtype=np.int64)
    dearest = _dearest(prices)
    for i in range(n):
        if i % BATCH == 0:
            # Phase 1, a batch at a time: reduced fitness; required experts are counted and shut; the likely are marked.
            for q in range(min(BATCH, n - i)):
                gain = rows[q]
                for j in range(num_experts):
                    gain[j] = subtract_price(value[i + q, j], prices[j], 1)
                best[i + q], size[i + q], feasible[i + q] = 0, 0.0, True
                if has_required:
                    fixed_number[q] = 0
                    for j in range(num_experts):
                        if required[i + q, j]:
                            feasible[i + q] = feasible[i + q] and (not has_allowed or allowed[i + q, j])
                            best[i + q] += gain[j]
                            size[i + q] += abs(gain[j])
                            fixed_number[q] += 1
                            gain[j] = shut
                if has_allowed:
                    for j in range(num_experts):
                        gain[j] = gain[j] if allowed[i + q, j] else shut
                room = capacity[i + q] - fixed_number[q]
                lane_tops(gain, tops)
                least = max(tops[room - 1], lowest) if 1 <= room <= LANES else lowest
                mark(gain, least, marks[q])
                enough[q] = num_experts if tops[0] > least else room  # if the best tie, any of them will do
        # Phase 2, row by row: sort the best of the marked, and take them while they are needed or worth something.
        gain, taken = rows[i % BATCH], fixed_number[i % BATCH]
        need, room = max(demand[i] - taken, 0), min(capacity[i] - taken, num_experts)
        number = listed(marks[i % BATCH], num_experts, 0, enough[i % BATCH], likely)
        found = best_of(gain, likely, number, room, shut, kept)
        total, weight = best[i], size[i]
        for t in range(found):
            if t < need or kept[t] > 0:
                total += kept[t]
                weight += abs(kept[t])
                taken += 1
        best[i] = total
        size[i] = weight + 2.0 * taken * dearest
        feasible[i] = feasible[i] and room >= 0 and found >= need and need <= room


@kernel
def _single_rows(
    value: Matrix, prices: Matrix, allowed: Matrix, demand: Matrix, capacity: Matrix, shut: Any, lowest: Any,
    desk: Desk, best: Matrix, size: Matrix, feasible: Matrix,
) -> None:  # fmt: skip
    """Take the best expert of clients that take one at most, if it is demanded or worth something."""
    gain, tops, has_allowed, dearest = desk.rows[0], desk.tops, present(allowed), _dearest(prices)
    for i in range(len(best)):
        for j in range(len(prices)):
            gain[j] = subtract_price(value[i, j], prices[j], 1)
        if has_allowed:
            for j in range(len(prices)):
                gain[j] = gain[j] if allowed[i, j] else shut
        lane_tops(gain, tops)
        taken = capacity[i] > 0 and tops[0] >= lowest and (demand[i] > 0 or tops[0] > 0)
        best[i], size[i] = 0, 0.0
        if taken:
            best[i], size[i] = tops[0], abs(tops[0]) + 2.0 * dearest
        feasible[i] = demand[i] == 0 or (taken and demand[i] <= 1)


@kernel
def _grouped_rows(
    value: Matrix, prices: Matrix, allowed: Matrix, required: Matrix, demand: Matrix, capacity: Matrix,
    group: Matrix, group_demand: Matrix, group_capacity: Matrix, best: Matrix, size: Matrix, feasible: Matrix,
) -> None:  # fmt: skip
    """Take the required experts, then what each group demands, then the best others while there is room."""
    n, num_experts = value.shape
    has_allowed, has_required = present(allowed), present(required)
    num_groups = group_demand.shape[1]
    gain = np.empty(num_experts, dtype=prices.dtype)
    chosen = np.empty(num_experts, dtype=np.bool_)
    in_group = np.empty(num_groups, dtype=np.int64)
    dearest = _dearest(prices)
    for i in range(n):
        # Phase 1: reduced fitness; required experts are taken.
        taken = 0
        possible = True
        in_group[:] = 0
        for j in range(num_experts):
            open_ = not has_allowed or allowed[i, j]
            chosen[j] = has_required and required[i, j]
            gain[j] = subtract_price(value[i, j], prices[j], 1) if open_ or chosen[j] else 0
            if chosen[j]:
                possible = possible and open_
                taken += 1
                in_group[group[j]] += 1
        # Phase 2: the best experts of each group, until its demand is met.
        order = np.argsort(-gain, kind="mergesort")
        for j in order:
            open_ = not has_allowed or allowed[i, j]
            if open_ and not chosen[j] and in_group[group[j]] < group_demand[i, group[j]]:
                chosen[j] = True
                taken += 1
                in_group[group[j]] += 1
        for g in range(num_groups):
            possible = possible and group_demand[i, g] <= in_group[g] <= group_capacity[i, g]
        # Phase 3: the best of the others, while the demand asks for them or they are worth something.
        for j in order:
            open_ = not has_allowed or allowed[i, j]
            worth_it = taken < demand[i] or gain[j] > 0
            room = taken < capacity[i] and in_group[group[j]] < group_capacity[i, group[j]]
            if open_ and not chosen[j] and worth_it and room:
                chosen[j] = True
                taken += 1
                in_group[group[j]] += 1
        # Phase 4: sum the choice in the order of the experts.
        total = prices.dtype.type(0)
        weight = 0.0
        for j in range(num_experts):
            if chosen[j]:
                total += gain[j]
                weight += abs(gain[j])
        best[i] = total
        size[i] = weight + 2.0 * taken * dearest
        feasible[i] = possible and demand[i] <= taken <= capacity[i]


@inner
def _dearest(prices: Matrix) -> float:
    """The largest size of a price."""
    dearest = 0.0
    for j in range(len(prices)):  # numba's own max and sum take seconds to compile
        dearest = max(dearest, abs(float(prices[j])))
    return dearest


def readable(values: RealArray) -> RealArray:
    """Convert to a type that compiled code reads: in this machine's byte order, small types widened."""
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if values.dtype == np.float16:
        return values.astype(np.float32)
    return values if values.dtype.itemsize == 8 or values.dtype.kind == "f" else values.astype(np.int64)

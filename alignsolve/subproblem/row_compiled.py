"""The clients' own problems compiled, for large problems of the cardinality class: the same optimum as :mod:`.row`.

:func:`.row.greedy_rows` is the readable version and the oracle of this one. Without groups each row is read once and
only its few largest reduced fitnesses are sorted (:mod:`.simd_topk`). Groups have code of their own
(:mod:`.grouped_rows`).
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from alignsolve.data.blocks import ClientBlock
from alignsolve.numerics import FloatArray, RealArray, fixed
from alignsolve.runtime.jit import absent, kernel, present
from alignsolve.subproblem.grouped_rows import grouped_rows, largest_size
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
    limits = (np.int64(SHUT), np.int64(SHUT + 1)) if exact else (-np.inf, -np.finfo(np.float64).max)
    if block.group is None or block.group_capacity is None or block.group_demand is None:
        room = desk(block.num_experts, wanted.dtype, limits[0])
        if block.required is None and block.capacity.max(initial=0) <= 1:
            _single_rows(fixed(value), wanted, *rows[2:3], *rows[4:], *limits, room, best, size, feasible)
        else:
            _plain_rows(*rows, *limits, room, best, size, feasible)
    else:
        order = np.argsort(block.group, kind="stable")
        first = np.searchsorted(block.group[order], np.arange(block.group_capacity.shape[1] + 1))
        groups = (fixed(order), fixed(first), fixed(block.group_demand), fixed(block.group_capacity))
        grouped_rows(*rows, *groups, best, size, feasible)
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
    dearest = largest_size(prices)
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
    gain, tops, has_allowed, dearest = desk.rows[0], desk.tops, present(allowed), largest_size(prices)
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


def readable(values: RealArray) -> RealArray:
    """Convert to a type that compiled code reads: in this machine's byte order, small types widened."""
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if values.dtype == np.float16:
        return values.astype(np.float32)
    return values if values.dtype.itemsize == 8 or values.dtype.kind == "f" else values.astype(np.int64)

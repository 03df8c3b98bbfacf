"""Blocks of clients: problems are read in them, so that no pass copies a whole (num_clients, num_experts) matrix."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from alignsolve.numerics import BoolArray, FloatArray, IntArray, RealArray, fixed

BLOCK_ENTRIES = 1 << 18
"""Entries of one block: 2 MB of float64, which stays in a core's cache."""
KNAPSACKS = 512
"""Clients with budgets between two looks at the clock: each is a knapsack, and so many take hundredths of a second."""


@dataclass(frozen=True)
class RowBlocks:
    """A fitness matrix too large for memory, read block by block.

    Parameters
    ----------
    shape
        (num_clients, num_experts).
    dtype
        Of the blocks that ``read`` returns: a floating or an integer type.
    read
        ``read(start, stop)`` returns the rows start..stop-1 as an array of shape (stop - start, num_experts). It must
        return the same values every time it is asked.
    take
        ``take(rows)`` returns the rows of an ascending index array, which may lie far apart. None: the rows between
        them are read too, block by block.
    """

    shape: tuple[int, int]
    dtype: npt.DTypeLike
    read: Callable[[int, int], RealArray]
    take: Callable[[IntArray], RealArray] | None = None

    def __getitem__(self, rows: slice) -> RealArray:
        """Rows as ``array[start:stop]`` would give them, checked against the declared shape and dtype."""
        start, stop, step = rows.indices(self.shape[0])
        if step != 1:
            raise ValueError(f"RowBlocks reads contiguous rows; the step is {step}")
        stop = max(start, stop)
        return self._checked(f"read({start}, {stop})", self.read(start, stop), stop - start)

    def pick(self, rows: IntArray) -> RealArray:
        """Rows of an ascending index array, copied; at most one block of other rows is in memory at a time."""
        if self.take is not None:
            return self._checked(f"take({len(rows)} rows)", self.take(rows), len(rows))
        picked, step = np.empty((len(rows), self.shape[1]), dtype=self.dtype), block_rows(self.shape[1])
        done = 0
        while done < len(rows):
            start = int(rows[done])
            until = int(np.searchsorted(rows, start + step))
            picked[done:until] = self[start : int(rows[until - 1]) + 1][rows[done:until] - start]
            done = until
        return picked

    def _checked(self, asked: str, block: RealArray, num_rows: int) -> RealArray:
        if block.shape != (num_rows, self.shape[1]):
            raise ValueError(f"fitness.{asked} returned shape {block.shape}, expected {(num_rows, self.shape[1])}")
        if block.dtype != np.dtype(self.dtype):
            raise ValueError(f"fitness.{asked} returned {block.dtype}, declared {np.dtype(self.dtype)}")
        return block


@dataclass(frozen=True)
class ClientBlock:
    """The rows start..stop-1 of a problem, ready to compute with.

    Attributes
    ----------
    fitness
        (n, num_experts) as given. Meaningless where not allowed.
    value
        (n, num_experts): fitness minus the switching cost of experts not held before. Meaningless where not allowed.
    allowed, required
        (n, num_experts) bools, or None: all allowed, none required.
    load
        (n, num_experts) float64, or None: every pair loads its expert by 1.
    capacity, demand
        (n,) int64: experts per client.
    group, group_capacity, group_demand
        (num_experts,) int64 and (n, num_groups) int64, or None where the problem has no groups.
    budget, cost
        (n, num_resources) and (n, num_experts, num_resources) float64, or None where the problem has no budgets.
    experts
        (n, width) int32: the expert of each column, row by row, where the problem is sparse. Then the arrays above have
        ``width`` columns in place of num_experts, and columns that hold no pair are not allowed. None: column j is
        expert j.
    """

    start: int
    stop: int
    fitness: RealArray
    value: RealArray
    allowed: BoolArray | None
    required: BoolArray | None
    load: FloatArray | None
    capacity: IntArray
    demand: IntArray
    group: IntArray | None
    group_capacity: IntArray | None
    group_demand: IntArray | None
    budget: FloatArray | None
    cost: FloatArray | None
    experts: npt.NDArray[np.int32] | None = None

    @property
    def num_clients(self) -> int:
        """Rows in this block."""
        return self.stop - self.start

    @property
    def num_experts(self) -> int:
        """Columns: the experts of the problem, or the slots of a sparse one."""
        return int(self.value.shape[1])

    def by_column(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Spread a value of each expert, (num_experts,), over the columns: as it is, or (n, width) by the slots."""
        return values if self.experts is None else values[self.experts]

    def columns(self, rows: IntArray, experts: IntArray) -> IntArray:
        """Find the columns of pairs of rows and experts; −1 where a sparse problem does not store the pair."""
        if self.experts is None:
            return experts
        assert self.allowed is not None
        # The slots of all rows, one row after the other, are in ascending order.
        count = self.allowed.sum(axis=1)
        row = np.repeat(np.arange(self.num_clients), count)
        stored, asked = _in_order(row, self.experts[self.allowed]), _in_order(rows, experts)
        place = np.searchsorted(stored, asked)
        found = np.append(stored, -1)[place] == asked
        return np.where(found, place - (np.cumsum(count) - count)[rows], -1)

    def valued(self, value: RealArray) -> "ClientBlock":
        """Return the same rows with other values: zeros to test feasibility alone, perturbed ones to explore."""
        return replace(self, value=value)

    def pick(self, rows: slice | IntArray) -> "ClientBlock":
        """Return some of the rows, numbered from 0 on: by their positions or by a slice."""
        optional = ("allowed", "required", "load", "group_capacity", "group_demand", "budget", "cost", "experts")
        given = {field: getattr(self, field) for field in optional}
        picked: dict[str, Any] = {field: None if array is None else array[rows] for field, array in given.items()}
        for field in ("fitness", "value", "capacity", "demand"):
            picked[field] = getattr(self, field)[rows]
        return replace(self, start=0, stop=len(picked["capacity"]), **picked)

    def filled(self) -> tuple[npt.NDArray[Any], ...]:
        """Return the data of a full problem's rows without gaps, for compiled code that lists choices.

        Values as floats, eligible and required pairs, demand, capacity, group, group_demand, group_capacity, cost and
        budget. Values and costs of pairs that are not allowed are 0. Without groups all experts are in one, and without
        budgets there are no resources.
        """
        n, e = self.value.shape
        allowed = np.ones((n, e), dtype=np.bool_) if self.allowed is None else self.allowed
        required = np.zeros((n, e), dtype=np.bool_) if self.required is None else self.required
        value = np.where(allowed, self.value, 0).astype(np.float64)
        group, least, most = self.group, self.group_demand, self.group_capacity
        if group is None or least is None or most is None:
            group = np.zeros(e, dtype=np.int64)
            least, most = np.zeros((n, 1), dtype=np.int64), np.full((n, 1), e, dtype=np.int64)
        cost, budget = self.cost, self.budget
        if cost is None or budget is None:
            cost, budget = np.zeros((n, e, 0)), np.zeros((n, 0))
        cost = np.where(allowed[:, :, None], cost, 0.0)
        counts = [np.asarray(each, dtype=np.int64) for each in (self.demand, self.capacity, group, least, most)]
        return tuple(map(fixed, (value, allowed, required, *counts, cost, budget)))

    def without_values(self) -> "ClientBlock":
        """Return the same rows with every value 0: only feasibility counts then."""
        zero = np.broadcast_to(np.zeros(1, dtype=np.int64), self.value.shape)
        return self.valued(zero)


def _in_order(rows: IntArray, experts: npt.NDArray[Any]) -> IntArray:
    """Pairs as numbers that rise by row, then by expert."""
    return rows * np.int64(1 << 32) + experts


def block_rows(num_experts: int) -> int:
    """How many clients one block holds."""
    return max(1, BLOCK_ENTRIES // max(1, num_experts))


def small_portions(blocks: Iterable[ClientBlock]) -> Iterator[ClientBlock]:
    """Cut blocks of clients with budgets, each of which is a knapsack, to ``KNAPSACKS`` clients."""
    for block in blocks:
        if block.budget is None:
            yield block
            continue
        for first in range(0, block.num_clients, KNAPSACKS):
            portion = block.pick(slice(first, first + KNAPSACKS))
            start = block.start + first
            yield replace(portion, start=start, stop=start + len(portion.capacity))

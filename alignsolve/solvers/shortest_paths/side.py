"""The problem seen from one side: its rows are the clients and its columns the experts, or the other way round.

The search is the same from both sides. It adds one row after the other, so it is faster from the side with fewer units
to place. And demands of the columns are met by a second search in which they are the rows.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from alignsolve.numerics import FloatArray, IntArray, RealArray, fixed
from alignsolve.problem import AlignmentProblem
from alignsolve.runtime.jit import kernel
from alignsolve.subproblem.row_compiled import readable

Array = npt.NDArray[Any]

LARGEST_SUM = 2.0**57
"""Whole numbers are computed exactly if every sum along a path stays below this."""
TILE = 16
"""Rows and columns of a tile in which a matrix is turned, so that reading and writing both stay in the cache."""


@dataclass(frozen=True)
class Side:
    """What the search reads: values and bounds, without the required pairs, which are settled beforehand.

    Attributes
    ----------
    worth
        (num_rows, num_columns): fitness minus switching costs; ``limits.shut`` where a pair may not be chosen.
    least, most
        (num_rows,) int64: fewest and most columns of each row.
    column_least, column_most
        (num_columns,) int64: fewest and most rows of each column.
    experts_are_rows
        Whether the rows are the experts.
    """

    worth: RealArray
    least: IntArray
    most: IntArray
    column_least: IntArray
    column_most: IntArray
    experts_are_rows: bool = False

    @classmethod
    def of_clients(cls, problem: AlignmentProblem) -> "Side":
        """Read a problem with its clients as rows."""
        n, e = problem.shape
        least, most = problem.client_demand, np.minimum(problem.client_capacity, e)
        fewest = problem.experts.least.astype(np.int64)
        capacity = np.minimum(problem.experts.most, n).astype(np.int64)
        if problem.required is not None:
            given, taken = problem.required.sum(axis=1), problem.required.sum(axis=0)
            least, most = np.maximum(least - given, 0), most - given
            fewest, capacity = np.maximum(fewest - taken, 0), capacity - taken
        return cls(_worth(problem), least, most, fewest, capacity)

    @property
    def is_one_to_one(self) -> bool:
        """Whether rows and columns all have room for at most one."""
        return bool((self.most <= 1).all() and (self.column_most <= 1).all())

    def turned(self) -> "Side":
        """Return the problem seen from the other side."""
        worth = np.empty(self.worth.shape[::-1], dtype=self.worth.dtype)
        _turn(self.worth, worth)
        return Side(
            fixed(worth), self.column_least, self.column_most, self.least, self.most, not self.experts_are_rows
        )


def _worth(problem: AlignmentProblem) -> RealArray:
    """Values of all pairs, of a type that compiled code reads; pairs that may not be chosen are shut."""
    worth = readable(problem.values())
    allowed = problem.eligible
    if problem.required is not None:
        allowed = ~problem.required if allowed is None else allowed & ~problem.required
    if worth.dtype.kind in "iu" and not _sums_are_exact(worth, allowed):
        worth = worth.astype(np.float64)
    if allowed is not None:
        worth = np.where(allowed, worth, worth.dtype.type(Limits.of(worth.dtype).shut))
    return fixed(worth)


def _sums_are_exact(worth: RealArray, allowed: Any) -> bool:
    """Whether no sum of values along a path can leave the range in which whole numbers are exact."""
    if worth.dtype.kind == "u":
        return False
    open_ = True if allowed is None else allowed
    largest = max(-float(worth.min(initial=0, where=open_)), float(worth.max(initial=0, where=open_)))
    return largest * (sum(worth.shape) + 2) < LARGEST_SUM


@dataclass(frozen=True)
class Limits:
    """Numbers that stand for something else, of the type of the prices.

    Attributes
    ----------
    shut
        The worth of a pair that may not be chosen.
    lowest
        What no reduced worth of an eligible pair falls below.
    far
        A distance that no path has.
    """

    shut: float
    lowest: float
    far: float

    @classmethod
    def of(cls, dtype: npt.DTypeLike) -> "Limits":
        """Whole numbers are of a size at which sums cannot overflow; floats are infinite."""
        if np.dtype(dtype).kind == "i":
            return cls(-(2**60), -(2**59), 2**60)
        return cls(-np.inf, float(np.finfo(np.float64).min), np.inf)


@kernel
def _turn(matrix: Array, turned: Array) -> None:
    """Copy a matrix into its transpose, tile by tile."""
    n, m = matrix.shape
    for top in range(0, n, TILE):
        for left in range(0, m, TILE):
            for j in range(left, min(left + TILE, m)):
                for i in range(top, min(top + TILE, n)):
                    turned[j, i] = matrix[i, j]


__all__ = ["Array", "FloatArray", "Limits", "Side"]

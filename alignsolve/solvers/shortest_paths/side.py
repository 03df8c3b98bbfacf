"""The problem seen from one side: its rows are the clients and its columns the experts, or the other way round.

The search is the same from both sides. It adds one row after the other, so it is faster from the side with fewer units
to place. And demands of the columns are met by a second search in which they are the rows.
"""

import math
from dataclasses import dataclass, field, replace

import numpy as np

from alignsolve.numerics import FloatArray, IntArray, fixed
from alignsolve.problem import AlignmentProblem
from alignsolve.runtime.jit import absent

SHUT, LOWEST, FAR = -math.inf, float(np.finfo(np.float64).min), math.inf
"""The worth of a pair that may not be chosen; what no other worth falls below; a distance that no path has."""
ABSENT = fixed(absent(np.float64))
"""Stands for a matrix that is not there."""


@dataclass(frozen=True)
class Side:
    """What the search reads: values and bounds, without the required pairs, which are settled beforehand.

    Attributes
    ----------
    worth
        (num_rows, num_columns): fitness minus switching costs; SHUT where a pair may not be chosen. Absent while the
        transpose is enough.
    least, most
        (num_rows,) int64: fewest and most columns of each row.
    column_least, column_most
        (num_columns,) int64: fewest and most rows of each column.
    experts_are_rows
        Whether the rows are the experts.
    transpose
        (num_columns, num_rows): the worth as the other side has it; absent where ``worth`` is there.
    """

    worth: FloatArray
    least: IntArray
    most: IntArray
    column_least: IntArray
    column_most: IntArray
    experts_are_rows: bool = False
    transpose: FloatArray = field(default_factory=lambda: ABSENT)

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
    def allows_bids(self) -> bool:
        """Whether it is one-to-one: no row has more than one place, and each column has just one."""
        return bool((self.most <= 1).all() and (self.column_most == 1).all())

    @property
    def shape(self) -> tuple[int, int]:
        """(num_rows, num_columns)."""
        return len(self.most), len(self.column_most)

    def turned(self) -> "Side":
        """Return the problem seen from the other side; its worth is not copied yet."""
        bounds = (self.column_least, self.column_most, self.least, self.most)
        return Side(ABSENT, *bounds, not self.experts_are_rows, self.whole().worth)

    def whole(self) -> "Side":
        """Return the same side with its worth copied from the transpose, where it is absent."""
        return replace(self, worth=fixed(self.transpose.T), transpose=ABSENT) if len(self.transpose) else self


def _worth(problem: AlignmentProblem) -> FloatArray:
    """Values of all pairs as floats, which hold whole numbers exactly; pairs that may not be chosen are shut."""
    worth = problem.values().astype(np.float64, copy=False)
    allowed = problem.eligible
    if problem.required is not None:
        allowed = ~problem.required if allowed is None else allowed & ~problem.required
    return fixed(worth if allowed is None else np.where(allowed, worth, SHUT))

"""Rows of an integer program in arrays, each with one bound: what HiGHS takes in bulk and CBC and CP-SAT row by row."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from alignsolve.numerics import BoolArray, FloatArray, IntArray


class Sense(IntEnum):
    """How a row's sum compares with its bound; PuLP's own numbers."""

    AT_MOST = -1
    EQUAL = 0
    AT_LEAST = 1


@dataclass(frozen=True)
class Row:
    """Σ coefficients·columns (sense) bound."""

    columns: IntArray
    coefficients: FloatArray
    sense: Sense
    bound: float


@dataclass(frozen=True)
class SparseRows:
    """Many rows, one after the other.

    Attributes
    ----------
    start
        (num_rows + 1,) row k has the entries ``start[k]:start[k + 1]``.
    columns, coefficients
        (num_entries,) the entries.
    senses, bounds
        (num_rows,) sense and bound of each row.
    """

    start: IntArray
    columns: IntArray
    coefficients: FloatArray
    senses: IntArray
    bounds: FloatArray

    @classmethod
    def of(cls, rows: Sequence[Row]) -> "SparseRows":
        """Put single rows together."""
        none_int, none_float = np.zeros(0, dtype=np.int64), np.zeros(0)
        return cls(
            start=np.cumsum([0, *(len(row.columns) for row in rows)]),
            columns=np.concatenate([none_int, *(row.columns for row in rows)]),
            coefficients=np.concatenate([none_float, *(row.coefficients for row in rows)]),
            senses=np.array([row.sense for row in rows], dtype=np.int64),
            bounds=np.array([row.bound for row in rows], dtype=np.float64),
        )

    @classmethod
    def joined(cls, parts: Sequence["SparseRows"]) -> "SparseRows":
        """Put rows behind rows."""
        lengths = np.concatenate([np.diff(part.start) for part in parts])
        return cls(
            start=np.concatenate([[0], np.cumsum(lengths)]),
            columns=np.concatenate([part.columns for part in parts]),
            coefficients=np.concatenate([part.coefficients for part in parts]),
            senses=np.concatenate([part.senses for part in parts]),
            bounds=np.concatenate([part.bounds for part in parts]),
        )

    def __len__(self) -> int:
        return len(self.bounds)

    def __iter__(self) -> Iterator[Row]:
        told = zip(self.start[:-1].tolist(), self.start[1:].tolist(), self.senses.tolist(), strict=True)
        for (first, last, sense), bound in zip(told, self.bounds.tolist(), strict=True):
            yield Row(self.columns[first:last], self.coefficients[first:last], Sense(sense), bound)

    @property
    def least(self) -> FloatArray:
        """(num_rows,) what each sum must reach; −inf for rows of at most."""
        return np.where(self.senses == Sense.AT_MOST, -np.inf, self.bounds)

    @property
    def most(self) -> FloatArray:
        """(num_rows,) what each sum may reach; inf for rows of at least."""
        return np.where(self.senses == Sense.AT_LEAST, np.inf, self.bounds)

    @property
    def empty(self) -> BoolArray:
        """(num_rows,) which rows have no columns."""
        return np.diff(self.start) == 0

    @property
    def contradictory(self) -> BoolArray:
        """(num_rows,) which rows have no columns and a bound that 0 breaks."""
        return self.empty & ((self.least > 0) | (self.most < 0))

    def chosen(self, rows: BoolArray) -> "SparseRows":
        """Some of the rows."""
        kept = np.repeat(rows, np.diff(self.start))
        return SparseRows(
            start=np.concatenate([[0], np.cumsum(np.diff(self.start)[rows])]),
            columns=self.columns[kept],
            coefficients=self.coefficients[kept],
            senses=self.senses[rows],
            bounds=self.bounds[rows],
        )

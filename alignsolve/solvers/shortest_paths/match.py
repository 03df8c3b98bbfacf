"""The alignment under way, and its duals: which row holds which columns, prices of columns, surplus of rows."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alignsolve.numerics import IntArray
from alignsolve.runtime.jit import inner, kernel

Array = npt.NDArray[Any]

NONE = -1
"""No column, no row, no place."""


class Match(NamedTuple):
    """Each row has as many places as it may hold columns. The places that hold a column are chained.

    Attributes
    ----------
    least, most
        (num_rows,) fewest and most columns of each row.
    room
        (num_columns,) most rows of each column.
    start
        (num_rows + 1,) the first place of each row.
    row, column
        (num_places,) the row of a place, and the column that it holds or NONE.
    first, following, before
        (num_columns,) the first place that holds a column; (num_places,) the next and the one before, or NONE.
    held, load
        (num_rows,), (num_columns,) how many each holds.
    price
        (num_columns,) the dual of each column.
    surplus
        (num_rows,) the dual of each row: what its worst choice is worth after prices.
    """

    least: Array
    most: Array
    room: Array
    start: Array
    row: Array
    column: Array
    first: Array
    following: Array
    before: Array
    held: Array
    load: Array
    price: Array
    surplus: Array

    @classmethod
    def make(cls, least: IntArray, most: IntArray, room: IntArray, dtype: npt.DTypeLike) -> "Match":
        """Make an alignment that holds nothing, at prices 0."""
        n, m, places = len(most), len(room), int(most.sum())
        start = np.zeros(n + 1, dtype=np.int64)
        np.cumsum(most, out=start[1:])
        return cls(
            least=least.copy(),
            most=most.copy(),
            room=room.copy(),
            start=start,
            row=np.repeat(np.arange(n), most),
            column=np.full(places, NONE, dtype=np.int64),
            first=np.full(m, NONE, dtype=np.int64),
            following=np.full(places, NONE, dtype=np.int64),
            before=np.full(places, NONE, dtype=np.int64),
            held=np.zeros(n, dtype=np.int64),
            load=np.zeros(m, dtype=np.int64),
            price=np.zeros(m, dtype=dtype),
            surplus=np.zeros(n, dtype=dtype),
        )

    def pairs(self) -> tuple[IntArray, IntArray]:
        """Return the rows and the columns of all pairs that are held."""
        held = self.column != NONE
        return self.row[held], self.column[held]

    def turned(self, least: IntArray) -> "Match":
        """Return the same alignment and duals with the columns, which need so many each, as rows."""
        rows, columns = self.pairs()
        other = Match.make(least, self.room, self.most, self.price.dtype)
        _hold_all(other, columns, rows)
        other.price[:] = self.surplus
        other.surplus[:] = self.price
        return other


@kernel
def _hold_all(match: Match, rows: Array, columns: Array) -> None:
    """Let rows hold columns, pair by pair."""
    for k in range(len(rows)):
        hold(match, match.start[rows[k]] + match.held[rows[k]], columns[k])
        match.held[rows[k]] += 1


@inner
def hold(match: Match, place: int, column: int) -> None:
    """Let an empty place hold a column."""
    head = match.first[column]
    match.column[place] = column
    match.following[place] = head
    match.before[place] = NONE
    if head != NONE:
        match.before[head] = place
    match.first[column] = place
    match.load[column] += 1


@inner
def release(match: Match, place: int) -> int:
    """Empty a place; return the column that it held."""
    column, after, before = match.column[place], match.following[place], match.before[place]
    if before == NONE:
        match.first[column] = after
    else:
        match.following[before] = after
    if after != NONE:
        match.before[after] = before
    match.column[place] = NONE
    match.load[column] -= 1
    return column


@inner
def holds(match: Match, row: int, column: int) -> bool:
    """Whether a row holds a column."""
    for place in range(match.start[row], match.start[row + 1]):
        if match.column[place] == column:
            return True
    return False


@inner
def empty_place(match: Match, row: int) -> int:
    """The first empty place of a row that has one."""
    place = match.start[row]
    while match.column[place] != NONE:
        place += 1
    return place

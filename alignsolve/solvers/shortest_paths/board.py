"""The board: an alignment under way, its duals, and the state of a search, in few arrays of records.

Compiled code counts the references of each array that a function is given, and that costs more than a small function
does. So what belongs together lies in one array.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alignsolve.numerics import IntArray, fixed
from alignsolve.runtime.jit import inner, kernel
from alignsolve.solvers.shortest_paths.short_lists import ShortLists
from alignsolve.solvers.shortest_paths.side import FAR, SHUT, Side
from alignsolve.subproblem.simd_topk import LANES

Array = npt.NDArray[Any]

NONE = -1
"""No column, no row, no place."""
SEARCH, ROWS, COLUMNS, HEAP, END_ROW, END_COLUMN, END_FROM, WHOLE, SINGLE, WANTED = range(10)
"""Entries of ``Board.state``: number of the search; rows and columns that it reached; nodes in the heap; where the best
path ends: at a row, or at a column and the row before it; rows that were read whole in a search by lists; whether no
row has more than one place; whether the search stopped because it wants the worth, which is absent."""


ROW = np.dtype([
    ("least", np.int64),  # fewest and most columns
    ("most", np.int64),
    ("held", np.int64),  # columns that it holds
    ("start", np.int64),  # its first place
    ("came", np.int64),  # the place by whose column the search reached it; NONE for the root
    ("surplus", np.float64),  # its dual: what its worst choice is worth after prices
    ("distance", np.float64),  # from the root of the search
])  # fmt: skip
COLUMN = np.dtype([
    ("room", np.int64),  # most rows
    ("load", np.int64),  # rows that hold it
    ("first", np.int64),  # the first of the places that hold it, or NONE
    ("came", np.int64),  # the row by which the search reached it
])  # fmt: skip
PLACE = np.dtype([
    ("row", np.int64),
    ("column", np.int64),  # NONE: the place is empty
    ("following", np.int64),  # the next place that holds the same column, and the one before
    ("before", np.int64),
])  # fmt: skip
ENTRY = np.dtype([("key", np.float64), ("node", np.int64)])


class Board(NamedTuple):
    """Each row has as many places as it may hold columns. The places that hold a column are chained.

    Attributes
    ----------
    rows, columns, places
        (num_rows,), (num_columns,), (num_places,) records.
    price, distance
        (num_columns,) the columns' duals, and their distances from the root of the search.
    reached_rows, reached_columns
        The rows and columns that the search reached, in turn.
    heap
        Nodes to visit, by their distance: columns, then rows, then the rows once more, to look beyond their lists.
    where
        (num_columns + 2·num_rows,) where each node stands in the heap, or NONE.
    waiting
        (num_rows,) rows to be visited at once.
    toll, nearness, came
        (num_columns, and padding) for searches that read whole rows: prices, FAR for columns that were visited;
        minus the distance of the others; by which row.
    state
        (10,) see ``SEARCH`` and the other names.
    lists
        The rows' short lists.
    """

    rows: Array
    columns: Array
    places: Array
    price: Array
    distance: Array
    reached_rows: Array
    reached_columns: Array
    heap: Array
    where: Array
    waiting: Array
    toll: Array
    nearness: Array
    came: Array
    state: Array
    lists: ShortLists

    @classmethod
    def of(cls, side: Side) -> "Board":
        """Make a board on which nothing is held, at prices 0."""
        n, m, places = len(side.most), len(side.column_most), int(side.most.sum())
        rows, columns = np.zeros(n, ROW), np.zeros(m, COLUMN)
        rows["least"], rows["most"], rows["came"], rows["distance"] = side.least, side.most, NONE, FAR
        rows["start"][1:] = np.cumsum(side.most)[:-1]
        columns["room"], columns["first"], columns["came"] = side.column_most, NONE, NONE
        held = np.zeros(places, PLACE)
        held["column"] = held["following"] = held["before"] = NONE
        held["row"] = np.repeat(np.arange(n), side.most)
        return cls(
            rows=as_records(rows),
            columns=as_records(columns),
            places=as_records(held),
            price=np.zeros(m),
            distance=np.full(m, FAR),
            reached_rows=np.zeros(n, dtype=np.int64),
            reached_columns=np.zeros(m, dtype=np.int64),
            heap=as_records(np.zeros(m + 2 * n, ENTRY)),
            where=np.full(m + 2 * n, NONE, dtype=np.int64),
            waiting=np.zeros(n, dtype=np.int64),
            toll=np.zeros(m),
            nearness=np.full(-(-m // LANES) * LANES, SHUT),
            came=np.full(m, NONE, dtype=np.int64),
            state=np.array([0, 0, 0, 0, NONE, NONE, NONE, 0, (side.most <= 1).all(), 0], dtype=np.int64),
            lists=ShortLists.make(n, m, int(side.most.max(initial=0))),
        )

    def pairs(self) -> tuple[IntArray, IntArray]:
        """Return the rows and the columns of all pairs that are held."""
        held = self.places.view(np.ndarray)
        held = held[held["column"] != NONE]
        return held["row"], held["column"]

    def turned(self, side: Side) -> "Board":
        """Return the same alignment and duals, on the board of the other side."""
        rows, columns = self.pairs()
        other = Board.of(side)
        hold_all(other.rows, other.columns, other.places, fixed(columns), fixed(rows))
        other.price[:] = self.rows["surplus"]
        other.rows["surplus"] = self.price
        return other


def as_records(array: Array) -> Array:
    """Return a view of an array of records whose fields are attributes in Python too; it is slow to fill."""
    return array.view(np.recarray)


@kernel
def hold_all(rows: Array, columns: Array, places: Array, holders: Array, held: Array) -> None:
    """Let rows that hold nothing hold columns, pair by pair."""
    for k in range(len(holders)):
        row = holders[k]
        hold(columns, places, rows[row].start + rows[row].held, held[k])
        rows[row].held += 1


@inner
def hold(columns: Array, places: Array, place: int, column: int) -> None:
    """Let an empty place hold a column."""
    head = columns[column].first
    places[place].column = column
    places[place].following = head
    places[place].before = NONE
    if head != NONE:
        places[head].before = place
    columns[column].first = place
    columns[column].load += 1


@inner
def release(columns: Array, places: Array, place: int) -> int:
    """Empty a place; return the column that it held."""
    column, after, before = places[place].column, places[place].following, places[place].before
    if before == NONE:
        columns[column].first = after
    else:
        places[before].following = after
    if after != NONE:
        places[after].before = before
    places[place].column = NONE
    columns[column].load -= 1
    return column


@inner
def place_of(places: Array, start: int, most: int, column: int) -> int:
    """The place of a row that holds a column, NONE where none does; for NONE the first empty place."""
    for place in range(start, start + most):
        if places[place].column == column:
            return place
    return NONE

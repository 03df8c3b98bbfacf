"""Short lists: for each row the few columns of largest reduced worth, and a level that no other column exceeds.

Prices only rise, so that the reduced worth of a column only falls. A level that holds once holds for ever. So a row's
list answers for the whole row as long as nothing below the level is asked for. Then the row is read anew, under the
prices of that moment.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alignsolve.runtime.jit import inner, kernel
from alignsolve.solvers.shortest_paths.side import LOWEST, SHUT
from alignsolve.subproblem.reduced_compiled import subtract_price
from alignsolve.subproblem.simd_topk import LANES, WORD, Desk, desk, lane_tops, listed, mark

Array = npt.NDArray[Any]

WIDTH = 96
"""Columns of a list, at most, beyond those that its row can hold."""

ALL = 48
"""Columns up to which all are listed."""
SLICES = 10
"""Slices of a column that set the level of a list made from the transpose: the lists have then about 29 entries."""


class ShortLists(NamedTuple):
    """The lists of all rows, and room to make one.

    Attributes
    ----------
    columns, worth
        (num_rows, width): the columns listed, in no order, and their worth, without prices.
    number
        (num_rows,) how many columns are listed.
    beyond
        (num_rows,) the reduced worth that no other column exceeds; SHUT where all eligible ones are listed.
    visits
        (num_rows,) how often a search has used the list.
    desk
        Room to read a row.
    """

    columns: Array
    worth: Array
    number: Array
    beyond: Array
    visits: Array
    desk: Desk

    @classmethod
    def make(cls, num_rows: int, num_columns: int, most: int) -> "ShortLists":
        """Make empty lists for rows that hold at most so many columns."""
        width = min(num_columns, WIDTH + most)
        return cls(
            columns=np.zeros((num_rows, width), dtype=np.int32),
            worth=np.zeros((num_rows, width)),
            number=np.zeros(num_rows, dtype=np.int64),
            beyond=np.full(num_rows, SHUT),
            visits=np.zeros(num_rows, dtype=np.int64),
            desk=desk(num_columns, np.float64, SHUT),
        )


@kernel
def list_rows(worth: Array, prices: Array, lists: ShortLists, first: int, last: int) -> None:
    """Make the lists of rows first..last-1."""
    for i in range(first, last):
        read_row(worth, prices, lists, i)


@inner
def read_row(worth: Array, prices: Array, lists: ShortLists, i: int) -> None:
    """Make the list of a row under the prices; its reduced worth is left in ``desk.rows[0]``."""
    num_columns, width = worth.shape[1], lists.columns.shape[1]
    row, words, tops, found = lists.desk.rows[0], lists.desk.marks[0], lists.desk.tops, lists.desk.likely
    for j in range(num_columns):
        row[j] = subtract_price(worth[i, j], prices[j], 1)
    # The level: low enough for some columns in all lanes, but not for more than the list can hold.
    level = LOWEST
    if num_columns > min(width, ALL):
        lane_tops(row, tops)
        level = max(tops[LANES - 1], LOWEST)
    number = mark(row, level, words)
    rank = LANES - 1
    while number > width and rank > 0:
        rank = rank >> 1
        level = max(tops[rank], LOWEST)
        number = mark(row, level, words)
    # If more tie than the list can hold, any of them will do; each row begins at another place.
    lists.beyond[i] = level if level > LOWEST or number > width else SHUT
    number = listed(words, num_columns, i % num_columns, min(number, width), found)
    for t in range(number):
        lists.columns[i, t] = found[t]
        lists.worth[i, t] = worth[i, found[t]]
    lists.number[i] = number
    lists.visits[i] = 0


@inner
def is_listed(columns: Array, number: Array, i: int, j: int) -> bool:
    """Whether a column is in the list of a row."""
    for t in range(number[i]):
        if columns[i, t] == j:
            return True
    return False


@kernel
def list_from_transpose(transpose: Array, lists: ShortLists) -> None:
    """Make all lists at prices 0 from the transpose, (num_columns, num_rows), in two passes along its memory."""
    num_columns, num_rows = transpose.shape
    width, beyond = lists.columns.shape[1], lists.beyond
    # The levels: the smallest of the maxima of some slices.
    tops = np.full((SLICES, num_rows), SHUT)
    for j in range(num_columns):
        lane = tops[j % SLICES]
        for i in range(num_rows):
            lane[i] = transpose[j, i] if transpose[j, i] > lane[i] else lane[i]
    for i in range(num_rows):
        beyond[i] = LOWEST
        if num_columns > min(width, ALL):
            least = tops[0, i]
            for k in range(1, SLICES):
                least = min(least, tops[k, i])
            beyond[i] = max(least, LOWEST)
    # List what reaches them; what finds no room in a list lifts its level.
    over = np.full(-(-num_rows // LANES) * LANES, SHUT)
    words, found = np.zeros(-(-num_rows // WORD), dtype=np.uint64), np.zeros(num_rows + LANES, dtype=np.int32)
    levels = beyond.copy()
    lists.number[:] = 0
    for j in range(num_columns):
        for i in range(num_rows):
            over[i] = transpose[j, i] - levels[i]
        if mark(over, 0.0, words) > 0:
            for t in range(listed(words, num_rows, 0, num_rows, found)):
                i = found[t]
                at = lists.number[i]
                if at < width:
                    lists.columns[i, at], lists.worth[i, at] = j, transpose[j, i]
                    lists.number[i] += 1
                else:
                    beyond[i] = max(beyond[i], transpose[j, i])
    for i in range(num_rows):
        if beyond[i] == LOWEST:
            beyond[i] = SHUT

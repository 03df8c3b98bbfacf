"""The start: rows bid for columns, for one-to-one problems (Jonker and Volgenant's augmenting row reduction).

Each row bids for its best column. The price rises by the row's lead over its second best, so that it is content with
either. A row that is outbid bids next. Most rows are placed in this way in a few short steps; the search places the
rest. An optional row may also stay out, which is worth 0. A column that is held stays held, so that free columns keep
their price of 0.
"""

from typing import Any

from alignsolve.runtime.jit import kernel, part, present
from alignsolve.solvers.shortest_paths.board import NONE, Array, Board, hold, release
from alignsolve.solvers.shortest_paths.short_lists import read_row
from alignsolve.solvers.shortest_paths.side import LOWEST, SHUT
from alignsolve.subproblem.reduced_compiled import subtract_price

SWEEPS = 3
"""Times that the rows which are left bid once more."""
BIDS_PER_ROW = 8
"""Bids after which the search is faster, for each row."""


@kernel
def bid(worth: Array, board: Board) -> int:
    """Let all rows bid; return how many bids there were."""
    rows, columns, places, price, waiting = board.rows, board.columns, board.places, board.price, board.waiting
    beyond = board.lists.beyond
    number, bids = 0, 0
    for i in range(len(rows)):
        if rows[i].most > 0:
            waiting[number] = i
            number += 1
    for _ in range(SWEEPS):
        later = 0
        for k in range(number):
            row = waiting[k]
            # One row after the other is outbid, until one finds a free column, stays out or has to wait.
            while row != NONE:
                bids += 1
                best, second, column, other = _best_two(board, row)
                if second < beyond[row]:
                    if not present(worth):  # the search will place it
                        break
                    read_row(worth, price, board.lists, row)
                    best, second, column, other = _best_two(board, row)
                if rows[row].least == 0:
                    if best <= 0:  # it stays out
                        rows[row].surplus = 0.0
                        break
                    second = max(second, 0.0)
                if column == NONE or second < LOWEST:  # no choice: a bid would have no limit
                    break
                if best == second and other != NONE and columns[column].first != NONE:
                    column = other
                price[column] += best - second
                rows[row].surplus = second
                place = columns[column].first
                outbid = NONE
                if place != NONE:
                    outbid = places[place].row
                    rows[outbid].held = 0
                    release(columns, places, place)
                hold(columns, places, rows[row].start, column)
                rows[row].held = 1
                if outbid != NONE and (best == second or bids >= BIDS_PER_ROW * len(rows)):
                    waiting[later] = outbid  # later <= k: this entry was read already
                    later += 1
                    outbid = NONE
                row = outbid
        number = later
    return bids


@part
def _best_two(board: Board, row: int) -> Any:
    """The largest and the second largest reduced worth in a row's list, and their columns."""
    listed, worth, price = board.lists.columns, board.lists.worth, board.price
    best, second = SHUT, SHUT
    column, other = NONE, NONE
    for t in range(board.lists.number[row]):
        j = listed[row, t]
        reduced = subtract_price(worth[row, t], price[j], 1)
        if reduced > best:
            second, other = best, column
            best, column = reduced, j
        elif reduced > second:
            second, other = reduced, j
    return best, second, column, other

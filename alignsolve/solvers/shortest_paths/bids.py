"""The start: rows bid for columns, for one-to-one problems (Jonker and Volgenant's augmenting row reduction).

Each row bids for its best column. The price rises by the row's lead over its second best, so that it is content with
either. A row that is outbid bids next. Most rows are placed in this way in a few short steps; the search places the
rest. An optional row may also stay out, which is worth 0. A column that is held stays held, so that free columns keep
their price of 0.
"""

from typing import Any

import numpy as np

from alignsolve.runtime.jit import inner, kernel
from alignsolve.solvers.shortest_paths.match import NONE, Array, Match, hold, release
from alignsolve.solvers.shortest_paths.short_lists import ShortLists, read_row
from alignsolve.subproblem.reduced_compiled import subtract_price

SWEEPS = 3
"""Times that the rows which are left bid once more."""
BIDS_PER_ROW = 8
"""Bids after which the search is faster, for each row."""


@kernel
def bid(worth: Array, match: Match, lists: ShortLists) -> int:
    """Let all rows bid; return how many bids there were."""
    waiting = np.empty(len(match.most), dtype=np.int64)
    number, bids = 0, 0
    for i in range(len(match.most)):
        if match.most[i] > 0:
            waiting[number] = i
            number += 1
    for _ in range(SWEEPS):
        later = 0
        for k in range(number):
            row = waiting[k]
            # One row after the other is outbid, until one finds a free column, stays out or has to wait.
            while row != NONE:
                bids += 1
                outbid, at_once = _bid_once(worth, match, lists, row)
                if outbid != NONE and (not at_once or bids >= BIDS_PER_ROW * len(match.most)):
                    waiting[later] = outbid  # later <= k: this place was read already
                    later += 1
                    outbid = NONE
                row = outbid
        number = later
    return bids


@inner
def _bid_once(worth: Array, match: Match, lists: ShortLists, row: int) -> Any:
    """Let a row bid for its best column; return the row that was outbid, or NONE, and whether it bids at once."""
    lowest = lists.limits[1]
    best, second, column, other = _best_two(match, lists, row)
    if second < lists.beyond[row]:
        read_row(worth, match.price, lists, row)
        best, second, column, other = _best_two(match, lists, row)
    if match.least[row] == 0:
        if best <= 0:
            match.surplus[row] = 0
            return NONE, False
        second = max(second, 0)
    if column == NONE or second < lowest:  # no choice: a bid would have no limit
        return NONE, False
    lead = best - second
    if lead == 0 and other != NONE and match.first[column] != NONE:
        column = other
    place = match.first[column]
    match.price[column] += lead
    match.surplus[row] = second
    outbid = NONE
    if place != NONE:
        outbid = match.row[place]
        match.held[outbid] = 0
        release(match, place)
    hold(match, match.start[row], column)
    match.held[row] = 1
    return outbid, lead > 0


@inner
def _best_two(match: Match, lists: ShortLists, row: int) -> Any:
    """The largest and the second largest reduced worth in a row's list, and their columns."""
    best, second = lists.limits[0], lists.limits[0]
    column, other = NONE, NONE
    for t in range(lists.number[row]):
        j = lists.columns[row, t]
        reduced = subtract_price(lists.worth[row, t], match.price[j], 1)
        if reduced > best:
            second, other = best, column
            best, column = reduced, j
        elif reduced > second:
            second, other = reduced, j
    return best, second, column, other

"""The search where lists do not help: every row visited is read whole, and no heap is kept (Dijkstra's own form).

Where fitness is nearly of rank one, all rows want the same columns, and a path can lead from anywhere to anywhere. One
pass over a row then shortens the distances of most columns; a heap would be rebuilt in each step. Here a step is three
passes that vector instructions run through: shorten the distances, find the smallest, find its column.

Rows have one place each. Distances are kept with the opposite sign, as nearness.
"""

from alignsolve.runtime.jit import inner
from alignsolve.solvers.shortest_paths.board import (
    COLUMNS,
    END_COLUMN,
    END_FROM,
    END_ROW,
    NONE,
    ROWS,
    SEARCH,
    Array,
    Board,
)
from alignsolve.solvers.shortest_paths.side import FAR, LOWEST, SHUT
from alignsolve.subproblem.reduced_compiled import subtract_price
from alignsolve.subproblem.simd_topk import lane_tops, listed, mark


@inner
def search_whole(worth: Array, board: Board, root: int) -> float:
    """Visit rows and columns by their distance from the root, until the end of the best path is nearest; its length."""
    rows, columns, places, price, state = board.rows, board.columns, board.places, board.price, board.state
    toll, nearness, came, waiting = board.toll, board.nearness, board.came, board.waiting
    words, found, tops = board.lists.desk.marks[0], board.lists.desk.likely, board.lists.desk.tops
    num_columns = len(columns)
    length, away = FAR, 0.0
    state[SEARCH] += 1
    for j in range(num_columns):
        toll[j], nearness[j] = price[j], SHUT
    if rows[root].held >= rows[root].least:  # it may do without
        length, state[END_ROW] = rows[root].surplus, root
    waiting[0], number = root, 1
    while True:
        # Rows that were reached: shorten the distances of their columns.
        for k in range(number):
            row = waiting[k]
            start = away + rows[row].surplus
            rows[row].distance = away
            board.reached_rows[state[ROWS]] = row
            state[ROWS] += 1
            for j in range(num_columns):
                near = subtract_price(worth[row, j], toll[j], 1) - start
                better = near > nearness[j]
                nearness[j] = near if better else nearness[j]
                came[j] = row if better else came[j]
            if row != root and rows[row].least == 0 and away + max(rows[row].surplus, 0.0) < length:
                length, state[END_ROW] = away + max(rows[row].surplus, 0.0), row
        # The nearest column; of several, one with room.
        lane_tops(nearness, tops)
        if tops[0] < LOWEST or -tops[0] >= length:
            return length
        mark(nearness, tops[0], words)
        node = NONE
        for t in range(listed(words, num_columns, 0, num_columns, found)):
            if node == NONE or columns[found[t]].load < columns[found[t]].room:
                node = found[t]
        away = max(-tops[0], away)  # rounding
        if columns[node].load < columns[node].room and away - min(price[node], 0.0) < length:
            length = away - min(price[node], 0.0)
            state[END_ROW], state[END_COLUMN], state[END_FROM] = NONE, node, came[node]
        # The rows that hold it are next.
        board.distance[node], columns[node].came = away, came[node]
        board.reached_columns[state[COLUMNS]] = node
        state[COLUMNS] += 1
        toll[node], nearness[node] = FAR, SHUT
        place, number = columns[node].first, 0
        while place != NONE:
            waiting[number] = places[place].row
            rows[waiting[number]].came = place
            number += 1
            place = places[place].following

"""The search: rows are placed one by one, each along a shortest augmenting path (Dijkstra, the duals as potentials).

A path leads from the row to a column, from a column to a row that holds it, and so on. The length of a step from row i
to column j is surplus_i + price_j − worth_ij, which is not negative, and the step back is free where a row has one
place. A path ends

- at a column with room, or
- at a row that may give up a column: the surplus that it loses is added to the length. So an optional row can stay
  out, or be put out by a better one.

Along the shortest path everybody moves on by one. The surplus of the rows that were nearer falls, and the prices of
the columns that were nearer rise, by as much as they were nearer. Then again no step has a negative length. Only rows
and columns nearer than the end of the path are ever looked at, and of a row only its short list
(:mod:`.short_lists`), as long as the columns beyond the list are too far away to matter.

If there is no path, the columns that were reached are full, and the rows that hold them have nowhere else to go: a
witness that the problem is infeasible.

Sources: R. Jonker and A. Volgenant, A shortest augmenting path algorithm for dense and sparse linear assignment
problems, Computing 38 (1987); D. F. Crouse, On implementing 2D rectangular assignment algorithms, IEEE Transactions on
Aerospace and Electronic Systems 52 (2016).
"""

from alignsolve.runtime.jit import inner, kernel, part, present
from alignsolve.solvers.shortest_paths.board import (
    COLUMNS,
    END_COLUMN,
    END_FROM,
    END_ROW,
    HEAP,
    NONE,
    ROWS,
    SEARCH,
    SINGLE,
    WANTED,
    WHOLE,
    Array,
    Board,
    hold,
    place_of,
    release,
)
from alignsolve.solvers.shortest_paths.heap import OUT, pop, push
from alignsolve.solvers.shortest_paths.short_lists import is_listed, read_row
from alignsolve.solvers.shortest_paths.side import FAR, LOWEST
from alignsolve.solvers.shortest_paths.whole_rows import search_whole
from alignsolve.subproblem.reduced_compiled import subtract_price
from alignsolve.subproblem.simd_topk import listed, mark

VISITS_PER_LIST = 4
"""Visits of a row from which a new list is worth its time."""
WHOLE_ROWS = 32
"""Rows that a search by lists reads whole before it is given up for :mod:`.whole_rows`."""
NO_LIMIT = 1 << 62
"""The same where rows have several places, for which there is no other search."""


@kernel
def settle(worth: Array, board: Board, first: int, last: int) -> int:
    """Place rows first..last-1; return the first that cannot be placed, its search left as it is, or NONE."""
    rows = board.rows
    _forget(board)
    for row in range(first, last):
        if rows[row].held == 0:
            rows[row].surplus = _best_worth(board, row)
        while rows[row].held < rows[row].least or (rows[row].held < rows[row].most and rows[row].surplus > 0):
            length = FAR
            by_lists = board.state[WHOLE] <= WHOLE_ROWS or board.state[SINGLE] == 0
            if by_lists:
                length = _search(worth, board, row)
            if board.state[SINGLE] == 1 and board.state[WHOLE] > WHOLE_ROWS:
                if by_lists:
                    _forget(board)
                length = search_whole(worth, board, row)
            if length >= FAR:
                return row
            _move_duals(board, length)
            _move_along(worth, board, row)
            _forget(board)
    return NONE


@part
def _best_worth(board: Board, row: int) -> float:
    """What the best choice of a row that holds nothing is worth at most: a dual that no column exceeds."""
    lists, price = board.lists, board.price
    best = lists.beyond[row]
    for t in range(lists.number[row]):
        best = max(best, subtract_price(lists.worth[row, t], price[lists.columns[row, t]], 1))
    if board.rows[row].least == 0 or best < LOWEST:
        best = max(best, 0.0)
    return best


@inner
def _search(worth: Array, board: Board, root: int) -> float:
    """Visit rows and columns by their distance from the root, until the end of the best path is nearest; its length."""
    rows, columns, places, price = board.rows, board.columns, board.places, board.price
    heap, where, waiting, state = board.heap, board.where, board.waiting, board.state
    num_columns, num_rows = len(columns), len(rows)
    length = FAR
    state[SEARCH] += 1
    state[WHOLE] = 0
    most_whole = WHOLE_ROWS if state[SINGLE] == 1 else NO_LIMIT
    rows[root].distance = 0.0
    board.reached_rows[0], state[ROWS] = root, 1
    if rows[root].held >= rows[root].least:  # it may do without
        length, state[END_ROW] = rows[root].surplus, root
    waiting[0], number = root, 1
    while True:
        # Rows that were reached: go on to their columns.
        for k in range(number):
            length = _visit_row(board, waiting[k], length)
        number = 0
        if state[HEAP] == 0 or heap[0].key >= length or state[WHOLE] > most_whole:
            return length
        away, node = heap[0].key, pop(heap, where, state[HEAP])
        state[HEAP] -= 1
        if node >= num_columns + num_rows:
            # A row whose list is exhausted.
            if not present(worth):
                state[WANTED] = 1
                return FAR
            state[WHOLE] += 1
            length = _try_all(worth, board, node - num_columns - num_rows, length)
        elif node >= num_columns:
            waiting[0], number = node - num_columns, 1
        else:
            # A column: go on to the rows that hold it.
            place = columns[node].first
            while place != NONE:
                row = places[place].row
                lost = 0.0
                if rows[row].most > 1:  # otherwise its surplus is what this column is worth to it
                    lost = max(subtract_price(worth[row, node], price[node], 1) - rows[row].surplus, 0.0)
                if away + lost < min(rows[row].distance, length):
                    if rows[row].distance >= FAR:
                        board.reached_rows[state[ROWS]] = row
                        state[ROWS] += 1
                    rows[row].distance, rows[row].came = away + lost, place
                    if lost > 0:
                        state[HEAP] = push(heap, where, state[HEAP], num_columns + row, away + lost)
                    else:
                        waiting[number] = row
                        number += 1
                place = places[place].following


@part
def _visit_row(board: Board, row: int, length: float) -> float:
    """Try the columns of a row's list, or end here if the row may give up a column; the length of the best path."""
    rows, price, distance, lists = board.rows, board.price, board.distance, board.lists
    away = rows[row].distance
    lists.visits[row] += 1
    if rows[row].came != NONE and rows[row].held > rows[row].least and away + max(rows[row].surplus, 0.0) < length:
        length, board.state[END_ROW] = away + max(rows[row].surplus, 0.0), row
    start = away + rows[row].surplus
    for t in range(lists.number[row]):
        j = lists.columns[row, t]
        there = max(start - subtract_price(lists.worth[row, t], price[j], 1), away)
        if there < length and there < distance[j]:
            length = _reach(
                rows, board.columns, board.places, price, distance, board.reached_columns, board.heap, board.where,
                board.state, row, j, there, length,
            )  # fmt: skip
    beyond = max(start - lists.beyond[row], away)
    if lists.beyond[row] >= LOWEST and beyond < length:  # the others may follow from there on
        board.state[HEAP] = push(board.heap, board.where, board.state[HEAP], len(price) + len(rows) + row, beyond)
    return length


@inner
def _reach(
    rows: Array, columns: Array, places: Array, price: Array, distance: Array, reached: Array, heap: Array,
    where: Array, state: Array, row: int, column: int, there: float, length: float,
) -> float:  # fmt: skip
    """Keep a path to a column that is the shortest so far; end there if the column has room. The best path's length."""
    if rows[row].most > 1 and place_of(places, rows[row].start, rows[row].most, column) != NONE:
        return length
    if columns[column].load < columns[column].room:
        ended = there - min(price[column], 0.0)
        if ended < length:
            length, state[END_ROW], state[END_COLUMN], state[END_FROM] = ended, NONE, column, row
        if price[column] >= 0:
            return length
    if columns[column].came == NONE:
        reached[state[COLUMNS]] = column
        state[COLUMNS] += 1
    distance[column] = there
    columns[column].came = row
    state[HEAP] = push(heap, where, state[HEAP], column, there)
    return length


@part
def _try_all(worth: Array, board: Board, row: int, length: float) -> float:
    """Try all columns of a row; the length of the best path. Now and then its list is made anew."""
    rows, price, distance, lists = board.rows, board.price, board.distance, board.lists
    nearer, words, found = lists.desk.rows[0], lists.desk.marks[0], lists.desk.likely
    if lists.visits[row] >= VISITS_PER_LIST:
        read_row(worth, price, lists, row)
    start = rows[row].distance + rows[row].surplus
    for j in range(len(price)):
        nearer[j] = subtract_price(worth[row, j], price[j], 1) + min(distance[j], length)
    number = listed(words, len(price), 0, mark(nearer, start, words), found)
    for t in range(number):
        j = found[t]
        there = max(start - subtract_price(worth[row, j], price[j], 1), rows[row].distance)
        if there < length and there < distance[j]:
            length = _reach(
                rows, board.columns, board.places, price, distance, board.reached_columns, board.heap, board.where,
                board.state, row, j, there, length,
            )  # fmt: skip
    return length


@part
def _move_duals(board: Board, length: float) -> None:
    """Raise the prices of the columns nearer than the end, and lower the surplus of the rows, by as much."""
    for k in range(board.state[COLUMNS]):
        column = board.reached_columns[k]
        board.price[column] += max(length - board.distance[column], 0.0)
    for k in range(board.state[ROWS]):
        row = board.reached_rows[k]
        board.rows[row].surplus -= max(length - board.rows[row].distance, 0.0)


@part
def _move_along(worth: Array, board: Board, root: int) -> None:
    """Let everybody on the path move on by one, from its end to its root."""
    rows, columns, places, state = board.rows, board.columns, board.places, board.state
    row, column = state[END_FROM], state[END_COLUMN]
    if state[END_ROW] == root:  # it does without
        return
    if state[END_ROW] != NONE:
        rows[state[END_ROW]].held -= 1
        column = _give_up(worth, board, state[END_ROW])
        row = columns[column].came
    while row != root:
        left = _give_up(worth, board, row)
        hold(columns, places, rows[row].came, column)
        row, column = columns[left].came, left
    hold(columns, places, place_of(places, rows[root].start, rows[root].most, NONE), column)
    rows[root].held += 1


@inner
def _give_up(worth: Array, board: Board, row: int) -> int:
    """Let a row give up the column by which it was reached; return the column."""
    column = release(board.columns, board.places, board.rows[row].came)
    lists = board.lists
    if not is_listed(lists.columns, lists.number, row, column):
        reduced = subtract_price(worth[row, column], board.price[column], 1)
        lists.beyond[row] = max(lists.beyond[row], reduced)
    return column


@inner
def _forget(board: Board) -> None:
    """Clear the board for the next search."""
    state, far = board.state, FAR
    for k in range(state[HEAP]):
        board.where[board.heap[k].node] = OUT
    for k in range(state[COLUMNS]):
        column = board.reached_columns[k]
        board.distance[column] = far
        board.columns[column].came = NONE
    for k in range(state[ROWS]):
        row = board.reached_rows[k]
        board.rows[row].distance, board.rows[row].came = far, NONE
    state[ROWS], state[COLUMNS], state[HEAP], state[END_ROW] = 0, 0, 0, NONE

"""The search: rows are placed one by one, each along a shortest augmenting path (Dijkstra with the duals as potentials).

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

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alignsolve.runtime.jit import inner, kernel
from alignsolve.solvers.shortest_paths.heap import Heap, clear, pop, push
from alignsolve.solvers.shortest_paths.match import NONE, Array, Match, empty_place, hold, holds, release
from alignsolve.solvers.shortest_paths.short_lists import ShortLists, keep_listed, read_row
from alignsolve.subproblem.reduced_compiled import subtract_price
from alignsolve.subproblem.simd_topk import listed, mark

ROW, COLUMN, FROM = 0, 1, 2
"""Entries of ``Tree.end``: the row at which the best path ends, or the column and the row before it."""


class Tree(NamedTuple):
    """The tree of shortest paths of one search.

    Attributes
    ----------
    heap
        Nodes to visit: columns, then rows, then once more the rows, to look at the columns beyond their lists.
    row_distance, column_distance
        (num_rows,), (num_columns,) from the root; ``far`` where not reached.
    from_place, from_row
        (num_rows,) the place by whose column a row was reached, NONE for the root; (num_columns,) the row.
    rows, columns
        The rows and columns that were visited, in turn.
    touched
        The columns that have a distance.
    visited
        (num_rows,) bools.
    counts
        (4,) numbers of rows visited, columns visited, columns touched, and of the search.
    length
        (1,) of the best path so far.
    end
        (3,) where it ends.
    """

    heap: Heap
    row_distance: Array
    column_distance: Array
    from_place: Array
    from_row: Array
    rows: Array
    columns: Array
    touched: Array
    visited: Array
    counts: Array
    length: Array
    end: Array

    @classmethod
    def make(cls, num_rows: int, num_columns: int, far: Any, dtype: npt.DTypeLike) -> "Tree":
        """Make room for searches."""
        return cls(
            heap=Heap.make(num_columns + 2 * num_rows, dtype),
            row_distance=np.full(num_rows, far, dtype=dtype),
            column_distance=np.full(num_columns, far, dtype=dtype),
            from_place=np.full(num_rows, NONE, dtype=np.int64),
            from_row=np.full(num_columns, NONE, dtype=np.int64),
            rows=np.zeros(num_rows, dtype=np.int64),
            columns=np.zeros(num_columns, dtype=np.int64),
            touched=np.zeros(num_columns, dtype=np.int64),
            visited=np.zeros(num_rows, dtype=np.bool_),
            counts=np.zeros(4, dtype=np.int64),
            length=np.full(1, far, dtype=dtype),
            end=np.full(3, NONE, dtype=np.int64),
        )


VISITED_ROWS, VISITED_COLUMNS, TOUCHED, SEARCH = 0, 1, 2, 3


@kernel
def settle(worth: Array, match: Match, lists: ShortLists, tree: Tree, first: int, last: int) -> int:
    """Place rows first..last-1; return the first that cannot be placed, its tree left as it is, or NONE."""
    for row in range(first, last):
        if match.held[row] == 0 and match.most[row] > 0:
            _set_surplus(worth, match, lists, row)
        while match.held[row] < match.least[row] or (match.held[row] < match.most[row] and match.surplus[row] > 0):
            if not _grow(worth, match, lists, tree, row):
                return row
            _move_duals(match, tree)
            _move_along(match, lists, tree, worth, row)
            _forget(tree, lists.limits[2])
    return NONE


@inner
def _set_surplus(worth: Array, match: Match, lists: ShortLists, row: int) -> None:
    """Set the dual of a row that holds nothing to what its best choice is worth."""
    for _ in range(2):
        best = lists.limits[0]
        for t in range(lists.number[row]):
            best = max(best, subtract_price(lists.worth[row, t], match.price[lists.columns[row, t]], 1))
        if best >= lists.beyond[row]:
            break
        read_row(worth, match.price, lists, row)
    if match.least[row] == 0:
        best = max(best, 0)
    match.surplus[row] = best if best >= lists.limits[1] else 0


@inner
def _grow(worth: Array, match: Match, lists: ShortLists, tree: Tree, root: int) -> bool:
    """Visit rows and columns by their distance, until the end of the best path is nearest; whether there is a path."""
    num_rows, num_columns = len(match.most), len(match.room)
    heap = tree.heap
    tree.counts[SEARCH] += 1
    tree.from_place[root] = NONE
    if match.held[root] >= match.least[root]:
        tree.length[0], tree.end[ROW] = match.surplus[root], root
    _visit_row(match, lists, tree, root, lists.limits[1] * 0)
    while heap.size[0] > 0 and heap.keys[0] < tree.length[0]:
        distance = heap.keys[0]
        node = pop(heap)
        if node < num_columns:
            _visit_column(worth, match, lists, tree, node)
        elif node < num_columns + num_rows:
            if not tree.visited[node - num_columns]:
                _visit_row(match, lists, tree, node - num_columns, distance)
        else:
            _look_beyond(worth, match, lists, tree, node - num_columns - num_rows)
    return tree.length[0] < lists.limits[2]


@inner
def _visit_column(worth: Array, match: Match, lists: ShortLists, tree: Tree, column: int) -> None:
    """Go on to the rows that hold a column."""
    distance = tree.column_distance[column]
    tree.columns[tree.counts[VISITED_COLUMNS]] = column
    tree.counts[VISITED_COLUMNS] += 1
    place = match.first[column]
    while place != NONE:
        row = match.row[place]
        if not tree.visited[row]:
            if match.most[row] == 1:  # its surplus is what this column is worth to it
                tree.from_place[row] = place
                _visit_row(match, lists, tree, row, distance)
            else:
                lost = subtract_price(worth[row, column], match.price[column], 1) - match.surplus[row]
                away = distance + max(lost, 0)
                if away < tree.row_distance[row] and away < tree.length[0]:
                    tree.row_distance[row] = away
                    tree.from_place[row] = place
                    push(tree.heap, len(match.room) + row, away)
        place = match.following[place]


@inner
def _visit_row(match: Match, lists: ShortLists, tree: Tree, row: int, distance: Any) -> None:
    """Go on to the columns that a row may take, those of its list; or end here, if it may give up a column."""
    tree.row_distance[row] = distance
    tree.visited[row] = True
    tree.rows[tree.counts[VISITED_ROWS]] = row
    tree.counts[VISITED_ROWS] += 1
    if tree.from_place[row] != NONE and match.held[row] > match.least[row]:
        length = distance + max(match.surplus[row], 0)
        if length < tree.length[0]:
            tree.length[0], tree.end[ROW] = length, row
    _try_list(match, lists, tree, row)


@inner
def _try_list(match: Match, lists: ShortLists, tree: Tree, row: int) -> None:
    """Try the columns of a row's list, and note at what distance others may follow."""
    start = tree.row_distance[row] + match.surplus[row]
    for t in range(lists.number[row]):
        j = lists.columns[row, t]
        _try_column(match, tree, row, j, start - subtract_price(lists.worth[row, t], match.price[j], 1))
    if lists.beyond[row] >= lists.limits[1]:
        distance = max(start - lists.beyond[row], tree.row_distance[row])
        if distance < tree.length[0]:
            push(tree.heap, len(match.room) + len(match.most) + row, distance)


@inner
def _try_column(match: Match, tree: Tree, row: int, column: int, distance: Any) -> None:
    """Keep a path to a column if it is the shortest; end there if the column has room."""
    distance = max(distance, tree.row_distance[row])  # rounding
    if distance >= tree.length[0] or distance >= tree.column_distance[column]:
        return
    if match.most[row] > 1 and holds(match, row, column):
        return
    if match.load[column] < match.room[column]:
        length = distance - min(match.price[column], 0)
        if length < tree.length[0]:
            tree.length[0] = length
            tree.end[ROW], tree.end[COLUMN], tree.end[FROM] = NONE, column, row
        if match.price[column] >= 0:
            return
    if tree.from_row[column] == NONE:
        tree.touched[tree.counts[TOUCHED]] = column
        tree.counts[TOUCHED] += 1
    tree.column_distance[column] = distance
    tree.from_row[column] = row
    push(tree.heap, column, distance)


@inner
def _look_beyond(worth: Array, match: Match, lists: ShortLists, tree: Tree, row: int) -> None:
    """Read a row anew, and try its new list; if that was done in this search, try all its columns."""
    start = tree.row_distance[row] + match.surplus[row]
    if lists.read_at[row] != tree.counts[SEARCH]:
        lists.read_at[row] = tree.counts[SEARCH]
        read_row(worth, match.price, lists, row)
        _try_list(match, lists, tree, row)
        return
    row_worth, words, found = lists.desk.rows[0], lists.desk.marks[0], lists.desk.likely
    num_columns = len(match.room)
    for j in range(num_columns):
        row_worth[j] = subtract_price(worth[row, j], match.price[j], 1)
    number = mark(row_worth, max(start - tree.length[0], lists.limits[1]), words)
    number = listed(words, num_columns, 0, number, found)
    for t in range(number):
        _try_column(match, tree, row, found[t], start - row_worth[found[t]])


@inner
def _move_duals(match: Match, tree: Tree) -> None:
    """Raise the prices of the columns nearer than the end, and lower the surplus of the rows, by as much."""
    length = tree.length[0]
    for k in range(tree.counts[VISITED_COLUMNS]):
        column = tree.columns[k]
        match.price[column] += length - tree.column_distance[column]
    for k in range(tree.counts[VISITED_ROWS]):
        row = tree.rows[k]
        match.surplus[row] -= length - tree.row_distance[row]


@inner
def _move_along(match: Match, lists: ShortLists, tree: Tree, worth: Array, root: int) -> None:
    """Let everybody on the path move on by one, from its end to its root."""
    column, row = tree.end[COLUMN], tree.end[FROM]
    if tree.end[ROW] != NONE:
        last = tree.end[ROW]
        if last == root:  # it takes no more
            return
        column = _give_up(match, lists, worth, last, tree.from_place[last])
        match.held[last] -= 1
        row = tree.from_row[column]
    while row != root:
        place = tree.from_place[row]
        left = _give_up(match, lists, worth, row, place)
        hold(match, place, column)
        column, row = left, tree.from_row[left]
    hold(match, empty_place(match, root), column)
    match.held[root] += 1


@inner
def _give_up(match: Match, lists: ShortLists, worth: Array, row: int, place: int) -> int:
    """Empty a place of a row; return the column that it held."""
    column = release(match, place)
    keep_listed(lists, row, column, subtract_price(worth[row, column], match.price[column], 1))
    return column


@inner
def _forget(tree: Tree, far: Any) -> None:
    """Clear the tree for the next search."""
    first_row, num_rows = len(tree.column_distance), len(tree.row_distance)
    for k in range(tree.heap.size[0]):
        row = tree.heap.nodes[k] - first_row
        if 0 <= row < num_rows:
            tree.row_distance[row] = far
            tree.from_place[row] = NONE
    clear(tree.heap)
    for k in range(tree.counts[TOUCHED]):
        column = tree.touched[k]
        tree.column_distance[column] = far
        tree.from_row[column] = NONE
    for k in range(tree.counts[VISITED_ROWS]):
        row = tree.rows[k]
        tree.visited[row] = False
        tree.row_distance[row] = far
        tree.from_place[row] = NONE
    for k in range(3):
        tree.counts[k] = 0
        tree.end[k] = NONE
    tree.length[0] = far

"""The core: the clients that nearly have another choice, with only the experts between which they waver.

While no two prices drift apart by more than the window δ, an expert that a client holds stays if every replacement is
worth more than δ less; an expert that would have to gain more than δ stays out. Each client of the core has a short
list of candidates left. So a core of many clients and experts is a small, sparse problem.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alignsolve.numerics import fixed
from alignsolve.runtime.jit import absent, inner
from alignsolve.solvers.price.slopes import fixed_point

Array = npt.NDArray[Any]

NONE = -1
"""In place of a candidate: the ground. In place of a move: no move."""


class CoreRows(NamedTuple):
    """Core clients as a pricing engine reports them: ``m`` clients with ``c`` candidates together.

    Attributes
    ----------
    client
        (m,) int64, ascending.
    start
        (m + 1,) int64: the candidates of the t-th client are start[t]..start[t + 1]-1.
    expert, held, worth
        (c,) int32, bool, and float64 or int64: each candidate, whether it is chosen, and its reduced fitness minus a
        reference value of its client.
    ground
        (m,) the worth of choosing nothing instead, minus the same reference value.
    room, spare
        (m,) int64: how many more experts the client could take, and how many it could drop.
    group_room, group_spare
        (m, num_groups) int64, the same for each group; no columns where there are no groups.
    """

    client: Array
    start: Array
    expert: Array
    held: Array
    worth: Array
    ground: Array
    room: Array
    spare: Array
    group_room: Array
    group_spare: Array


def concatenate(parts: list[CoreRows]) -> CoreRows:
    """Put the core rows of several chunks one after the other."""
    if len(parts) == 1:
        return parts[0]
    columns = {field: np.concatenate([getattr(part, field) for part in parts]) for field in CoreRows._fields}
    sizes = np.concatenate([np.diff(part.start) for part in parts])
    columns["start"] = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sizes)])
    return CoreRows(**columns)


def moves_of(rows: CoreRows) -> int:
    """Return how many swaps the rows' clients could make."""
    size = np.diff(rows.start)
    held = np.add.reduceat(rows.held, rows.start[:-1], dtype=np.int64) if len(size) else size
    return int((held * (size - held)).sum())


def thinned(rows: CoreRows, most_moves: int) -> tuple[CoreRows, bool]:
    """Return the rows, with fewer candidates if they could make too many moves, and whether that was so."""
    stride = -(-moves_of(rows) // max(1, most_moves))
    if stride <= 1:
        return rows, False
    size = np.diff(rows.start)
    client = np.repeat(np.arange(len(size)), size)
    place = np.arange(len(client)) - rows.start[client]
    # Different candidates for different clients, so that every pair of experts keeps its share of moves.
    kept = rows.held | ((place + client) % stride == 0)
    start = np.concatenate([[0], np.cumsum(np.bincount(client[kept], minlength=len(size)))])
    return rows._replace(start=start, expert=rows.expert[kept], held=rows.held[kept], worth=rows.worth[kept]), True


class Core(NamedTuple):
    """Core rows in fixed point, to be moved about: ``worth`` and ``ground`` in int64 quanta, and a stamp per client."""

    start: Array
    expert: Array
    held: Array
    worth: Array
    ground: Array
    room: Array
    spare: Array
    group: Array
    group_room: Array
    group_spare: Array
    stamp: Array


def quantised(rows: CoreRows, exponent: int, step: int, group: Array | None) -> Core:
    """Round the core's worths to whole multiples of 2**-exponent, and count them in steps."""
    return Core(
        start=rows.start,
        expert=rows.expert.astype(np.int64),
        held=rows.held.copy(),
        worth=fixed_point(rows.worth, exponent, step),
        ground=fixed_point(rows.ground, exponent, step),
        room=rows.room.copy(),
        spare=rows.spare.copy(),
        group=fixed(absent(np.int64, 1) if group is None else group),
        group_room=rows.group_room.copy(),
        group_spare=rows.group_spare.copy(),
        stamp=np.zeros(len(rows.client), dtype=np.int32),
    )


@inner
def count_move(core: Core, i: int, j: int, k: int, ground: int) -> None:
    """Update client i's room and spare: it has left expert j for expert k; either may be the ground."""
    grouped = core.group_room.shape[1] > 0
    if j == ground:
        core.room[i] -= 1
        core.spare[i] += 1
    elif grouped:
        core.group_room[i, core.group[j]] += 1
        core.group_spare[i, core.group[j]] -= 1
    if k == ground:
        core.room[i] += 1
        core.spare[i] -= 1
    elif grouped:
        core.group_room[i, core.group[k]] -= 1
        core.group_spare[i, core.group[k]] += 1

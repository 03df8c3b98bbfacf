"""The core: the clients that nearly have another choice, with only the experts between which they waver.

While no two prices drift apart by more than the window δ, an expert that a client holds and whose every replacement
is worth more than δ less stays; one that would have to gain more than δ stays out. What is left of a client is a short
list of candidates, so that a core of many clients and experts is a small, sparse problem.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alignsolve.solvers.price.compiled import inner, kernel
from alignsolve.solvers.price.heaps import NONE, Heaps, drop_stale, push
from alignsolve.solvers.price.slopes import fixed_point

Array = npt.NDArray[Any]


class CoreRows(NamedTuple):
    """Core clients as a pricing engine reports them; ``m`` clients with ``c`` candidates together.

    Attributes
    ----------
    client
        (m,) int64, ascending.
    start
        (m + 1,) int64: the candidates of the t-th client are start[t]..start[t + 1]-1.
    expert, held, worth
        (c,) int32, bool, and float64 or int64: each candidate, whether it is chosen, and its reduced fitness relative
        to a reference of its client's own.
    ground
        (m,) the worth of choosing nothing instead, relative to the same reference.
    room, spare
        (m,) int64: how many more experts the client could take, and how many it could do without.
    group_room, group_spare
        (m, num_groups) int64, likewise; no columns where there are no groups.
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
    columns = {field: np.concatenate([getattr(part, field) for part in parts]) for field in CoreRows._fields}
    sizes = np.concatenate([np.diff(part.start) for part in parts])
    columns["start"] = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sizes)])
    return CoreRows(**columns)


def thinned(rows: CoreRows, most_moves: int) -> tuple[CoreRows, bool]:
    """Return some of the clients where all of them together could make too many moves: ties need only a few."""
    size = np.diff(rows.start)
    held = np.add.reduceat(rows.held, rows.start[:-1], dtype=np.int64) if len(size) else size
    moves = int((held * (size - held) + size).sum())
    stride = -(-moves // max(1, most_moves))
    if stride <= 1:
        return rows, False
    kept = np.arange(0, len(size), stride)
    members = np.repeat(np.arange(len(size)) % stride == 0, size)
    candidates = {name: getattr(rows, name)[members] for name in ("expert", "held", "worth")}
    clients = {name: getattr(rows, name)[kept] for name in ("client", "ground", "room", "spare")}
    groups = {name: getattr(rows, name)[kept] for name in ("group_room", "group_spare")}
    return CoreRows(start=np.concatenate([[0], np.cumsum(size[kept])]), **candidates, **clients, **groups), True


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
        group=np.zeros(0, dtype=np.int64) if group is None else np.ascontiguousarray(group),
        group_room=rows.group_room.copy(),
        group_spare=rows.group_spare.copy(),
        stamp=np.zeros(len(rows.client), dtype=np.int32),
    )


@kernel
def count_moves(core: Core) -> int:
    """At most so many moves can the core's clients offer together at a time."""
    total = 0
    for i in range(len(core.stamp)):
        held = 0
        for a in range(core.start[i], core.start[i + 1]):
            held += core.held[a]
        left = core.start[i + 1] - core.start[i] - held
        total += held * left + held + left
    return total


@inner
def offer_moves(core: Core, heaps: Heaps, windows: Array, i: int) -> bool:
    """Offer every move that client i could make now within the windows (swap, ground); False if the pool is full."""
    ground = len(heaps.root) - 1
    fits = True
    for a in range(core.start[i], core.start[i + 1]):
        if not core.held[a]:
            if _may_enter(core, i, a) and core.ground[i] - core.worth[a] <= windows[1]:
                loss = core.ground[i] - core.worth[a]
                fits &= push(heaps, ground, core.expert[a], loss, i, NONE, a, core.stamp[i])
            continue
        if _may_leave(core, i, a) and core.worth[a] - core.ground[i] <= windows[1]:
            loss = core.worth[a] - core.ground[i]
            fits &= push(heaps, core.expert[a], ground, loss, i, a, NONE, core.stamp[i])
        for b in range(core.start[i], core.start[i + 1]):
            loss = core.worth[a] - core.worth[b]
            if not core.held[b] and loss <= windows[0] and _may_swap(core, i, a, b):
                fits &= push(heaps, core.expert[a], core.expert[b], loss, i, a, b, core.stamp[i])
    return fits


@inner
def withdraw_moves(core: Core, heaps: Heaps, i: int) -> None:
    """Outdate all moves of client i, and clear them from the tops."""
    ground = len(heaps.root) - 1
    core.stamp[i] += 1
    for a in range(core.start[i], core.start[i + 1]):
        j = core.expert[a]
        if not core.held[a]:
            _clear(core, heaps, ground, j, i)
            continue
        _clear(core, heaps, j, ground, i)
        for b in range(core.start[i], core.start[i + 1]):
            if not core.held[b]:
                _clear(core, heaps, j, core.expert[b], i)


@inner
def _clear(core: Core, heaps: Heaps, j: int, k: int, i: int) -> None:
    root = heaps.root[j, k]
    if root != NONE and heaps.pool[root].client == i:
        drop_stale(heaps, core.stamp, j, k)


@inner
def _may_leave(core: Core, i: int, a: int) -> bool:
    if core.spare[i] <= 0:
        return False
    return core.group_spare.shape[1] == 0 or core.group_spare[i, core.group[core.expert[a]]] > 0


@inner
def _may_enter(core: Core, i: int, a: int) -> bool:
    if core.room[i] <= 0:
        return False
    return core.group_room.shape[1] == 0 or core.group_room[i, core.group[core.expert[a]]] > 0


@inner
def _may_swap(core: Core, i: int, a: int, b: int) -> bool:
    if core.group_room.shape[1] == 0:
        return True
    g, h = core.group[core.expert[a]], core.group[core.expert[b]]
    return g == h or (core.group_spare[i, g] > 0 and core.group_room[i, h] > 0)


@inner
def make_move(core: Core, i: int, give: int, take: int) -> None:
    """Client i leaves one candidate for another; NONE stands for the ground."""
    grouped = core.group_room.shape[1] > 0
    if give == NONE:
        core.room[i] -= 1
        core.spare[i] += 1
    else:
        core.held[give] = False
        if grouped:
            core.group_room[i, core.group[core.expert[give]]] += 1
            core.group_spare[i, core.group[core.expert[give]]] -= 1
    if take == NONE:
        core.room[i] += 1
        core.spare[i] -= 1
    else:
        core.held[take] = True
        if grouped:
            core.group_room[i, core.group[core.expert[take]]] -= 1
            core.group_spare[i, core.group[core.expert[take]]] += 1

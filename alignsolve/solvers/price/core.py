"""The core: the clients that nearly have another choice, with only the experts between which they waver.

While no two prices drift apart by more than the window δ, an expert that a client holds and whose every replacement
is worth more than δ less stays; one that would have to gain more than δ stays out. What is left of a client is a short
list of candidates, so that a core of many clients and experts is a small, sparse problem.
"""

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from alignsolve.numerics import RealArray
from alignsolve.solvers.price.heaps import NONE, UNSEEN, Heaps, push
from alignsolve.solvers.price.slopes import LARGEST

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


def quantised(rows: CoreRows, exponent: int, group: Array | None) -> Core:
    """Round the core's worths to whole multiples of 2**-exponent (integers are taken as they are)."""
    return Core(
        start=rows.start,
        expert=rows.expert,
        held=rows.held.copy(),
        worth=fixed_point(rows.worth, exponent),
        ground=fixed_point(rows.ground, exponent),
        room=rows.room.copy(),
        spare=rows.spare.copy(),
        group=np.zeros(0, dtype=np.int64) if group is None else np.ascontiguousarray(group),
        group_room=rows.group_room.copy(),
        group_spare=rows.group_spare.copy(),
        stamp=np.zeros(len(rows.client), dtype=np.int32),
    )


def fixed_point(values: RealArray, exponent: int) -> Array:
    """Return values·2**exponent, rounded, within what sums over a path of experts can hold."""
    if values.dtype.kind == "i":
        return values
    scaled: Array = np.clip(np.rint(np.ldexp(values, exponent)), -LARGEST, LARGEST).astype(np.int64)
    return scaled


@numba.njit(cache=True, nogil=True)
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


@numba.njit(cache=True, nogil=True)
def offer_moves(core: Core, heaps: Heaps, neighbour: Array, degree: Array, window: int, i: int) -> bool:
    """Offer every move that client i could make now and that the window admits; False if the pool is full."""
    ground = len(degree) - 1
    grouped = core.group_room.shape[1] > 0
    fits = True
    for a in range(core.start[i], core.start[i + 1]):
        if core.held[a]:
            leaves = True
            if grouped:
                leaves = core.group_spare[i, core.group[core.expert[a]]] > 0
            if leaves and core.spare[i] > 0 and core.worth[a] - core.ground[i] <= window:
                fits &= _offer(core, heaps, neighbour, degree, core.expert[a], ground, i, a, NONE)
            for b in range(core.start[i], core.start[i + 1]):
                if core.held[b] or core.worth[a] - core.worth[b] > window:
                    continue
                if grouped:
                    g, h = core.group[core.expert[a]], core.group[core.expert[b]]
                    if g != h and not (leaves and core.group_room[i, h] > 0):
                        continue
                fits &= _offer(core, heaps, neighbour, degree, core.expert[a], core.expert[b], i, a, b)
        elif core.room[i] > 0 and core.ground[i] - core.worth[a] <= window:
            if grouped and core.group_room[i, core.group[core.expert[a]]] <= 0:
                continue
            fits &= _offer(core, heaps, neighbour, degree, ground, core.expert[a], i, NONE, a)
    return fits


@numba.njit(cache=True, nogil=True)
def _offer(
    core: Core, heaps: Heaps, neighbour: Array, degree: Array, j: int, k: int, i: int, give: int, take: int
) -> bool:
    if heaps.root[j, k] == UNSEEN:
        neighbour[j, degree[j]] = k
        degree[j] += 1
    loss = core.ground[i] if give == NONE else core.worth[give]
    loss -= core.ground[i] if take == NONE else core.worth[take]
    return push(heaps, j, k, loss, i, give, take, core.stamp[i])


@numba.njit(cache=True, nogil=True)
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
    core.stamp[i] += 1

"""Pairing heaps in one pool: for every arc of the experts' graph, the moves that clients offer, cheapest first.

A move is never looked up to be deleted. Each carries the stamp that its client had when the move was offered; once
the client's choice changes, its stamp moves on, and its old moves are dropped when they come to the top of a heap
(lazy deletion). The tops themselves always stand, and their losses are kept in one small matrix, for the search reads
little else. Insertion costs O(1), so that a client can offer all its moves anew after every change.
Source: Fredman, Sedgewick, Sleator, Tarjan, "The pairing heap", Algorithmica 1 (1986).
"""

from typing import Any

import numpy.typing as npt

from alignsolve.solvers.price.arcs import FAR, NONE, Arcs
from alignsolve.solvers.price.compiled import inner, kernel
from alignsolve.solvers.price.core import Core

Array = npt.NDArray[Any]


@inner
def _meld(pool: Array, a: int, b: int) -> int:
    """Make the dearer root the cheaper one's first child."""
    if pool[b].loss < pool[a].loss:
        a, b = b, a
    pool[b].sibling = pool[a].child
    pool[a].child = b
    return a


@inner
def _push(
    pool: Array, free: Array, root: Array, loss: Array, j: int, k: int,
    loses: int, client: int, give: int, take: int, stamp: int,
) -> bool:  # fmt: skip
    """Offer a move on the arc j → k; False if the pool is full."""
    new = free[1]
    if new != NONE:
        free[1] = pool[new].sibling
    elif free[0] < len(pool):
        new = free[0]
        free[0] += 1
    else:
        return False
    move = pool[new]
    move.loss = loses
    move.client = client
    move.left = give
    move.taken = take
    move.stamp = stamp
    move.child = NONE
    move.sibling = NONE
    root[j, k] = new if root[j, k] == NONE else _meld(pool, root[j, k], new)
    loss[j, k] = min(loss[j, k], loses)
    return True


@inner
def _pop(pool: Array, free: Array, old: int) -> int:
    """Drop the top of a heap: meld its children in pairs, then the pairs from the right. Returns the new top."""
    child = pool[old].child
    pairs = NONE
    while child != NONE:
        second = pool[child].sibling
        after = NONE
        pair = child
        pool[child].sibling = NONE
        if second != NONE:
            after = pool[second].sibling
            pool[second].sibling = NONE
            pair = _meld(pool, child, second)
        pool[pair].sibling = pairs
        pairs = pair
        child = after
    root = old * 0 + NONE
    while pairs != NONE:
        after = pool[pairs].sibling
        pool[pairs].sibling = NONE
        root = pairs if root == NONE else _meld(pool, root, pairs)
        pairs = after
    pool[old].sibling = free[1]
    free[1] = old
    return root


@inner
def _drop_stale(pool: Array, free: Array, stamps: Array, root: int) -> int:
    """Drop what no longer stands from the top of a heap; returns the new top."""
    while root != NONE and pool[root].stamp != stamps[pool[root].client]:
        root = _pop(pool, free, root)
    return root


def filled_heaps(core: Core, nodes: int, windows: Array) -> Arcs:
    """Return heaps with every move that the core's clients could make now, and room for as many again."""
    arcs = Arcs.empty(nodes, 2 * int(_count_moves(core)) + 1024)
    _offer_all(core, arcs, windows)
    return arcs


@kernel
def _offer_all(core: Core, arcs: Arcs, windows: Array) -> None:
    for i in range(len(core.stamp)):
        offer_moves(core, arcs, windows, i)


@kernel
def _count_moves(core: Core) -> int:
    """At most so many moves can the core's clients offer together at a time."""
    total = 0
    start, holds = core.start, core.held
    for i in range(len(start) - 1):
        held = 0
        for a in range(start[i], start[i + 1]):
            held += holds[a]
        left = start[i + 1] - start[i] - held
        total += held * left + held + left
    return total


@inner
def offer_moves(core: Core, heaps: Arcs, windows: Array, i: int) -> bool:
    """Offer every move that client i could make now within the windows (swap, ground); False if the pool is full."""
    # What a loop uses is taken out of its tuple before: inside, each access would count a reference.
    pool, free, root, loss = heaps.pool, heaps.free, heaps.root, heaps.loss
    held, worth, expert = core.held, core.worth, core.expert
    group, group_spare, group_room = core.group, core.group_spare, core.group_room
    ground, begin, end = len(root) - 1, core.start[i], core.start[i + 1]
    nothing, stamp, grouped = core.ground[i], core.stamp[i], len(core.group) > 0
    none = end * 0 + NONE  # no literal, for which another version would be compiled
    room, spare, farthest = core.room[i] > 0, core.spare[i] > 0, windows[0]
    fits = True
    for a in range(begin, end):
        j = expert[a]
        if not held[a]:
            enters = room and (not grouped or group_room[i, group[j]] > 0)
            if enters and nothing - worth[a] <= windows[1]:
                fits &= _push(pool, free, root, loss, ground, j, nothing - worth[a], i, none, a, stamp)
            continue
        leaves = not grouped or group_spare[i, group[j]] > 0
        if spare and leaves and worth[a] - nothing <= windows[1]:
            fits &= _push(pool, free, root, loss, j, ground, worth[a] - nothing, i, a, none, stamp)
        for b in range(begin, end):
            if held[b] or worth[a] - worth[b] > farthest:
                continue
            k = expert[b]
            if not grouped or group[j] == group[k] or (leaves and group_room[i, group[k]] > 0):
                fits &= _push(pool, free, root, loss, j, k, worth[a] - worth[b], i, a, b, stamp)
    return fits


@inner
def withdraw_moves(core: Core, heaps: Arcs, i: int) -> None:
    """Outdate all moves of client i, and clear them from the tops."""
    held, expert, stamps = core.held, core.expert, core.stamp
    pool, free, root, loss = heaps.pool, heaps.free, heaps.root, heaps.loss
    ground, begin, end = len(root) - 1, core.start[i], core.start[i + 1]
    stamps[i] += 1
    for a in range(begin, end):
        j = expert[a]
        if not held[a]:
            _clear(pool, free, stamps, root, loss, ground, j, i)
            continue
        _clear(pool, free, stamps, root, loss, j, ground, i)
        for b in range(begin, end):
            if not held[b]:
                _clear(pool, free, stamps, root, loss, j, expert[b], i)


@inner
def _clear(pool: Array, free: Array, stamps: Array, root: Array, loss: Array, j: int, k: int, i: int) -> None:
    """Drop the top of the arc j → k if it is client i's."""
    if root[j, k] != NONE and pool[root[j, k]].client == i:
        top = _drop_stale(pool, free, stamps, int(root[j, k]))
        root[j, k] = top
        loss[j, k] = FAR if top == NONE else pool[top].loss

"""Pairing heaps in one pool: for every arc of the experts' graph, the moves that clients offer, cheapest first.

A move is never searched for to be deleted. Each move carries the stamp that its client had when the move was offered.
Once the client's choice changes, its stamp moves on, and its old moves are dropped when they come to the top of a
heap (lazy deletion). The tops are always valid, and their losses are kept in one small matrix, which is nearly all
that the search reads. Insertion costs O(1), so that a client can offer all its moves anew after every change.

Source: M. L. Fredman, R. Sedgewick, D. D. Sleator and R. E. Tarjan, The pairing heap, Algorithmica 1 (1986).
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alignsolve.runtime.jit import inner, kernel
from alignsolve.solvers.price.core import NONE, Core
from alignsolve.solvers.price.graph import FAR

Array = npt.NDArray[Any]

MOVE = np.dtype(
    [
        ("loss", np.int64),  # fitness lost by the move, in quanta
        ("client", np.int32),
        ("left", np.int32),  # the candidate left, NONE for the ground
        ("taken", np.int32),  # the candidate taken, NONE for the ground
        ("stamp", np.int32),
        ("child", np.int32),
        ("sibling", np.int32),
    ]
)
"""One move in the pool, with its links in the heap."""


class Heaps(NamedTuple):
    """All moves of a core; the experts and the ground are the nodes.

    Attributes
    ----------
    root
        (nodes, nodes) int32: the place in the pool of each arc's cheapest move, NONE where there is none.
    loss
        (nodes, nodes) int64: that move's loss, FAR where there is none.
    pool
        (capacity,) MOVE.
    free
        (2,) int64: how many moves were ever taken from the pool's untouched end, and the first of the free list
        (NONE: empty).
    """

    root: Array
    loss: Array
    pool: Array
    free: Array


def empty_heaps(core: Core, nodes: int) -> Heaps:
    """Return heaps without moves, with room for twice the moves that the core's clients could make now."""
    return Heaps(
        root=np.full((nodes, nodes), NONE, dtype=np.int32),
        loss=np.full((nodes, nodes), FAR, dtype=np.int64),
        pool=np.recarray(2 * int(_count_moves(core)) + 1024, dtype=MOVE),
        free=np.array([0, NONE], dtype=np.int64),
    )


@inner
def _meld(pool: Array, a: int, b: int) -> int:
    """Make the dearer root the first child of the cheaper one."""
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
    # Take a place from the free list, else from the untouched end.
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
    # Meld it with the arc's heap.
    root[j, k] = new if root[j, k] == NONE else _meld(pool, root[j, k], new)
    loss[j, k] = min(loss[j, k], loses)
    return True


@inner
def _pop(pool: Array, free: Array, old: int) -> int:
    """Drop the top of a heap: meld its children in pairs, then the pairs from the right. Return the new top."""
    child = pool[old].child
    pairs = NONE
    # First pass, from the left: meld the children in pairs.
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
    # Second pass, from the right: meld the pairs into one heap.
    root = old * 0 + NONE
    while pairs != NONE:
        after = pool[pairs].sibling
        pool[pairs].sibling = NONE
        root = pairs if root == NONE else _meld(pool, root, pairs)
        pairs = after
    # The old top's place is free.
    pool[old].sibling = free[1]
    free[1] = old
    return root


@inner
def _drop_stale(pool: Array, free: Array, stamps: Array, root: int) -> int:
    """Drop outdated moves from the top of a heap; return the new top."""
    while root != NONE and pool[root].stamp != stamps[pool[root].client]:
        root = _pop(pool, free, root)
    return root


@kernel
def _count_moves(core: Core) -> int:
    """Count the moves that the core's clients can offer together at a time, at most."""
    total = 0
    start, holds = core.start, core.held
    for i in range(len(start) - 1):
        held = 0
        for a in range(start[i], start[i + 1]):
            held += holds[a]
        left = start[i + 1] - start[i] - held
        total += held * left + held + left
    return total


def admit(core: Core, heaps: Heaps, i: int) -> None:
    """Do nothing: a client is known by its moves."""


def offer(core: Core, heaps: Heaps, windows: Array, i: int) -> bool:
    """Offer every move that client i could make now within the windows (swap, ground); False if the pool is full."""
    # Arrays that a loop uses are taken out of their tuple first: inside the loop each access would count a reference.
    pool, free, root, loss = heaps.pool, heaps.free, heaps.root, heaps.loss
    held, worth, expert = core.held, core.worth, core.expert
    group, group_spare, group_room = core.group, core.group_spare, core.group_room
    ground, begin, end = len(root) - 1, core.start[i], core.start[i + 1]
    nothing, stamp, grouped = core.ground[i], core.stamp[i], len(core.group) > 0
    # A literal would make numba compile another version.
    none = end * 0 + NONE
    room, spare, farthest = core.room[i] > 0, core.spare[i] > 0, windows[0]
    fits = True
    for a in range(begin, end):
        j = expert[a]
        if not held[a]:
            # An addition: ground → j.
            enters = room and (not grouped or group_room[i, group[j]] > 0)
            if enters and nothing - worth[a] <= windows[1]:
                fits &= _push(pool, free, root, loss, ground, j, nothing - worth[a], i, none, a, stamp)
            continue
        # A drop: j → ground.
        leaves = not grouped or group_spare[i, group[j]] > 0
        if spare and leaves and worth[a] - nothing <= windows[1]:
            fits &= _push(pool, free, root, loss, j, ground, worth[a] - nothing, i, a, none, stamp)
        # Swaps: j → k.
        for b in range(begin, end):
            if held[b] or worth[a] - worth[b] > farthest:
                continue
            k = expert[b]
            if not grouped or group[j] == group[k] or (leaves and group_room[i, group[k]] > 0):
                fits &= _push(pool, free, root, loss, j, k, worth[a] - worth[b], i, a, b, stamp)
    return fits


def withdraw(core: Core, heaps: Heaps, i: int) -> None:
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


def make_move(core: Core, heaps: Heaps, give: int, take: int) -> None:
    """A client leaves one candidate for another; NONE stands for the ground. The core keeps what is held."""
    if give != NONE:
        core.held[give] = False
    if take != NONE:
        core.held[take] = True


def freshen(core: Core, heaps: Heaps, j: int, k: int) -> None:
    """Do nothing: the tops are always valid."""


def freshen_row(core: Core, heaps: Heaps, j: int, price: Array, distance: Array, passed: int) -> None:
    """Do nothing: the tops are always valid."""


def read_move(core: Core, heaps: Heaps, j: int, k: int) -> tuple[int, int, int]:
    """Return the client of the cheapest move on the arc j → k, and its candidates left and taken."""
    move = heaps.pool[heaps.root[j, k]]
    return move.client, move.left, move.taken

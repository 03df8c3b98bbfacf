"""Pairing heaps in one pool: for every arc of the experts' graph, the moves that clients offer, cheapest first.

A move is never looked up to be deleted. Each carries the stamp that its client had when the move was offered; once
the client's choice changes, its stamp moves on, and its old moves are dropped when they come to the top of a heap
(lazy deletion). The tops themselves always stand, and their losses are kept in one small matrix, for the search reads
little else. Insertion costs O(1), so that a client can offer all its moves anew after every change.
Source: Fredman, Sedgewick, Sleator, Tarjan, "The pairing heap", Algorithmica 1 (1986).
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alignsolve.solvers.price.compiled import inner

Array = npt.NDArray[Any]
NONE = -1
FAR = 2**62
"""The loss of an arc on which nothing moves."""

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


class Heaps(NamedTuple):
    """All heaps.

    Attributes
    ----------
    root
        (nodes, nodes) int32: the cheapest move of each arc, NONE where there is none.
    loss
        (nodes, nodes) int64: what it loses, FAR where there is none.
    pool
        (capacity,) MOVE.
    free
        (2,) int64: moves ever taken from the pool's untouched end, and the first of the free list (NONE: empty).
    """

    root: Array
    loss: Array
    pool: Array
    free: Array

    @classmethod
    def empty(cls, nodes: int, capacity: int) -> "Heaps":
        """Return heaps without moves."""
        root = np.full((nodes, nodes), NONE, dtype=np.int32)
        loss = np.full((nodes, nodes), FAR, dtype=np.int64)
        return cls(root, loss, np.recarray(capacity, dtype=MOVE), np.array([0, NONE], dtype=np.int64))


@inner
def _meld(pool: Array, a: int, b: int) -> int:
    """Make the dearer root the cheaper one's first child."""
    if pool[b].loss < pool[a].loss:
        a, b = b, a
    pool[b].sibling = pool[a].child
    pool[a].child = b
    return a


@inner
def push(heaps: Heaps, j: int, k: int, loss: int, client: int, give: int, take: int, stamp: int) -> bool:
    """Offer a move on the arc j → k; False if the pool is full."""
    pool, free = heaps.pool, heaps.free
    new = free[1]
    if new != NONE:
        free[1] = pool[new].sibling
    elif free[0] < len(pool):
        new = free[0]
        free[0] += 1
    else:
        return False
    move = pool[new]
    move.loss = loss
    move.client = client
    move.left = give
    move.taken = take
    move.stamp = stamp
    move.child = NONE
    move.sibling = NONE
    root = heaps.root[j, k]
    heaps.root[j, k] = new if root == NONE else _meld(pool, root, new)
    heaps.loss[j, k] = min(heaps.loss[j, k], loss)
    return True


@inner
def _pop(heaps: Heaps, j: int, k: int) -> None:
    """Drop the cheapest move of the arc j → k: meld its children in pairs, then the pairs from the right."""
    pool = heaps.pool
    old = heaps.root[j, k]
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
    root = NONE
    while pairs != NONE:
        after = pool[pairs].sibling
        pool[pairs].sibling = NONE
        root = pairs if root == NONE else _meld(pool, root, pairs)
        pairs = after
    heaps.root[j, k] = root
    pool[old].sibling = heaps.free[1]
    heaps.free[1] = old


@inner
def drop_stale(heaps: Heaps, stamps: Array, j: int, k: int) -> None:
    """Drop what no longer stands from the top of the arc j → k."""
    root = heaps.root[j, k]
    while root != NONE and heaps.pool[root].stamp != stamps[heaps.pool[root].client]:
        _pop(heaps, j, k)
        root = heaps.root[j, k]
    heaps.loss[j, k] = FAR if root == NONE else heaps.pool[root].loss

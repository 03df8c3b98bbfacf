"""The arcs of the experts' graph: what the cheapest move on each loses, and where more of them are found.

A large core keeps all its moves in heaps (:mod:`.heaps`), a small one only the cheapest of each arc (:mod:`.table`).
Either way the search reads one small matrix of losses.
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


class Arcs(NamedTuple):
    """The arcs, all of them; the experts and the ground are the nodes.

    Attributes
    ----------
    root
        (nodes, nodes) int32: the cheapest move of each arc, NONE where there is none: its place in the pool; in a
        table its client, −2 − client where that one has moved since.
    loss
        (nodes, nodes) int64: what it loses, FAR where there is none.
    pool, free
        (capacity,) MOVE and (2,) int64: the heaps' moves; how many were ever taken from the pool's untouched end, and
        the first of the free list (NONE: empty).
    enter
        (clients · num_experts,) int64: the table's worths, SHUT where the expert cannot be taken or is held.
    holder, number, place
        The table's clients by expert: holder[j, :number[j]] hold j, and client i stands at place[i · num_experts + j].
        In heaps ``holder`` has no columns.
    """

    root: Array
    loss: Array
    pool: Array
    free: Array
    enter: Array
    holder: Array
    number: Array
    place: Array

    @classmethod
    def empty(cls, nodes: int, capacity: int) -> "Arcs":
        """Return arcs without moves, with room for some in heaps."""
        none = np.zeros(0, dtype=np.int64)
        return cls(
            root=np.full((nodes, nodes), NONE, dtype=np.int32),
            loss=np.full((nodes, nodes), FAR, dtype=np.int64),
            pool=np.recarray(capacity, dtype=MOVE),
            free=np.array([0, NONE], dtype=np.int64),
            enter=none,
            holder=np.zeros((nodes, 0), dtype=np.int32),
            number=none,
            place=none.astype(np.int32),
        )


@inner
def is_table(arcs: Arcs) -> bool:
    """Tell whether the arcs are those of a table."""
    return arcs.holder.shape[1] > 0

"""A binary heap of nodes by distance, in arrays: a node's distance can fall while it is in the heap."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alignsolve.runtime.jit import inner

Array = npt.NDArray[Any]

OUT = -1
"""The place of a node that is not in the heap."""


class Heap(NamedTuple):
    """A heap; entry 0 has the smallest distance.

    Attributes
    ----------
    keys, nodes
        (num_nodes,) the distances and the nodes, in the order of the heap.
    place
        (num_nodes,) where each node stands; OUT if it does not.
    size
        (1,) how many are in the heap.
    """

    keys: Array
    nodes: Array
    place: Array
    size: Array

    @classmethod
    def make(cls, num_nodes: int, dtype: npt.DTypeLike) -> "Heap":
        """Make an empty heap for nodes 0..num_nodes-1."""
        return cls(
            np.zeros(num_nodes, dtype=dtype),
            np.zeros(num_nodes, dtype=np.int64),
            np.full(num_nodes, OUT, dtype=np.int64),
            np.zeros(1, dtype=np.int64),
        )


@inner
def push(heap: Heap, node: int, key: Any) -> None:
    """Put a node in; if it is there, its distance falls to the new one."""
    at = heap.place[node]
    if at == OUT:
        at = heap.size[0]
        heap.size[0] += 1
    while at > 0:
        parent = (at - 1) >> 1
        if heap.keys[parent] <= key:
            break
        _put(heap, at, heap.nodes[parent], heap.keys[parent])
        at = parent
    _put(heap, at, node, key)


@inner
def pop(heap: Heap) -> int:
    """Take out the node with the smallest distance."""
    node = heap.nodes[0]
    heap.place[node] = OUT
    heap.size[0] -= 1
    size = heap.size[0]
    if size > 0:
        last, key = heap.nodes[size], heap.keys[size]
        at, child = 0, 1
        while child < size:
            if child + 1 < size and heap.keys[child + 1] < heap.keys[child]:
                child += 1
            if key <= heap.keys[child]:
                break
            _put(heap, at, heap.nodes[child], heap.keys[child])
            at, child = child, 2 * child + 1
        _put(heap, at, last, key)
    return node


@inner
def clear(heap: Heap) -> None:
    """Take out all nodes."""
    for at in range(heap.size[0]):
        heap.place[heap.nodes[at]] = OUT
    heap.size[0] = 0


@inner
def _put(heap: Heap, at: int, node: int, key: Any) -> None:
    heap.keys[at] = key
    heap.nodes[at] = node
    heap.place[node] = at

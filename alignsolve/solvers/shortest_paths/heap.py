"""A binary heap of nodes by distance: a node's distance can fall while it is in the heap."""

from typing import Any

import numpy.typing as npt

from alignsolve.runtime.jit import inner

Array = npt.NDArray[Any]

OUT = -1
"""Where a node is that is not in the heap."""


@inner
def push(heap: Array, where: Array, size: int, node: int, key: Any) -> int:
    """Put a node in; if it is there, its distance falls to the new one. Returns the heap's size."""
    at = where[node]
    if at == OUT:
        at = size
        size += 1
    while at > 0 and heap[(at - 1) >> 1].key > key:
        parent = (at - 1) >> 1
        heap[at].key = heap[parent].key
        heap[at].node = heap[parent].node
        where[heap[at].node] = at
        at = parent
    heap[at].key = key
    heap[at].node = node
    where[node] = at
    return size


@inner
def pop(heap: Array, where: Array, size: int) -> int:
    """Take out the nearest node of a heap of this size, and return it."""
    node = heap[0].node
    where[node] = OUT
    size -= 1
    if size > 0:
        key, last = heap[size].key, heap[size].node
        at, child = 0, 1
        while child < size:
            if child + 1 < size and heap[child + 1].key < heap[child].key:
                child += 1
            if key <= heap[child].key:
                break
            heap[at].key = heap[child].key
            heap[at].node = heap[child].node
            where[heap[at].node] = at
            at, child = child, 2 * child + 1
        heap[at].key = key
        heap[at].node = last
        where[last] = at
    return node

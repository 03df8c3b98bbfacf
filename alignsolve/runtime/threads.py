"""Work on several threads, results in the order of the items: the number of threads changes nothing but the time."""

import math
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from alignsolve.runtime.interruptible import late

Item = TypeVar("Item")
Result = TypeVar("Result")


def available_threads(threads: int | None) -> int:
    """How many threads to use: as many as were asked for, or as there are cores for this process."""
    if threads is not None:
        return max(1, threads)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_in_order(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int | None = None
) -> Iterator[Result]:
    """Apply a function that releases the interpreter's lock to every item, results in the items' order."""
    workers = available_threads(threads)
    if workers == 1:
        yield from map(function, items)
        return
    # What asks for an early end, and NumPy's way to treat errors, hold in the threads, too.
    context = copy_context()

    def unless_stopped(item: Item) -> Result:
        if late(math.inf):
            raise KeyboardInterrupt
        return function(item)

    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(lambda item: context.copy().run(unless_stopped, item), items)

"""Fitness that is read in blocks, watched: reads keep a time limit, and values that change between reads are noticed.

A certificate compares an objective and a bound that come from two passes over the fitness. They prove something only if
both passes have seen the same values. And a source may be so slow that one pass takes longer than the time limit.
"""

import math
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from alignsolve.data.blocks import RowBlocks
from alignsolve.numerics import IntArray, RealArray
from alignsolve.runtime.interruptible import late

Watchable = TypeVar("Watchable", bound=Any)


class LateError(TimeoutError):
    """The time is up, and the fitness is not read to the end."""


@dataclass
class Watch:
    """Watches the reads of one fitness.

    Attributes
    ----------
    fitness
        What is read.
    until
        On the clock of :func:`time.monotonic`: a read that would end later, if it takes as long as those before it,
        raises :class:`LateError`.
    compares
        Whether each block must be as it was when it was read before.
    sums
        The checksum of each block that was read, by its first client and the client after its last.
    reads, seconds
        How many reads there were, and how long they took.
    """

    fitness: RowBlocks
    until: float = math.inf
    compares: bool = False
    sums: dict[tuple[int, int], int] = field(default_factory=dict)
    reads: int = 0
    seconds: float = 0.0

    @classmethod
    def of(cls, problem: Watchable, **settings: Any) -> "tuple[Watch, Watchable]":
        """Return a watch, and the problem with its fitness watched; the problem itself if that is in memory."""
        watch = cls(problem.fitness, **settings)
        return watch, problem.with_fitness(watch.watched()) if isinstance(problem.fitness, RowBlocks) else problem

    def watched(self) -> RowBlocks:
        """Return the same fitness; every read is watched."""
        take = None if self.fitness.take is None else self._take
        return replace(self.fitness, read=self._read, take=take)

    def _read(self, start: int, stop: int) -> RealArray:
        block = self._timed(lambda: self.fitness[start:stop])
        if self.compares:
            known = self.sums.setdefault((start, stop), found := zlib.crc32(np.ascontiguousarray(block).data))
            if known != found:
                raise ValueError(f"fitness of clients {start} .. {stop - 1} changed between two reads; RowBlocks.read "
                                 "must return the same values every time")  # fmt: skip
        return block

    def _take(self, rows: IntArray) -> RealArray:
        return self._timed(lambda: self.fitness.pick(rows))

    def _timed(self, read: Callable[[], RealArray]) -> RealArray:
        """Read, and note how long it took; raise if it is too late for that."""
        if late(self.until - self.seconds / max(1, self.reads)):
            raise LateError("the time limit came before the fitness was read")
        began = time.monotonic()
        block = read()
        self.reads, self.seconds = self.reads + 1, self.seconds + time.monotonic() - began
        return block

"""Samples: about one client of every ``stride``, jittered so that no period in the data can bias it, read in chunks."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from alignsolve.data.blocks import ClientBlock
from alignsolve.numerics import IntArray
from alignsolve.runtime.threads import map_in_order

if TYPE_CHECKING:
    from alignsolve.problem import AlignmentProblem

CHUNK_ENTRIES = 1 << 20
"""Pairs of a chunk, unless said otherwise."""
MIX = 2654435761
"""Knuth's multiplicative hash: jitter without a random generator."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Sample:
    """Some of a problem's clients.

    Attributes
    ----------
    problem
        The whole problem.
    stride
        Sampling stride: the sample has one client in ``stride``, and all of them for 1.
    chunk_entries
        Pairs of a chunk. Chunks do not depend on the number of threads, so answers do not either.
    """

    problem: "AlignmentProblem"
    stride: int
    chunk_entries: int = CHUNK_ENTRIES

    @cached_property
    def num_clients(self) -> int:
        """Number of clients in the sample."""
        return sum(len(self._picked(start, stop)) for start, stop in self.chunks) if self.stride > 1 else self._all

    @property
    def _all(self) -> int:
        return self.problem.num_clients

    @cached_property
    def chunks(self) -> list[tuple[int, int]]:
        """Ranges of the problem's clients, each a multiple of the stride."""
        step = max(1, self.chunk_entries // max(1, self.problem.num_experts)) * self.stride
        return [(start, min(start + step, self._all)) for start in range(0, self._all, step)]

    def block(self, start: int, stop: int) -> ClientBlock:
        """Return the sampled clients within a range."""
        if self.stride == 1:
            return self.problem.block(start, stop)
        return self.problem.pick(self._picked(start, stop))

    def _picked(self, start: int, stop: int) -> IntArray:
        """One client of each slot of ``stride`` clients: the hash of the slot's number decides which."""
        slot = np.arange(start // self.stride, -(-stop // self.stride), dtype=np.int64)
        picked = slot * self.stride + ((slot * MIX) >> 8) % self.stride
        return picked[picked < stop]

    def map(self, work: Callable[[int, ClientBlock], Result], threads: int | None) -> list[Result]:
        """Apply ``work(number of the chunk, block)`` to every chunk, on several threads, results in order."""
        threads = 1 if len(self.chunks) == 1 else threads
        return list(map_in_order(lambda at: work(at, self.block(*self.chunks[at])), range(len(self.chunks)), threads))

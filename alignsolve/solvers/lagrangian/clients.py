"""Clients under prices, in chunks: their choices and loads, on several threads, until a deadline."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from alignsolve.data.blocks import ClientBlock
from alignsolve.numerics import BoolArray, FloatArray, IntArray
from alignsolve.problem import AlignmentProblem
from alignsolve.runtime.interruptible import late
from alignsolve.runtime.threads import map_in_order
from alignsolve.solvers.common.sample import Sample
from alignsolve.subproblem.dispatch import Demand

CHUNK_ENTRIES, KNAPSACK_ENTRIES = 1 << 16, 1 << 13
"""Pairs that one thread prices at a time; fewer if clients have budgets, because then each one is a knapsack."""


class LateError(Exception):
    """The deadline came in the middle of a pass."""


def _chunk_entries(problem: AlignmentProblem) -> int:
    return CHUNK_ENTRIES if problem.client_budget is None else KNAPSACK_ENTRIES


@dataclass(frozen=True)
class ClientChunks:
    """Some of a problem's clients, whose demand can be asked for.

    Attributes
    ----------
    blocks
        The clients, in chunks.
    num_experts
        Of the problem.
    scale
        Number of the problem's clients that each of these clients stands for.
    threads
        As in :class:`~alignsolve.solver.Solver`.
    deadline
        On the clock of :func:`time.monotonic`.
    """

    blocks: list[ClientBlock]
    num_experts: int
    scale: float
    threads: int | None
    deadline: float

    @cached_property
    def demands(self) -> list[Demand]:
        """The clients of each chunk."""
        return [Demand(block) for block in self.blocks]

    @classmethod
    def of(cls, problem: AlignmentProblem, stride: int, threads: int | None, deadline: float) -> "ClientChunks":
        """One client of every ``stride``; all of them for 1."""
        sample = Sample(problem, stride, _chunk_entries(problem))
        blocks = [sample.block(*chunk) for chunk in sample.chunks]
        seen = sum(block.num_clients for block in blocks)
        return cls(blocks, problem.num_experts, problem.num_clients / max(1, seen), threads, deadline)

    @classmethod
    def picked(
        cls, problem: AlignmentProblem, clients: IntArray, threads: int | None, deadline: float
    ) -> "ClientChunks":
        """The clients of an ascending index array, not scaled."""
        chunks = max(1, -(-len(clients) * problem.num_experts // _chunk_entries(problem)))
        blocks = [problem.pick(chunk) for chunk in np.array_split(clients, chunks)]
        return cls(blocks, problem.num_experts, 1.0, threads, deadline)

    @property
    def num_clients(self) -> int:
        """Number of clients."""
        return sum(block.num_clients for block in self.blocks)

    def respond(self, prices: FloatArray, chosen: BoolArray | None = None) -> tuple[float, FloatArray]:
        """Return the sum of the clients' optima under the prices and their loads, (num_experts,), both scaled up.

        Parameters
        ----------
        prices
            (num_experts,).
        chosen
            (num_clients, num_experts), to be filled with an optimal choice of each client; None: not wanted.

        Raises
        ------
        LateError
            If the deadline comes first.
        """
        starts = np.cumsum([0, *(block.num_clients for block in self.blocks)])

        def ask(at: int) -> tuple[float, FloatArray]:
            if late(self.deadline):
                raise LateError
            out = None if chosen is None else chosen[starts[at] : starts[at + 1]]
            return self.demands[at].respond(prices, out)

        threads = 1 if len(self.blocks) == 1 else self.threads
        answers = list(map_in_order(ask, range(len(self.blocks)), threads))
        total = math.fsum(answer[0] for answer in answers)
        loads = np.sum([answer[1] for answer in answers], axis=0)
        return total * self.scale, loads * self.scale

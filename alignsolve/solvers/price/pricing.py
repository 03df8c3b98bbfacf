"""The pricing pass: prices go in; every client's choice, the loads, the dual value and the core rows come out.

The solver reads the large data in no other way. So an engine is two functions over a chunk of clients: ``price`` and
``core_rows``. :mod:`.engine_numpy` defines what they compute; :mod:`.engine_numba` computes it fast. An engine for a
GPU or for other machines would be a third file.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from alignsolve.data.blocks import ClientBlock
from alignsolve.numerics import IntArray, RealArray, fixed
from alignsolve.solvers.common.sample import Sample
from alignsolve.solvers.price.core import CoreRows, concatenate


class Priced(NamedTuple):
    """The best choice of every client of a chunk under given prices.

    Attributes
    ----------
    number
        (n,) int32: how many experts each client chooses.
    expert
        (Σ number,) int32: the experts chosen, client by client, in any order within a client.
    margin, ground_margin
        (n,) float64 or int64: by how much each client's choice beats the best choice that is one swap away, and the
        best one that is one drop or addition away.
    loads
        (num_experts,) int64.
    dual
        Total reduced fitness of the choices: with the experts' own term, an upper bound on the sample's optimum.
    magnitude
        Total |value| of the choices: the scale against which "exact" is judged.
    """

    number: npt.NDArray[np.int32]
    expert: npt.NDArray[np.int32]
    margin: RealArray
    ground_margin: RealArray
    loads: IntArray
    dual: float
    magnitude: float


class Windows(NamedTuple):
    """How far prices may drift: between two experts, and between an expert and the ground.

    Often all clients are far from taking fewer or more experts; then the second window can be far wider.
    """

    swap: Any
    ground: Any


class Engine(Protocol):
    """How the large data is read."""

    def price(self, block: ClientBlock, prices: RealArray, grain: float) -> Priced:
        """Find every client's best choice; values and prices are both int64 or both real.

        Real reduced fitness is rounded to multiples of the grain, if that is not 0, so that choices that tie but for
        the last digits do tie. Ties are broken differently for different clients, so that a tie between experts does
        not pile up on one.
        """
        ...

    def core_rows(
        self, block: ClientBlock, prices: RealArray, grain: float, priced: Priced, windows: Windows
    ) -> CoreRows:
        """List the clients with margins within the windows, with every expert in a move that loses no more."""
        ...


@dataclass(frozen=True)
class Pass:
    """A pricing pass over a sample: its question and its results."""

    sample: Sample
    engine: Engine
    prices: RealArray
    grain: float
    chunks: list[Priced]
    threads: int | None

    @classmethod
    def run(cls, sample: Sample, engine: Engine, prices: RealArray, threads: int | None, grain: float = 0.0) -> "Pass":
        """Price every client of the sample."""
        kind = prices.dtype
        chunks = sample.map(lambda _, block: engine.price(typed(block, kind), prices, grain), threads)
        return cls(sample, engine, prices, grain, chunks, threads)

    @cached_property
    def loads(self) -> IntArray:
        """(num_experts,) int64."""
        loads: IntArray = np.sum([chunk.loads for chunk in self.chunks], axis=0, dtype=np.int64)
        return loads if self.chunks else np.zeros(len(self.prices), dtype=np.int64)

    @cached_property
    def margins(self) -> RealArray:
        """(num_clients of the sample,) in the prices' dtype."""
        return np.concatenate([chunk.margin for chunk in self.chunks])

    @cached_property
    def ground_margins(self) -> RealArray:
        """(num_clients of the sample,) in the prices' dtype."""
        return np.concatenate([chunk.ground_margin for chunk in self.chunks])

    @property
    def magnitude(self) -> float:
        """Total |value| of the pairs chosen."""
        return float(sum(chunk.magnitude for chunk in self.chunks))

    def core_rows(self, windows: Windows) -> CoreRows:
        """Collect the core; its clients are numbered within the sample."""
        kind = self.prices.dtype

        def work(at: int, block: ClientBlock) -> CoreRows:
            return self.engine.core_rows(typed(block, kind), self.prices, self.grain, self.chunks[at], windows)

        parts = self.sample.map(work, self.threads)
        first = np.cumsum([0, *(len(chunk.number) for chunk in self.chunks)])
        return concatenate(
            [part._replace(client=part.client + offset) for part, offset in zip(parts, first, strict=False)]
        )


def typed(block: ClientBlock, kind: npt.DTypeLike) -> ClientBlock:
    """Return the block with contiguous values of a type that engines take: int64, or float64 or float32."""
    value = block.value
    if np.dtype(kind).kind == "i":
        return block.valued(fixed(np.ascontiguousarray(value, dtype=np.int64)))
    single = value.dtype in (np.dtype(np.float16), np.dtype(np.float32))
    return block.valued(fixed(np.ascontiguousarray(value, dtype=np.float32 if single else np.float64)))

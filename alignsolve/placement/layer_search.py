"""The search within one layer, as the rest of the room calls it: bools in, bools out."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from alignsolve.numerics import BoolArray, FloatArray, IntArray
from alignsolve.placement.placement import times_of
from alignsolve.placement.request import Fleet
from alignsolve.placement.search import improve, step
from alignsolve.placement.start import slots_of
from alignsolve.placement.state import Layer, layer_of

DRAWS = 4096
"""Random integers of a layer; a round uses a window of them."""
CHUNK = 20
"""Rounds between two looks at the clock."""


@dataclass(frozen=True)
class Effort:
    """How hard to search.

    Attributes
    ----------
    gap
        A placement this close to the bound, relatively, is good enough.
    rounds
        How often a placement is disturbed and improved again, in each layer.
    seed
        Of all random choices.
    threads
        How many layers at once; None: one per core.
    until
        The moment, of ``time.perf_counter``, when the search ends.
    """

    gap: float = 1e-4
    rounds: int = 100
    seed: int = 0
    threads: int | None = None
    until: float = math.inf

    def late(self) -> bool:
        """Whether the time is over."""
        return time.perf_counter() >= self.until


@dataclass(frozen=True, eq=False)
class LayerSearch:
    """Loads of one layer, and where its experts may be.

    Attributes
    ----------
    number
        Number of the layer.
    loads, home
        (num_experts,): load and node of each expert.
    fleet
        The GPUs.
    enough
        A largest time below which nothing more is won.
    effort
        How hard to search.
    """

    number: int
    loads: FloatArray
    home: IntArray
    fleet: Fleet
    enough: float
    effort: Effort

    def largest(self, copies: BoolArray) -> float:
        """Return the largest time of a GPU."""
        return float(times_of(self.loads[np.newaxis], copies[np.newaxis], self.fleet.speed).max())

    def at_home(self, home: IntArray) -> "LayerSearch":
        """Return the search with experts on other nodes."""
        return replace(self, home=home)

    def improved(self, copies: BoolArray, weight: FloatArray | None = None, price: float = 0.0) -> BoolArray:
        """Return a placement that is as good or better: a lower largest time plus the price of what is moved.

        Parameters
        ----------
        copies
            (num_gpus, num_experts): where to start.
        weight
            (num_gpus, num_experts): weight to move where a GPU holds an expert; None: nothing.
        price
            Of a unit of weight.
        """
        layer = self._state(copies, weight)
        best = np.zeros_like(layer.held)
        draws = np.random.default_rng([self.effort.seed, self.number]).integers(0, 2**31, DRAWS)
        lowest = improve(layer, best, self.enough, price, 0, 0, draws)
        for first in range(0, self.effort.rounds, CHUNK):
            if lowest <= self.enough or self.effort.late():
                break
            last = min(first + CHUNK, self.effort.rounds)
            lowest = improve(layer, best, self.enough, price, first, last, draws)
        return self._copies(layer)

    def path(self, copies: BoolArray, weight: FloatArray, price: float, enough: float) -> Iterator[BoolArray]:
        """Yield the placements of a descent, one change after the other, without the first one."""
        layer = self._state(copies, weight)
        while step(layer, enough, price):
            yield self._copies(layer)

    def _state(self, copies: BoolArray, weight: FloatArray | None) -> Layer:
        shut = self.fleet.node[:, np.newaxis] != self.home
        weight = np.zeros(copies.shape) if weight is None else weight
        return layer_of(self.loads, self.fleet.speed, weight, shut, slots_of(copies, self.fleet.usable))

    def _copies(self, layer: Layer) -> BoolArray:
        copies = np.zeros((self.fleet.num_gpus, len(self.loads)), dtype=np.bool_)
        gpu, slot = np.nonzero(layer.held >= 0)
        copies[gpu, layer.held[gpu, slot]] = True
        return copies

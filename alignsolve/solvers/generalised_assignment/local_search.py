"""The local search as a whole: it runs in slices and can be given better alignments from outside.

Descents (path_relinking.py) and a large neighbourhood search (large_neighbourhood.py) take turns. The second starts
from the best of the descents and puts its results into their pool. Once it finds nothing more, it starts from another
alignment of the pool.
"""

import math
import threading
from collections.abc import Callable
from contextvars import copy_context

import numpy as np

from alignsolve.numerics import FloatArray, IntArray
from alignsolve.runtime.interruptible import late
from alignsolve.solvers.generalised_assignment.instance import Instance
from alignsolve.solvers.generalised_assignment.large_neighbourhood import LargeNeighbourhoodSearch
from alignsolve.solvers.generalised_assignment.moves import Terms, empty_plan
from alignsolve.solvers.generalised_assignment.path_relinking import RANGE, below, insert, new_elite, search

NEAREST_EXPERTS = 6
"""Experts of least reduced cost that a client is offered."""
NEAREST_CLIENTS = 40
"""Clients of least reduced cost that are offered to an expert with unused capacity."""
FIRST_PENALTY = 1.2
"""Penalties begin at this multiple of the experts' prices."""
SMALLEST_SHARE = 1e-2
"""An expert whose price is 0 still has a penalty: this share of the mean price."""
ROUNDING = 1e-11
"""Gains below this share of all costs are rounding."""
SLICE = 20_000
"""Descents in a slice times pairs (clients × experts): some milliseconds."""
WALKS = 2
"""Slices of the walk between two slices of descents."""
THIN, RARELY = 10, 0.2
"""Clients for each expert below which there are fewer walks, and how many: with few clients for each expert,
capacities are hardly ever met exactly."""
FIRST = 100
"""Descents before the walk begins."""
STALE = 400
"""Slices without anything better after which a walk starts elsewhere."""


class LocalSearch:
    """Path relinking and large neighbourhood search from one start.

    Attributes
    ----------
    best
        (num_clients,) the cheapest alignment found, or None.
    value
        Its cost; inf without one.
    descents
        Descents so far.
    """

    def __init__(self, instance: Instance, prices: FloatArray, start: IntArray, seed: int) -> None:
        self.instance = instance
        terms = _terms(instance, prices)
        typical = float(prices[prices > 0].mean()) if (prices > 0).any() else _typical(terms)
        penalty = FIRST_PENALTY * np.maximum(prices, SMALLEST_SHARE * typical)
        self._terms = terms
        self._elite = new_elite(start, penalty, seed)
        self._plan = empty_plan(*instance.shape)
        self._prices = prices
        self._walk, self._elsewhere, self._due = self._new_walk(), False, 0.0

    def _new_walk(self) -> LargeNeighbourhoodSearch:
        """A walk that shares this search's random numbers."""
        whole, random = self.instance.whole_loads, self._elite.random
        return LargeNeighbourhoodSearch(self._terms, self._prices, whole_loads=whole, random=random)

    def sibling(self, seed: int) -> "LocalSearch":
        """Return a search with the same start and penalties but with random numbers of its own."""
        other = object.__new__(LocalSearch)
        other.instance, other._terms = self.instance, self._terms
        other._elite = new_elite(self._elite.start, self._elite.lowest / RANGE, seed)
        other._plan = empty_plan(*self.instance.shape)
        other._prices = self._prices
        other._walk, other._elsewhere, other._due = other._new_walk(), False, 0.0
        return other

    @property
    def best(self) -> IntArray | None:
        """(num_clients,) the cheapest alignment found, or None."""
        return self._elite.best.copy() if math.isfinite(self.value) else None

    @property
    def value(self) -> float:
        """Its cost; inf without one."""
        return float(self._elite.best_value[0])

    @property
    def descents(self) -> int:
        """Descents so far."""
        return int(self._elite.counters[2])

    def run(
        self, descents: float, deadline: float, goal: float = -math.inf, enough: threading.Event | None = None
    ) -> None:
        """Make this number of descents, or stop at the deadline, at the goal (a cost), or once ``enough`` is set."""
        num_clients, num_experts = self.instance.shape
        slice_ = max(1, SLICE // (num_clients * num_experts))
        while descents > 0 and not late(deadline) and self.value > goal:
            now = int(min(slice_, descents))
            if enough is not None and enough.is_set():
                return
            search(self._terms, self._elite, self._plan, now)
            descents -= now
            for _ in range(self._walks_due() if self.descents >= FIRST else 0):
                if math.isfinite(self.value) and self.value > goal and not late(deadline):
                    self.walk()

    def _walks_due(self) -> int:
        """Slices of the walk that are due after a slice of descents."""
        num_clients, num_experts = self.instance.shape
        self._due += WALKS if num_clients >= THIN * num_experts else RARELY
        now = int(self._due)
        self._due -= now
        return now

    def walk(self) -> None:
        """Walk for one slice, from the best or, if that brings nothing better, from another alignment of the pool."""
        walk, elite, least = self._walk, self._elite, float(self._terms.least[0])
        if self.value < walk.value - least and not self._elsewhere:
            walk.start(elite.best, self.value)
        if walk.stale > STALE:
            insert(elite, walk.best, walk.value, least)
            self._elsewhere = not self._elsewhere
            chosen = elite.pool[below(elite.random, max(int(elite.counters[0]), 1))].copy()
            start = chosen if self._elsewhere and self._holds(chosen) else elite.best
            walk.start(start, self.instance.value(start))
        walk.run()
        if walk.value < self.value - least and self._holds(walk.best):
            self.tell(walk.best, walk.value)

    def _holds(self, chosen: IntArray) -> bool:
        """Whether loads are within capacities."""
        load, capacity = self._terms.load, self._terms.capacity
        carried = np.bincount(chosen, load[np.arange(len(chosen)), chosen], minlength=len(capacity))
        return bool((carried <= capacity).all())

    def tell(self, chosen: IntArray, value: float) -> None:
        """Put an alignment from elsewhere into the pool, and make it the best if it is."""
        insert(self._elite, chosen, value, self._terms.least[0])
        if value < self.value:
            self._elite.best[:] = chosen
            self._elite.best_value[0] = value


def run_beside(searches: list[LocalSearch], end: float, goal: float, work: Callable[[], None] | None) -> None:
    """Run each search in a thread of its own, until the end, its goal, or until the work, if any, is done."""
    enough = threading.Event()
    asked = (math.inf, end, goal, enough)
    workers = [threading.Thread(target=copy_context().run, args=(each.run, *asked)) for each in searches]
    for worker in workers:
        worker.start()
    try:
        if work is not None:
            work()
            enough.set()
    finally:
        for worker in workers:
            worker.join()


def _terms(instance: Instance, prices: FloatArray) -> Terms:
    """Reduced costs under the prices, and the nearest experts and clients by them."""
    priced = instance.cost + prices * instance.load
    reduced = priced - priced.min(axis=1, keepdims=True)
    num_clients, num_experts = instance.shape
    width = min(NEAREST_EXPERTS, num_experts)
    experts_of = np.argsort(reduced, axis=1, kind="stable")[:, :width].copy()
    closed = ~np.isfinite(np.take_along_axis(reduced, experts_of, axis=1))
    experts_of = np.where(closed, experts_of[:, :1], experts_of)
    height = min(NEAREST_CLIENTS, num_clients)
    clients_of = np.ascontiguousarray(np.argsort(reduced, axis=0, kind="stable")[:height].T)
    size = np.abs(np.where(np.isfinite(instance.cost), instance.cost, 0.0)).max(axis=1).sum()
    least = np.array([0.5 if instance.whole else ROUNDING * size])
    return Terms(instance.cost, instance.load, reduced, instance.capacity, experts_of, clients_of, least)


def _typical(terms: Terms) -> float:
    """The typical size of a price where all are 0: mean reduced cost over mean load."""
    finite = np.isfinite(terms.reduced)
    load = float(terms.load.mean())
    mean = float(terms.reduced[finite].mean())
    return mean / load if mean > 0 and load > 0 else 1.0

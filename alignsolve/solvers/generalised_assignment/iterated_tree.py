"""Trees one after the other, each aiming one above the bound, until one finds something or time is better spent.

A tree that is exhausted raises the bound by one. Each tree is some times larger than the one before. Whether the
present tree will end in time can be guessed early, from the share of it that is done.
"""

import time
from collections.abc import Callable

from alignsolve.numerics import BoolArray, FloatArray, IntArray
from alignsolve.solvers.generalised_assignment.instance import Instance
from alignsolve.solvers.generalised_assignment.tree import Found, Tree, suits

TRIAL = 1.0
"""Seconds that a tree may take before its length is guessed."""
UNLIKELY = 30.0
"""A tree is not continued if it would take more than this multiple of the time left."""


class IteratedTree:
    """The trees of one search, to be continued in slices.

    Attributes
    ----------
    pays
        False where trees do not suit the instance, or grow too deep.
    nodes
        Nodes so far, of all trees.
    """

    def __init__(self, instance: Instance) -> None:
        self.instance, self.pays = instance, suits(instance)
        self.nodes = 0
        self._tree: Tree | None = None
        self._lowest, self._seconds = 0.0, 0.0

    @property
    def best(self) -> IntArray | None:
        """(num_clients,) the alignment that the present tree has found, or None."""
        return None if self._tree is None else self._tree.best

    def promising(self, left: float, times: float) -> bool:
        """Whether the present tree is expected to take at most ``times`` times the ``left`` seconds."""
        if not self.pays or self._tree is None:
            return self.pays
        return self._seconds <= TRIAL or self._seconds <= times * left * self._tree.explored

    def run(
        self, aim: float, opened: Callable[[float], BoolArray], multipliers: FloatArray, nodes: float, deadline: float
    ) -> Found:
        """Continue the tree of this aim, or begin it.

        Parameters
        ----------
        aim
            A whole cost; the tree looks for costs below it.
        opened
            Given the aim, the (num_clients, num_experts) pairs that something below it may have.
        multipliers
            (num_clients,) where the root's climb begins.
        nodes, deadline
            When to stop.
        """
        begun = time.monotonic()
        if self._tree is None or self._lowest != aim:
            self._tree = Tree(self.instance, opened(aim), multipliers, aim)
            self._lowest, self._seconds = aim, 0.0
        before = self._tree.nodes
        found = self._tree.run(nodes, deadline)
        self.nodes += self._tree.nodes - before
        self._seconds += time.monotonic() - begun
        self.pays = found is not Found.TOO_DEEP
        return found

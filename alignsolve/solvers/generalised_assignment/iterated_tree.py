"""One tree after the other, each aiming one above the bound, until one finds something or all time is better spent.

A tree that is exhausted raises the bound by one; so the trees grow, each some times larger than the last. Whether the
present one will come to an end shows early: in the share of it that is done.
"""

import time
from collections.abc import Callable

from alignsolve.numerics import BoolArray, FloatArray, IntArray
from alignsolve.solvers.generalised_assignment.instance import Instance
from alignsolve.solvers.generalised_assignment.tree import Found, Tree, suits

TRIAL = 1.0
"""Seconds that a tree may take before anything is concluded from how much of it is done."""
UNLIKELY = 30.0
"""A tree that would take so many times what time is left is not gone on with."""


class IteratedTree:
    """The trees of one search, to be continued in slices.

    Attributes
    ----------
    pays
        False where trees do not suit the instance, or grow too deep.
    nodes
        How many there have been.
    best
        (num_clients,) what the present tree has found, or None.
    """

    def __init__(self, instance: Instance) -> None:
        self.instance, self.pays = instance, suits(instance)
        self.nodes = 0
        self._tree: Tree | None = None
        self._lowest, self._seconds = 0.0, 0.0

    @property
    def best(self) -> IntArray | None:
        """See the class."""
        return None if self._tree is None else self._tree.best

    def promising(self, left: float, times: float) -> bool:
        """Whether the present tree takes at most so many times what seconds are left, as far as one can tell."""
        if not self.pays or self._tree is None:
            return self.pays
        return self._seconds <= TRIAL or self._seconds <= times * left * self._tree.explored

    def run(
        self, aim: float, opened: Callable[[float], BoolArray], multipliers: FloatArray, nodes: float, deadline: float
    ) -> Found:
        """Go on with the tree of that aim, or begin it.

        Parameters
        ----------
        aim
            A whole cost; what is sought costs less.
        opened
            Tells the (num_clients, num_experts) pairs that may be in what costs less.
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

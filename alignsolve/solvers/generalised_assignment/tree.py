"""Branch and bound on the Lagrangian relaxation: it decides whether an alignment costs less than an aim.

The search is depth first. At each node (:mod:`.tree_node`):

1. *Climb.* The multipliers take a few steps from the parent's multipliers. Near their optimum every knapsack has many
   best choices, and what one choice misses says little. So a step goes along the mean of what the last choices
   missed.
2. *Close.* Every pair whose knapsacks lose too much if the pair is taken is closed. A client that is left with one
   expert goes there, and its load leaves the capacity.
3. *Branch* on the client whose knapsacks' choices are most divided: first it is put with the expert that chose it
   most often, then it is kept from that expert.

Between two whole costs there is little room. So only one pair in two or three is left open at the root, and each
branch closes many more: trees are a dozen or two levels deep, where those of the linear relaxation would never end.

Costs and loads are whole, so that the knapsacks are exact. The aim is as low as possible, just above the bound: if
the tree is exhausted, the bound rises to the aim, and the next tree aims one higher.

Source: M. Posta, J. A. Ferland and P. Michelon, An exact method with variable fixing for solving the generalized
assignment problem, Computational Optimization and Applications 52 (2012).
"""

import time
from enum import IntEnum
from typing import Any

import numpy as np

from alignsolve.numerics import BoolArray, FloatArray, IntArray
from alignsolve.runtime.jit import inner, kernel
from alignsolve.solvers.generalised_assignment.instance import Instance
from alignsolve.solvers.generalised_assignment.knapsacks import knapsacks, new_table
from alignsolve.solvers.generalised_assignment.tree_node import DIVIDED, SOLVED, STEPS, State, look

DEEPEST = 200
"""Most levels of a tree; a deeper tree is given up."""
MOST_CELLS = 12_000_000
"""Most entries of all levels' open pairs."""
BESIDES = 10
"""The rest of a node's work, in steps of the multipliers."""
SLICE = 20_000_000
"""Entries of tables that are filled between two looks at the clock: some milliseconds."""
SECONDS = 2e-9
"""Time of one entry on a slow machine: no node is begun that would end after the deadline."""


class Found(IntEnum):
    """The result of some nodes."""

    EXHAUSTED = 0
    """Nothing is left, and nothing costs less than the aim but what was found."""
    ALIGNMENT = 1
    """An alignment below the aim was found."""
    MORE = 2
    """There are nodes left."""
    TOO_DEEP = 3
    """The tree has more levels than there is room for."""


def suits(instance: Instance) -> bool:
    """Whether costs and loads are whole, and the knapsacks have the loads as they are."""
    return instance.whole and instance.whole_loads and bool((knapsacks(instance).size == instance.most).all())


class Tree:
    """One tree, to be continued in slices.

    Attributes
    ----------
    aim
        The tree looks for costs below it; once something is found, for costs below that.
    best
        (num_clients,) the cheapest alignment found, or None.
    """

    def __init__(self, instance: Instance, opened: BoolArray, multipliers: FloatArray, aim: float) -> None:
        self.instance, self.aim = instance, aim
        self.best: IntArray | None = None
        sacks, (num_clients, num_experts) = knapsacks(instance), instance.shape
        levels = int(min(DEEPEST, num_clients + 2, max(MOST_CELLS // opened.size, 2)))
        grid, by_client = (num_experts, num_clients), (levels, num_clients)
        table = new_table(sacks)
        self._state = State(
            cost=sacks.cost, weight=sacks.weight,
            open=np.zeros((levels, *grid), dtype=np.bool_), room=np.zeros((levels, num_experts), dtype=np.int64),
            multipliers=np.zeros(by_client), expert=np.full(by_client, -1), spent=np.zeros(levels),
            branch=np.zeros((levels, 3), dtype=np.int64), shares=np.zeros(instance.shape),
            at=np.zeros(2, dtype=np.int64), explored=np.zeros(1),
            among=np.zeros(grid, dtype=np.int64), many=np.zeros(num_experts, dtype=np.int64),
            inside=np.empty(instance.shape), outside=np.empty(instance.shape), away=np.empty(num_clients),
            table=table, back=np.empty_like(table), solution=np.zeros(num_clients, dtype=np.int64),
        )  # fmt: skip
        self._work = float((STEPS + BESIDES) * (opened.sum(axis=0) * sacks.size).sum())
        self._state.open[0], self._state.room[0] = opened.T, sacks.size
        self._state.multipliers[0] = multipliers

    @property
    def nodes(self) -> int:
        """Nodes so far."""
        return int(self._state.at[1])

    @property
    def explored(self) -> float:
        """Share of the tree that is done, where each branch counts as half of its node."""
        return float(self._state.explored[0])

    def run(self, nodes: float, deadline: float) -> Found:
        """Visit this number of nodes, or stop at the deadline or when an alignment is found."""
        found, slice_ = Found.MORE, max(SLICE // max(self._work, 1.0), 1.0)
        while found is Found.MORE and nodes > 0 and time.monotonic() + SECONDS * self._work < deadline:
            now = int(min(slice_, nodes))
            found = Found(explore(self._state, self.aim, now))
            nodes -= now
        if found is Found.ALIGNMENT:
            self.best = self._state.solution.copy()
            self.aim = self.instance.value(self.best)
        return found


@kernel
def explore(tree: Any, aim: float, nodes: int) -> int:
    """Visit a number of nodes; see :class:`Found` for the result."""
    for _ in range(nodes):
        level = tree.at[0]
        if level < 0:
            return 0
        tree.at[1] += 1
        kind = look(tree, level, aim)
        if kind == DIVIDED:
            if level + 1 == len(tree.spent):
                return 3
            _enter(tree, level, 0)
            continue
        tree.explored[0] += 0.5**level
        _retreat(tree, level)
        if kind == SOLVED:
            return 1
    return 2 if tree.at[0] >= 0 else 0


@inner
def _enter(tree: Any, level: int, away: int) -> None:
    """Go one level down: the client at the branch has its expert and no other, or is kept from it."""
    i, j = tree.branch[level, 0], tree.branch[level, 1]
    tree.branch[level, 2] = away
    below = level + 1
    tree.open[below] = tree.open[level]
    if away:
        tree.open[below, j, i] = False
    else:
        tree.open[below, :, i] = False
        tree.open[below, j, i] = True
    tree.room[below] = tree.room[level]
    tree.multipliers[below] = tree.multipliers[level]
    tree.expert[below] = tree.expert[level]
    tree.spent[below] = tree.spent[level]
    tree.at[0] = below


@inner
def _retreat(tree: Any, level: int) -> None:
    """Go back to the last node with a second branch, and into that branch."""
    level -= 1
    while level >= 0 and tree.branch[level, 2] == 1:
        level -= 1
    tree.at[0] = level
    if level >= 0:
        _enter(tree, level, 1)

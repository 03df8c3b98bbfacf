"""Branch and bound on expert prices, for few experts: it finds the best alignment, and writes the tree that proves it.

The relaxation is the price bound, with every client's own problem exact. So its gap is small from the start: what is
left is that expert loads come in lumps. The search is depth first. At each node (:mod:`.node`):

1. *Lower* the bound: the prices take steps along subgradients, from the parent's prices on. If the bound falls to the
   best alignment's worth, the node is a leaf with these prices.
2. *Fix* every pair that loses too much: if the bound with the pair taken is no better than the best alignment, the
   client goes without that expert, and the other way round. Each is a branch of the proof whose other side is a leaf.
3. *Branch* on the pair that the last choices were most divided about.

A client with one choice left is settled. Under good prices most clients are, from the root on; so a step asks few.

The same search without values, and with hard bounds alone, finds an alignment or proves that there is none: then prices
are directions, along which the bound must fall below zero.
"""

from enum import IntEnum
from typing import Any

import numpy as np

from alignsolve.certificate.tree import Leaf, ProofTree
from alignsolve.data.alignment import Alignment
from alignsolve.numerics import FEASIBILITY, OPTIMALITY, FloatArray, IntArray, fixed
from alignsolve.problem import AlignmentProblem
from alignsolve.runtime.interruptible import late
from alignsolve.runtime.jit import inner, kernel
from alignsolve.solvers.branch.choices import BITS, Choices
from alignsolve.solvers.branch.node import DIVIDED, STEPS, look, write_branch
from alignsolve.solvers.branch.state import (
    ASKED,
    BEST,
    GAP,
    KIND,
    LEVEL,
    NODES,
    ROWS,
    SCALE,
    TOLERANCE,
    UNIT,
    WRITTEN,
    State,
)

DEEPEST = 1000
"""Most levels of a tree; a deeper tree is given up."""
SLICE, WORK = 256, 1 << 24
"""Most nodes between two looks at the clock, and the choices that these look at: hundredths of a second."""
WRITE = 1 << 16
"""Nodes of the proof for which there is room within a slice."""
MOST_WRITTEN = 1 << 23
"""Nodes of the proof after which the search gives up: such a proof is too large for anybody."""


class Found(IntEnum):
    """How a search, or a part of it, ended."""

    EXHAUSTED = 0
    """Nothing is left: the tree is a proof."""
    ALIGNMENT = 1
    """A search for any alignment has found one."""
    MORE = 2
    """There are nodes left."""
    GIVEN_UP = 3
    """The tree is too deep or too large."""


class Search:
    """One search, to be continued in slices.

    Parameters
    ----------
    problem, choices
        The problem, and the choices of its clients.
    prices
        (num_experts,) to begin with.
    objective
        Worth of the best alignment known, to be beaten; None: any alignment will do, or the proof that there is none.
    gap
        Relative gap up to which a bound is good enough.
    """

    def __init__(
        self, problem: AlignmentProblem, choices: Choices, prices: FloatArray, objective: float | None, gap: float = 0.0
    ) -> None:
        self.problem, self.choices = problem, choices
        any_will_do = objective is None
        if any_will_do:
            choices = choices._replace(value=np.zeros_like(choices.value))
        self._state = state = _new_state(problem, choices, any_will_do)
        state.prices[0] = np.minimum(np.maximum(prices, state.lowest), state.highest)
        if objective is None:
            # A direction may have any length: falling by the size of the loads is as good as falling without end.
            state.size[SCALE] = state.size[BEST] = 1.0 + float(choices.load.sum()) / problem.num_experts
            state.size[BEST] *= -1.0
            state.at[KIND] = Leaf.DIRECTION
        else:
            state.size[BEST] = objective
            state.size[SCALE] = 1.0 + float(np.abs(choices.value).max(initial=0.0))
            state.size[TOLERANCE] = max(0.5 * OPTIMALITY, gap)
            state.size[UNIT] = 1.0 - 1e-6 if problem.integral else 0.0
            state.at[KIND] = Leaf.PRICES
        self._parts: list[ProofTree] = []
        self._written, self._rows = 0, 0

    @property
    def nodes(self) -> int:
        """Nodes so far."""
        return int(self._state.at[NODES])

    @property
    def prices(self) -> FloatArray:
        """(num_experts,) the root's best prices so far."""
        return self._state.prices[0].copy()

    @property
    def gap(self) -> float:
        """By how much the root's bound exceeds the worth of the best alignment known."""
        return float(self._state.size[GAP])

    @property
    def objective(self) -> float:
        """Worth of the best alignment known."""
        return float(self._state.size[BEST])

    @property
    def alignment(self) -> Alignment | None:
        """The best alignment that this search has found; None if it has found none that is better than known."""
        chosen = self._state.solution
        if chosen[0] < 0:
            return None
        bits = self.choices.experts[chosen]
        clients, experts = np.nonzero((bits[:, None] >> np.arange(self.problem.num_experts)) & 1)
        return Alignment.from_pairs(clients, experts, self.problem.num_clients)

    def run(self, nodes: int, deadline: float) -> Found:
        """Visit this number of nodes, or stop at the deadline."""
        found, end = Found.MORE, self.nodes + nodes
        slice_ = max(1, min(SLICE, WORK // (STEPS * len(self.choices.experts) + 1)))
        while found is Found.MORE and self.nodes < end and not late(deadline):
            found = Found(_explore(self._state, min(slice_, end - self.nodes)))
            self._keep()
            if found is Found.MORE and self._written > MOST_WRITTEN:
                found = Found.GIVEN_UP
        return found

    def _keep(self) -> None:
        """Take what a slice has written of the proof."""
        state = self._state
        nodes, rows = int(state.at[WRITTEN]), int(state.at[ROWS])
        client, expert = state.client[:nodes].copy(), state.expert[:nodes].copy()
        client[expert < 0] += self._rows
        self._parts.append(ProofTree(client, expert, state.taken[:nodes].copy(), state.row[:rows].copy()))
        self._written, self._rows = self._written + nodes, self._rows + rows
        state.at[WRITTEN] = state.at[ROWS] = 0

    def tree(self) -> ProofTree:
        """The proof; it is one only once the search is exhausted."""
        parts = self._parts
        return ProofTree(
            np.concatenate([part.client for part in parts]),
            np.concatenate([part.expert for part in parts]),
            np.concatenate([part.taken for part in parts]),
            np.concatenate([part.prices for part in parts]),
        )


def _new_state(problem: AlignmentProblem, choices: Choices, hard_only: bool) -> State:
    """Make the state of a search that has not begun; with hard bounds alone where any alignment will do."""
    (n, e), bounds, total = problem.shape, problem.experts, len(choices.experts)
    lowest, highest = bounds.project(np.full(e, -np.inf)), bounds.project(np.full(e, np.inf))
    points = bounds.breakpoints
    penalties = np.where(np.isnan(points), np.nan, bounds.penalty(points))
    shortfall = np.where(np.isfinite(bounds.shortfall), bounds.shortfall, 0.0)
    overload = np.where(np.isfinite(bounds.overload), bounds.overload, 0.0)
    soft = np.stack([bounds.demand, bounds.capacity, shortfall, overload])
    if hard_only:
        points = np.stack([bounds.least, np.where(np.isfinite(bounds.most), bounds.most, np.nan)])
        penalties = np.zeros_like(points)
        lowest, highest = np.where(bounds.hard_demand, -np.inf, 0.0), np.where(bounds.hard_capacity, np.inf, 0.0)
        soft = np.stack([bounds.least, bounds.most, np.zeros(e), np.zeros(e)])
    limits = np.stack([bounds.least * (1.0 - FEASIBILITY), bounds.most * (1.0 + FEASIBILITY)])
    levels = min(DEEPEST, n * e + 2)
    room = WRITE + 4 * n * e + 4
    first, experts, value, load = map(fixed, choices)
    return State(
        first=first, experts=experts, value=value, load=load, points=points, penalties=penalties, lowest=lowest,
        highest=highest, limits=limits, soft=soft, has=_whole(levels, n), lacks=_whole(levels, n),
        prices=np.zeros((levels, e)), branch=_whole(levels, 3), shares=np.zeros((n, e)), choice=_whole(n),
        solution=_whole(n) - 1, undecided=_whole(n), alive=_whole(total + 1), begin=_whole(n + 1),
        table=np.zeros((-(-e // BITS), 1 << BITS)), base=np.zeros((2, e)), client=_whole(room), expert=_whole(room),
        taken=np.zeros(room, dtype=np.bool_), row=np.zeros((8 * SLICE, e)), at=_whole(7), size=np.zeros(6),
    )  # fmt: skip


def _whole(*shape: int) -> IntArray:
    return np.zeros(shape, dtype=np.int64)


@kernel
def _explore(tree: Any, nodes: int) -> int:
    """Visit a number of nodes; see :class:`Found` for the result. It ends early where the room to write runs out."""
    any_will_do = tree.size[BEST] < 0.0 and tree.size[TOLERANCE] == 0.0
    for _ in range(nodes):
        level = tree.at[LEVEL]
        if level < 0:
            return 0
        if tree.at[WRITTEN] > WRITE or tree.at[ROWS] > 4 * SLICE:
            return 2
        tree.at[NODES] += 1
        kind = look(tree)
        if any_will_do and tree.solution[0] >= 0:
            return 1
        if kind == DIVIDED:
            if level + 1 == len(tree.prices):
                return 3
            # First the side that the clients chose more often.
            i, j = tree.branch[level, 0], tree.branch[level, 1]
            first = tree.shares[i, j] > 0.5 * tree.size[ASKED]
            write_branch(tree, i, j, first)
            tree.branch[level, 2] = 2 if first else 0
            _enter(tree, level, first)
            continue
        # Back to the last branch with a second side, and into it.
        level -= 1
        while level >= 0 and (tree.branch[level, 2] & 1):
            level -= 1
        tree.at[LEVEL] = level
        if level >= 0:
            tree.branch[level, 2] |= 1
            _enter(tree, level, tree.branch[level, 2] < 2)
    return 2 if tree.at[LEVEL] >= 0 else 0


@inner
def _enter(tree: Any, level: int, take: bool) -> None:
    """Go one level down: the client at the branch has the expert, or has not."""
    below, i, j = level + 1, tree.branch[level, 0], tree.branch[level, 1]
    for client in range(tree.has.shape[1]):
        tree.has[below, client], tree.lacks[below, client] = tree.has[level, client], tree.lacks[level, client]
    for expert in range(tree.prices.shape[1]):
        tree.prices[below, expert] = tree.prices[level, expert]
    if take:
        tree.has[below, i] |= 1 << j
    else:
        tree.lacks[below, i] |= 1 << j
    tree.at[LEVEL] = below

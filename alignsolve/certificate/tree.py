"""The proof tree: a proof by cases of the general class, and its check from the problem's own data.

Every branch is about one pair: either the client has the expert, or it has not. So the leaves cover all alignments,
whatever the pairs are. A leaf has prices of its own; what they prove with the pairs of its path fixed is its bound. The
tree's bound is the largest of its leaves. No alignment is worth more.

Where experts fall apart into parts that nothing couples, each part has a tree. Their bounds add up: what a client takes
in one part is one of its choices without the other experts, so the parts together allow at least what the whole allows.

The check shares no code with any search, but for how a problem's rows are read. It lists every client's choices in its
own way (:mod:`.tree_choices`) and walks through the tree once (:mod:`.tree_walk`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from alignsolve.data.expert_bounds import ExpertBounds
from alignsolve.data.problem_view import ProblemView
from alignsolve.numerics import FEASIBILITY, MAX_FLOAT, BoolArray, FloatArray, IntArray, Number

MOST_CHOICES = 1 << 20
"""Choices of all clients, and of one client on the way, up to which a tree is checked: some seconds."""
MOST_EXPERTS, MOST_PAIRS = 62, 1 << 22
"""Experts that fit the bits of a choice, and pairs that are read into memory at once."""
ROWS_AT_ONCE = 1 << 12
"""Rows of prices whose experts' terms are computed at once."""


class Leaf(IntEnum):
    """Kinds of leaves: what ``ProofTree.expert`` says in place of an expert."""

    PRICES = -1
    """Expert prices, a row of ``prices``: the price bound with the fixed pairs."""
    DIRECTION = -2
    """A price direction, a row of ``prices``, along which the bound falls without end: no alignment is there."""


@dataclass(frozen=True, eq=False)
class ProofTree:
    """A tree that proves a bound, or one tree for each part; unchecked until ``tree_bound`` has seen it.

    Nodes are in preorder: a branch, its first child with all that follows from it, then its second child. The trees of
    several parts follow one another.

    Attributes
    ----------
    client
        (num_nodes,) at a branch its client, at a leaf the row of its prices.
    expert
        (num_nodes,) at a branch its expert, at a leaf its kind (``Leaf``).
    taken
        (num_nodes,) at a branch, whether the client has the expert in the first child; in the second it is the other
        way round. False at a leaf.
    prices
        (num_rows, num_experts) what the leaves refer to, in fitness per unit of load.
    part
        (num_experts,) each expert's part, 0..num_parts-1; None: there is one.
    """

    client: IntArray
    expert: IntArray
    taken: BoolArray
    prices: FloatArray
    part: IntArray | None = None

    @classmethod
    def of_prices(cls, prices: FloatArray) -> "ProofTree":
        """Return the tree that is one leaf."""
        return cls(np.zeros(1, np.int64), np.array([int(Leaf.PRICES)]), np.zeros(1, np.bool_), prices[None, :])

    @classmethod
    def joined(
        cls, trees: Sequence["ProofTree"], clients: Sequence[IntArray], experts: Sequence[IntArray], num_experts: int
    ) -> "ProofTree | None":
        """Join the trees of problems that are parts of a whole; None if an expert is in two of them.

        Parameters
        ----------
        trees
            A tree for each part.
        clients, experts
            The indices in the whole of each part's clients and experts.
        num_experts
            Of the whole.
        """
        every = np.concatenate(experts)
        if len(np.unique(every)) < len(every):
            return None
        part, known = np.zeros(num_experts, dtype=np.int64), 0
        nodes: list[tuple[Any, ...]] = []
        rows: list[FloatArray] = []
        for tree, own_clients, own_experts in zip(trees, clients, experts, strict=True):
            branch = tree.expert >= 0
            client, expert = tree.client + sum(len(prices) for prices in rows), tree.expert.copy()
            client[branch] = own_clients[tree.client[branch]]
            expert[branch] = own_experts[tree.expert[branch]]
            nodes.append((client, expert, tree.taken))
            rows.append(np.zeros((len(tree.prices), num_experts)))
            rows[-1][:, own_experts] = tree.prices
            part[own_experts] = known if tree.part is None else known + tree.part
            known += tree.num_parts
        client, expert, taken = (np.concatenate(each) for each in zip(*nodes, strict=True))
        return cls(client, expert, taken, np.concatenate(rows), part)

    @property
    def num_parts(self) -> int:
        """Number of trees."""
        return 1 if self.part is None else int(self.part.max(initial=0)) + 1

    @cached_property
    def num_leaves(self) -> int:
        """Number of leaves."""
        return int((self.expert < 0).sum())

    def find_fault(self, num_clients: int, num_experts: int) -> str:
        """Tell in words why these arrays are no tree for a problem of this size; empty if nothing is wrong so far."""
        whole = all(np.ndim(part) == 1 and np.asarray(part).dtype.kind in "iu" for part in (self.client, self.expert))
        flags = np.ndim(self.taken) == 1 and np.asarray(self.taken).dtype.kind == "b"
        if not (whole and flags and len(self.client) == len(self.expert) == len(self.taken) > 0):
            return "client, expert and taken must be as many whole numbers, whole numbers and bools, one for each node"
        if np.ndim(self.prices) != 2 or self.prices.shape[1] != num_experts or self.prices.dtype.kind != "f":
            return f"prices must be rows of {num_experts} floats, one per expert"
        if not (np.abs(self.prices) <= MAX_FLOAT).all():
            return "prices must be finite, of a size to compute with"
        if self.part is not None and not self._has_parts(num_experts):
            return f"part must be {num_experts} whole numbers from 0 on, each part with an expert"
        leaf = self.expert < 0
        kinds = {int(kind) for kind in Leaf}
        if not set(np.unique(self.expert[leaf]).tolist()) <= kinds or (self.expert >= num_experts).any():
            return f"expert must be below {num_experts} at a branch, and one of {sorted(kinds)} at a leaf"
        if (self.client < 0).any() or (self.client >= np.where(leaf, len(self.prices), num_clients)).any():
            return f"client must be one of {num_clients} clients at a branch, and a row of the prices at a leaf"
        return ""

    def _has_parts(self, num_experts: int) -> bool:
        part = np.asarray(self.part)
        if part.shape != (num_experts,) or part.dtype.kind not in "iu" or not num_experts:
            return False
        return bool(np.array_equal(np.unique(part), np.arange(part.max() + 1)))


class TreeBound(NamedTuple):
    """What a tree proves: no alignment is worth more than ``value``; inf, and why, where it proves nothing."""

    value: Number
    told: str = ""


def tree_bound(problem: ProblemView, tree: ProofTree) -> TreeBound:
    """Check a tree, and return what it proves: −inf if no alignment exists."""
    n, e = problem.num_clients, problem.num_experts
    fault = tree.find_fault(n, e)
    if fault:
        return TreeBound(math.inf, fault)
    if e > MOST_EXPERTS or n * e > MOST_PAIRS or problem.stored is not None:
        largest = f"{MOST_EXPERTS} experts and {MOST_PAIRS} pairs"
        return TreeBound(math.inf, f"trees are checked for full problems of up to {largest} only")
    if problem.sets is not None:
        return TreeBound(math.inf, "trees are checked for problems without sets of experts only")
    from alignsolve.certificate.tree_choices import list_choices, projected  # noqa: PLC0415  (loads numba)
    from alignsolve.certificate.tree_walk import walk  # noqa: PLC0415  (loads numba)

    choices = list_choices(problem, MOST_CHOICES)
    if choices is None:
        return TreeBound(math.inf, f"the clients have more than {MOST_CHOICES} choices")
    part = np.zeros(e, dtype=np.int64) if tree.part is None else tree.part
    at, bounds, nodes = 0, [], (tree.client, tree.expert, tree.taken)
    for k in range(tree.num_parts):
        inside = part == k
        mask = sum(1 << int(j) for j in np.flatnonzero(inside))
        own = projected(choices, mask) if tree.num_parts > 1 else choices
        worst, at = walk(nodes, tree.prices, at, mask, own, *_experts_terms(problem.experts, tree.prices, inside))
        if at < 0:
            return TreeBound(math.inf, "its nodes do not end where the tree ends")
        if worst == -math.inf:
            return TreeBound(worst)
        # What a part is worth is a whole number wherever the objective is one.
        bounds.append(math.floor(worst) if problem.integral and math.isfinite(worst) else worst)
    if at < len(tree.client):
        return TreeBound(math.inf, "it has nodes beyond its end")
    if len(bounds) == 1 or problem.integral:
        return TreeBound(sum(bounds))
    return TreeBound(math.nextafter(math.fsum(bounds), math.inf))


def _experts_terms(bounds: ExpertBounds, prices: FloatArray, inside: BoolArray) -> tuple[FloatArray, ...]:
    """The experts' side of every row of prices, for the experts inside a part; (num_experts,) bools.

    Returns
    -------
    The projected prices, (num_rows, num_experts); the experts' terms, their sizes, and the terms of the row as a
    direction, (num_rows,) each: inf where a direction leaves the cone of the hard bounds.
    """
    projected = bounds.project(prices)
    term, size = np.empty(len(prices)), np.empty(len(prices))
    points = bounds.breakpoints
    penalty = bounds.penalty(points)
    for first in range(0, len(prices), ROWS_AT_ONCE):
        rows = slice(first, first + ROWS_AT_ONCE)
        with np.errstate(invalid="ignore"):
            paid = projected[rows, None, :] * points
            worth = np.where(np.isnan(points), -np.inf, paid - penalty)
        best = worth.argmax(axis=1)[:, None, :]
        term[rows] = np.take_along_axis(worth, best, axis=1)[:, 0, inside].sum(axis=1)
        sizes = np.abs(np.take_along_axis(paid, best, axis=1)[:, 0]) + penalty[best[:, 0], np.arange(len(points.T))]
        size[rows] = np.where(np.isfinite(sizes), sizes, 0.0)[:, inside].sum(axis=1)
    return projected, term, size, _directions(bounds, prices, inside)


def _directions(bounds: ExpertBounds, prices: FloatArray, inside: BoolArray) -> FloatArray:
    """The hard bounds' terms of every row as a direction: the most that loads within bounds and tolerance earn."""
    most = bounds.most * (1.0 + 2.0 * FEASIBILITY)
    least = bounds.least * (1.0 - 2.0 * FEASIBILITY)
    with np.errstate(invalid="ignore"):
        earned = np.where(prices > 0.0, prices * most, prices * least)
    found: FloatArray = np.where(prices == 0.0, 0.0, earned)[:, inside].sum(axis=1)
    return found

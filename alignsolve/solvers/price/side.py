"""The experts' side of the graph: bounds of experts and of nested sets around them, as a tree up to the ground.

The nodes are the experts, the ground, and then the sets. A unit of load that a client puts on an expert flows up: from
the expert to the smallest set around it, and so on to the ground. Every node on the way is bounded by slopes
(:mod:`.slopes`), which are compared with its own price: its potential less that of the node above it. The potential of
an expert is what clients pay for it. Without sets, every expert lies directly below the ground, whose potential is 0.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from alignsolve.data.expert_bounds import ExpertBounds
from alignsolve.data.expert_sets import Prices
from alignsolve.numerics import BoolArray, FloatArray, IntArray, RealArray
from alignsolve.solvers.price.slopes import Slopes, relative_slopes, settle, signs, slopes_of

if TYPE_CHECKING:
    from alignsolve.problem import AlignmentProblem

ROOM = 4.0
"""A set without a capacity has room for this many times all bends, which rounding in a sample must not use up."""


@dataclass(frozen=True, eq=False)
class Side:
    """Bounds of experts and sets.

    Attributes
    ----------
    slopes
        The slopes of the experts; where there are sets, of all nodes, the ground's row without any load.
    up
        (nodes,) the node above each one; −1 for the ground.
    sets
        The nodes that are sets, each after those inside it.
    num_experts
        Number of experts; the ground is the node after them.
    """

    slopes: Slopes
    up: IntArray
    sets: IntArray
    num_experts: int

    @classmethod
    def of(cls, problem: "AlignmentProblem") -> "Side":
        """Read the bounds of a problem of the cardinality class. Hard bounds must not cross."""
        e, sets = problem.num_experts, problem.sets
        own = slopes_of(problem.experts, problem.num_clients)
        if sets is None:
            return cls(own, np.append(np.full(e, e), -1), np.zeros(0, dtype=np.int64), e)
        node = np.append(np.arange(e), np.append(e + 1 + np.arange(len(sets)), e))  # of experts, sets, the ground
        up = np.full(e + 1 + len(sets), -1, dtype=np.int64)
        up[node[:-1]] = node[sets.parent]
        size = sets.members.sum(axis=1)
        inner_first = e + 1 + np.lexsort((np.arange(len(sets)), size))
        slopes = _stacked(own, slopes_of(sets.bounds, _beyond(own, sets.bounds)))
        return cls(slopes, up, inner_first, e)

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return len(self.up)

    def scaled(self, fraction: float) -> "Side":
        """Return the same side for a sample, with loads multiplied by that fraction."""
        return Side(self.slopes.scaled(fraction), self.up, self.sets, self.num_experts)

    def own(self, prices: RealArray, potentials: RealArray) -> RealArray:
        """The nodes' own prices, one for each row of the slopes, given the potentials of experts and of sets."""
        if not len(self.sets):
            return prices
        level = np.concatenate([prices, np.zeros(1, dtype=prices.dtype), potentials])
        own: RealArray = np.where(self.up >= 0, level - level[self.up], 0)
        return own

    def content(self, relative: IntArray, loads: IntArray) -> IntArray:
        """Loads nearest to ``loads`` with which experts are content, and those nearest to these with which sets are.

        Parameters
        ----------
        relative
            Slopes less own prices, row by row; only their signs matter.
        loads
            (num_experts,) int64.
        """
        if not len(self.sets):
            return settle(self.slopes, relative, loads)
        e, found = self.num_experts, np.zeros(self.nodes, dtype=np.int64)
        found[:e] = loads
        found = settle(self.slopes, relative, found)
        inside = np.zeros(self.nodes, dtype=np.int64)
        np.add.at(inside, self.up[:e], found[:e])
        for s in self.sets:
            rows = slice(s, s + 1)
            one = Slopes(self.slopes.least[rows], self.slopes.end[rows], self.slopes.slope[rows])
            found[s] = settle(one, relative[rows], inside[rows])[0]
            inside[self.up[s]] += found[s]
        return found

    def excess(self, content: IntArray, loads: IntArray) -> IntArray:
        """(nodes,) what arrives at each node beyond the load with which it is content; they sum to 0."""
        e = self.num_experts
        if not len(self.sets):
            excess = loads - content
            return np.append(excess, -excess.sum())
        arrives = np.zeros(self.nodes, dtype=np.int64)
        arrives[:e] = loads
        below = np.flatnonzero(self.up >= 0)
        np.add.at(arrives, self.up[below], content[below])
        excess = arrives - content
        excess[e] -= loads.sum()
        return excess

    def misplaced(self, prices: RealArray, potentials: RealArray, loads: IntArray) -> int:
        """Units of load that are out of place: the distance to loads with which experts and sets are content."""
        own = self.own(prices, potentials)
        relative = relative_slopes(self.slopes, own, 0) if own.dtype.kind == "i" else signs(self.slopes, own)
        excess = self.excess(self.content(relative, loads), loads)
        return int(np.abs(excess).sum() - abs(int(excess[self.num_experts])))

    def moved(
        self,
        own: RealArray,
        prices: RealArray,
        potentials: RealArray,
        exactly: BoolArray,
        far: BoolArray,
        drift: IntArray,
    ) -> tuple[RealArray, RealArray]:
        """Potentials where some own prices are known exactly.

        Nodes that are linked by known own prices keep these. They follow the ground where it is one of them, else the
        uppermost of them. Where one moved farther than can be told, they follow the one that moved least.

        Parameters
        ----------
        own
            Own prices, row by row, where ``exactly`` is True.
        prices, potentials
            Potentials of experts and sets.
        exactly
            Which own prices are known.
        far, drift
            (nodes,) bool: whose own price moved farther than can be told; and how far the potential moved, in quanta.
        """
        e = self.num_experts
        level = np.concatenate([prices, np.zeros(1, dtype=prices.dtype), potentials])
        head, above = np.arange(self.nodes), np.zeros(self.nodes, dtype=level.dtype)
        for node in np.append(self.sets[::-1], np.arange(e)):
            if exactly[node]:
                head[node], above[node] = head[self.up[node]], above[self.up[node]] + own[node]
        for top in np.setdiff1d(head[far & exactly], [e]):
            linked = np.flatnonzero(head == top)
            near = linked[np.abs(drift[linked]).argmin()]
            level[top] = level[near] - above[near]
        level = np.where(head == np.arange(self.nodes), level, level[head] + above)
        return level[:e], level[e + 1 :]

    def joint(self, prices: RealArray, potentials: RealArray) -> FloatArray:
        """What clients pay for experts, and then the sets' own prices."""
        paid = prices.astype(np.float64)
        if not len(self.sets):
            return paid
        level = np.concatenate([paid, np.zeros(1), potentials.astype(np.float64)])
        first = self.num_experts + 1
        return np.append(paid, level[first:] - level[self.up[first:]])

    def potentials(self, given: Prices) -> FloatArray:
        """(num_sets,) the potentials of sets with these prices."""
        found, first = given.sets.copy(), self.num_experts + 1
        for s in self.sets[::-1]:
            if self.up[s] >= first:
                found[s - first] += found[self.up[s] - first]
        return found

    def loads(self, loads: IntArray) -> IntArray:
        """Loads row by row: of the experts and, where there are sets, of the ground, 0, and of the sets."""
        if not len(self.sets):
            return loads
        found = np.zeros(self.nodes, dtype=np.int64)
        found[: self.num_experts] = loads
        np.add.at(found, self.up[: self.num_experts], loads)
        for s in self.sets:
            found[self.up[s]] += found[s]
        found[self.num_experts] = 0
        return found


def _beyond(experts: Slopes, sets: ExpertBounds) -> int:
    """A load that a set without a capacity never reaches, however far its experts' and its own bends lie."""
    bends = sets.breakpoints
    most = float(experts.end[:, -1].sum()) + float(bends[np.isfinite(bends)].sum())
    return int(min(ROOM * (most + 1.0), 2.0**60))


def _stacked(experts: Slopes, sets: Slopes) -> Slopes:
    """The slopes of all nodes: experts, the ground, sets."""
    width = max(experts.end.shape[1], sets.end.shape[1])

    def padded(values: RealArray) -> RealArray:
        return np.pad(values, ((0, 0), (0, width - values.shape[1])), mode="edge")

    nothing = np.zeros((1, width))
    return Slopes(
        least=np.concatenate([experts.least, [0], sets.least]),
        end=np.vstack([padded(experts.end), nothing.astype(np.int64), padded(sets.end)]),
        slope=np.vstack([padded(experts.slope), nothing, padded(sets.slope)]),
    )

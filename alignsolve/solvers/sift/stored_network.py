"""The residual network of a sparse problem: all stored pairs are in it, laid out straight from their rows; compiled.

Nodes are those of :mod:`.network`: the ground, the clients, the experts, and a node for each client and group whose
bound can break. The arcs of the pairs come first at every node, in the order in which the pairs are stored; the arcs of
the bounds follow. So nothing has to be kept that tells where the arc of a pair stands: each walk over the pairs finds
it again. A required pair has an arc without room.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from alignsolve.data.stored import StoredPairs
from alignsolve.numerics import BoolArray, FloatArray, IntArray, fixed
from alignsolve.problem import AlignmentProblem
from alignsolve.runtime.jit import kernel
from alignsolve.solvers.sift.cost_scaling import Adjacency
from alignsolve.solvers.sift.network import GROUND, Pieces, Terms


@dataclass(frozen=True)
class BoundArcs:
    """Arcs of the bounds of clients, groups and experts, (num_arcs,) each; the flow is that of the required pairs."""

    tail: IntArray
    head: IntArray
    cost: FloatArray
    capacity: IntArray
    flow: IntArray


class StoredNetwork:
    """The nodes and arcs of a sparse problem.

    Attributes
    ----------
    split
        (num_clients, num_groups) int32: the node of a (client, group), or that of the client where it needs none.
    num_nodes, first_expert
        Nodes in all, and the node of expert 0.
    """

    def __init__(self, problem: AlignmentProblem, terms: Terms) -> None:
        pairs = problem.stored
        assert pairs is not None
        self.pairs: StoredPairs = pairs
        self.terms = terms
        n, e = problem.shape
        num_groups = terms.group_capacity.shape[1]
        self.first_expert = 1 + n
        self.split = np.repeat(1 + np.arange(n, dtype=np.int32)[:, None], num_groups, axis=1)
        self.rows, self.groups = np.zeros((2, 0), dtype=np.int64)
        if problem.num_groups:
            held = terms.count(pairs.clients() * num_groups + terms.group[pairs.experts])
            self.rows, self.groups = np.nonzero((terms.group_demand > 0) | (held > terms.group_capacity))
            self.split[self.rows, self.groups] = 1 + n + e + np.arange(len(self.rows))
        self.num_nodes = 1 + n + e + len(self.rows)
        required = np.zeros(len(pairs), dtype=np.bool_) if terms.allowed is None else ~terms.allowed
        self._pairs = (fixed(pairs.indptr), fixed(pairs.experts), fixed(terms.group), fixed(self.split))
        self._required, self._value = fixed(required), fixed(terms.value)

    def bound_arcs(self, reward: float) -> BoundArcs:
        """Build the arcs of the bounds; hard demands earn the reward for each unit."""
        terms, n = self.terms, len(self.split)
        inside, loads = terms.fixed_inside, terms.fixed_loads
        clients, groups, experts = 1 + np.arange(n), self.split[self.rows, self.groups], np.arange(len(loads))
        parts = [
            _arcs(terms.client_pieces(reward), GROUND, clients, inside.sum(axis=1)),
            _arcs(
                terms.group_pieces(self.rows, self.groups, reward),
                1 + self.rows,
                groups,
                inside[self.rows, self.groups],
            ),
            _arcs(terms.expert_pieces(reward), self.first_expert + experts, GROUND, loads),
        ]
        tail, head, cost, capacity, flow = (np.concatenate(column) for column in zip(*parts, strict=True))
        return BoundArcs(*(nodes.astype(np.int32) for nodes in (tail, head)), cost, *(
            units.astype(np.int32) for units in (capacity, flow)
        ))  # fmt: skip

    def residual(self, arcs: BoundArcs) -> Adjacency:
        """Lay out the network, without costs yet."""
        laid: Adjacency = lay_out(
            *self._pairs, self._required, arcs.tail, arcs.head, arcs.capacity, arcs.flow,
            self.first_expert, self.num_nodes,
        )  # fmt: skip
        return laid

    def write_costs(self, net: Adjacency, arcs: BoundArcs, unit: float) -> None:
        """Write the costs into the network, in whole numbers of 1/unit; a unit of 0: as they are, floats."""
        cost = net.cost.view(np.float64 if unit == 0.0 else np.int64)
        write_costs(*self._pairs, self._value, arcs.tail, arcs.head, arcs.cost, unit, self.first_expert, net.first, cost)

    def chosen(self, net: Adjacency) -> BoolArray:
        """(num_pairs,) the pairs that carry flow."""
        found: BoolArray = carried(*self._pairs, self.first_expert, net.first, net.room, net.both)
        return found


def _arcs(pieces: Pieces, tail: Any, head: Any, units: IntArray) -> tuple[Any, ...]:
    """Tail, head, cost, capacity and flow of the pieces that hold anything."""
    piece, node = np.nonzero(pieces.width)
    tail, head = (np.broadcast_to(nodes, units.shape)[node] for nodes in (tail, head))
    return tail, head, pieces.cost[piece, node], pieces.width[piece, node], pieces.fill(units)[piece, node]


@kernel
def lay_out(
    indptr: Any,
    experts: Any,
    group: Any,
    split: Any,
    required: Any,
    tail: Any,
    head: Any,
    capacity: Any,
    flow: Any,
    first_expert: int,
    num_nodes: int,
) -> Any:
    """Store pairs and the arcs of the bounds by node, as an :class:`Adjacency`; its costs are 0."""
    first = np.zeros(num_nodes + 1, dtype=np.int64)
    for i in range(len(indptr) - 1):
        for p in range(indptr[i], indptr[i + 1]):
            first[split[i, group[experts[p]]] + 1] += 1
            first[first_expert + experts[p] + 1] += 1
    for a in range(len(tail)):
        first[tail[a] + 1] += 1
        first[head[a] + 1] += 1
    for v in range(num_nodes):
        first[v + 1] += first[v]
    free, entries = first[:-1].copy(), first[num_nodes]
    to, mate = np.empty(entries, dtype=np.int32), np.empty(entries, dtype=np.int32)
    room, both = np.empty(entries, dtype=np.int32), np.empty(entries, dtype=np.int32)
    for i in range(len(indptr) - 1):
        for p in range(indptr[i], indptr[i + 1]):
            u, v = split[i, group[experts[p]]], first_expert + experts[p]
            k, m = free[u], free[v]
            free[u] += 1
            free[v] += 1
            to[k], to[m], mate[k], mate[m] = v, u, m, k
            both[k] = both[m] = room[k] = 0 if required[p] else 1
            room[m] = 0
    for a in range(len(tail)):
        k, m = free[tail[a]], free[head[a]]
        free[tail[a]] += 1
        free[head[a]] += 1
        to[k], to[m], mate[k], mate[m] = head[a], tail[a], m, k
        room[k], room[m] = capacity[a] - flow[a], flow[a]
        both[k], both[m] = capacity[a], capacity[a]
    return Adjacency(first, to, mate, np.zeros(entries, dtype=np.int64), room, both)


@kernel
def write_costs(
    indptr: Any,
    experts: Any,
    group: Any,
    split: Any,
    value: Any,
    tail: Any,
    head: Any,
    bound_cost: Any,
    unit: float,
    first_expert: int,
    first: Any,
    cost: Any,
) -> None:
    """Write the cost of every arc at both of its ends; in units if ``unit`` is not 0."""
    free = first[:-1].copy()
    scale = 1.0 if unit == 0.0 else unit
    for i in range(len(indptr) - 1):
        for p in range(indptr[i], indptr[i + 1]):
            u, v = split[i, group[experts[p]]], first_expert + experts[p]
            one = -value[p] * scale
            one = one if unit == 0.0 else np.rint(one)
            cost[free[u]], cost[free[v]] = one, -one
            free[u] += 1
            free[v] += 1
    for a in range(len(tail)):
        one = bound_cost[a] * scale
        one = one if unit == 0.0 else np.rint(one)
        cost[free[tail[a]]], cost[free[head[a]]] = one, -one
        free[tail[a]] += 1
        free[head[a]] += 1


@kernel
def carried(
    indptr: Any, experts: Any, group: Any, split: Any, first_expert: int, first: Any, room: Any, both: Any
) -> Any:
    """Which pairs carry flow, (num_pairs,) bools."""
    free, found = first[:-1].copy(), np.zeros(len(experts), dtype=np.bool_)
    for i in range(len(indptr) - 1):
        for p in range(indptr[i], indptr[i + 1]):
            u = split[i, group[experts[p]]]
            found[p] = room[free[u]] < both[free[u]]
            free[u] += 1
    return found

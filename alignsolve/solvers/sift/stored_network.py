"""The residual network of a sparse problem, laid out straight from the rows of its pairs; compiled.

Nodes are those of :mod:`.network`: the ground, the clients, the experts, and a node for each client and group whose
bound can break. At every node the arcs of the pairs come first, in the order in which the pairs are stored, and then
the arcs of the bounds. So nothing is kept that tells where the arc of a pair stands: each walk over the pairs finds it
again. Only pairs that are undecided have arcs; those that are held fill the bounds.
"""

from typing import Any, NamedTuple

import numpy as np

from alignsolve.data.alignment import Alignment
from alignsolve.numerics import FloatArray, IntArray, fixed
from alignsolve.problem import AlignmentProblem
from alignsolve.runtime.jit import kernel
from alignsolve.solvers.sift.cost_scaling import Adjacency
from alignsolve.solvers.sift.network import GROUND, Pieces, Terms
from alignsolve.subproblem.grouped_rows import to_front

OUT, OPEN, HELD, REQUIRED = 0, 1, 2, 3
"""Roles of a pair: left out; undecided, with an arc; chosen, without an arc; the same, for good."""

NEARBY = 8.0
"""Pairs that are right by less than this many times the worst error of another come back with it."""


class Pairs(NamedTuple):
    """The stored pairs as compiled code reads them.

    Attributes
    ----------
    indptr, experts
        The rows, as in :class:`~alignsolve.data.stored.StoredPairs`.
    value
        (num_pairs,) float64: fitness minus switching costs.
    group
        (num_experts,) the group of each expert.
    split
        (num_clients, num_groups) int32: the node of a (client, group), or that of the client where it needs none.
    role, chosen
        (num_pairs,) uint8 the role, and bools whether the pair carries flow or is held; both are changed in place.
    """

    indptr: Any
    experts: Any
    value: Any
    group: Any
    split: Any
    role: Any
    chosen: Any


class Bounds(NamedTuple):
    """The arcs of the bounds of clients, groups and experts, (num_arcs,) each."""

    tail: Any
    head: Any
    cost: Any
    capacity: Any
    flow: Any


class StoredNetwork:
    """The nodes and arcs of a sparse problem.

    Attributes
    ----------
    pairs
        The pairs, with their roles.
    rows, groups
        The clients and groups with a node of their own.
    first_expert, num_nodes
        The node of expert 0, and nodes in all.
    """

    def __init__(self, problem: AlignmentProblem, terms: Terms) -> None:
        assert problem.stored is not None
        self.terms, stored = terms, problem.stored
        n, e = problem.shape
        num_groups = terms.group_capacity.shape[1]
        self.first_expert, self.num_nodes = 1 + n, 1 + n + e
        split = np.repeat(1 + np.arange(n, dtype=np.int32)[:, None], num_groups, axis=1)
        self.rows, self.groups = np.zeros((2, 0), dtype=np.int64)
        if problem.num_groups:
            most = terms.count(stored.clients() * num_groups + terms.group[stored.experts])
            self.rows, self.groups = np.nonzero((terms.group_demand > 0) | (most > terms.group_capacity))
            split[self.rows, self.groups] = self.num_nodes + np.arange(len(self.rows))
            self.num_nodes += len(self.rows)
        required = np.zeros(len(stored), dtype=np.bool_) if terms.allowed is None else ~terms.allowed
        role = np.where(required, np.uint8(REQUIRED), np.uint8(OPEN))
        rows = {"indptr": fixed(stored.indptr), "experts": fixed(stored.experts), "value": fixed(terms.value)}
        self.pairs = Pairs(**rows, group=fixed(terms.group), split=fixed(split), role=role, chosen=required)

    def alignment(self) -> Alignment:
        """The pairs that are chosen."""
        before = np.concatenate([[0], np.cumsum(self.pairs.chosen)])
        return Alignment(before[self.pairs.indptr], self.pairs.experts[self.pairs.chosen].astype(np.int64))

    def counts(self) -> tuple[IntArray, IntArray]:
        """Chosen pairs of each client and group, (num_clients, num_groups), and of each expert, (num_experts,)."""
        found, group = self.alignment(), self.pairs.group
        loads = np.bincount(found.experts, minlength=len(group))
        return self.terms.count(found.clients() * self.pairs.split.shape[1] + group[found.experts]), loads

    def bounds(self, reward: float) -> Bounds:
        """Build the arcs of the bounds, with the flow of the chosen pairs; hard demands earn the reward."""
        terms, nodes, (inside, loads) = self.terms, self.pairs.split[self.rows, self.groups], self.counts()
        clients, experts = 1 + np.arange(len(inside)), self.first_expert + np.arange(len(loads))
        own = terms.group_pieces(self.rows, self.groups, reward)
        parts = [
            _arcs(terms.client_pieces(reward), GROUND, clients, inside.sum(axis=1)),
            _arcs(own, 1 + self.rows, nodes, inside[self.rows, self.groups]),
            _arcs(terms.expert_pieces(reward), experts, GROUND, loads),
        ]
        tail, head, cost, capacity, flow = (np.concatenate(column) for column in zip(*parts, strict=True))
        tail, head, capacity, flow = (whole.astype(np.int32) for whole in (tail, head, capacity, flow))
        return Bounds(tail, head, cost, capacity, flow)

    def residual(self, bounds: Bounds) -> Adjacency:
        """Lay out the arcs of the open pairs and of the bounds, without costs yet."""
        laid: Adjacency = lay_out(self.pairs, bounds, self.first_expert, self.num_nodes)
        return laid

    def with_costs(self, net: Adjacency, bounds: Bounds, unit: float | None) -> Adjacency:
        """Write all costs in place: in whole numbers of 1/unit; None: as they are, in floats."""
        net = net._replace(cost=net.cost.view(np.float64 if unit is None else np.int64))
        write_costs(self.pairs, bounds, net, self.first_expert, 0.0 if unit is None else unit)
        return net

    def read_flow(self, net: Adjacency) -> None:
        """Mark the open pairs that carry flow as chosen."""
        read_flow(self.pairs, net.first, net.room)

    def decide(self, potential: FloatArray, margin: float, share: float) -> bool:
        """Hold or leave out open pairs whose reduced cost is beyond the margin; False, and nothing done, where few are.

        Few: more than the ``share`` of the open pairs would stay open.
        """
        return bool(decide(self.pairs, potential, self.first_expert, margin, share))

    def reopen(self, potential: FloatArray, least: float) -> bool:
        """Open the pairs that were decided wrongly by more than ``least``, and those nearby; False: there are none."""
        worst = worst_decided(self.pairs, potential, self.first_expert)
        if worst <= least:
            return False
        reopen(self.pairs, potential, self.first_expert, NEARBY * worst)
        return True

    def estimate(self, potential: FloatArray, turns: int) -> None:
        """Begin with potentials that clients and experts find by turns.

        A client's potential is what one more expert would bring it. The price of an expert that too many clients want
        rises until no more want it than it has places for. Both are answered again, as all change at once.
        """
        capacity, room = fixed(self.terms.client_capacity), fixed(self.terms.expert_room)
        thresholds(self.pairs, potential, self.first_expert, capacity)
        for _ in range(turns):
            raise_prices(self.pairs, potential, self.first_expert, room)
            thresholds(self.pairs, potential, self.first_expert, capacity)

    def open_all(self) -> None:
        """Open every pair that is not required."""
        self.pairs.role[self.pairs.role != REQUIRED] = OPEN


def _arcs(pieces: Pieces, tail: Any, head: Any, units: IntArray) -> tuple[Any, ...]:
    """Tail, head, cost, capacity and flow of the pieces that hold anything."""
    piece, node = np.nonzero(pieces.width)
    tail, head = (np.broadcast_to(nodes, units.shape)[node] for nodes in (tail, head))
    return tail, head, pieces.cost[piece, node], pieces.width[piece, node], pieces.fill(units)[piece, node]


@kernel
def lay_out(pairs: Any, bounds: Any, first_expert: int, num_nodes: int) -> Any:
    """Store the open pairs and the bounds by node, as an :class:`Adjacency`; its costs are not written yet."""
    first = np.zeros(num_nodes + 1, dtype=np.int64)
    for i in range(len(pairs.indptr) - 1):
        for p in range(pairs.indptr[i], pairs.indptr[i + 1]):
            if pairs.role[p] == OPEN:
                j = pairs.experts[p]
                first[pairs.split[i, pairs.group[j]] + 1] += 1
                first[first_expert + j + 1] += 1
    for a in range(len(bounds.tail)):
        first[bounds.tail[a] + 1] += 1
        first[bounds.head[a] + 1] += 1
    for v in range(num_nodes):
        first[v + 1] += first[v]
    free, entries = first[:-1].copy(), first[num_nodes]
    to, mate = np.empty(entries, dtype=np.int32), np.empty(entries, dtype=np.int32)
    room, both = np.empty(entries, dtype=np.int32), np.empty(entries, dtype=np.int32)
    for i in range(len(pairs.indptr) - 1):
        for p in range(pairs.indptr[i], pairs.indptr[i + 1]):
            if pairs.role[p] == OPEN:
                j = pairs.experts[p]
                u, v = pairs.split[i, pairs.group[j]], first_expert + j
                k, m = free[u], free[v]
                free[u] += 1
                free[v] += 1
                to[k], to[m], mate[k], mate[m] = v, u, m, k
                room[k], room[m] = (0, 1) if pairs.chosen[p] else (1, 0)
                both[k], both[m] = 1, 1
    for a in range(len(bounds.tail)):
        u, v = bounds.tail[a], bounds.head[a]
        k, m = free[u], free[v]
        free[u] += 1
        free[v] += 1
        to[k], to[m], mate[k], mate[m] = v, u, m, k
        room[k], room[m] = bounds.capacity[a] - bounds.flow[a], bounds.flow[a]
        both[k], both[m] = bounds.capacity[a], bounds.capacity[a]
    return Adjacency(first, to, mate, np.empty(entries, dtype=np.int64), room, both)


@kernel
def write_costs(pairs: Any, bounds: Any, net: Any, first_expert: int, unit: float) -> None:
    """Write the cost of every arc at both of its ends: rounded in units, or as it is where the unit is 0."""
    free = net.first[:-1].copy()
    for i in range(len(pairs.indptr) - 1):
        for p in range(pairs.indptr[i], pairs.indptr[i + 1]):
            if pairs.role[p] == OPEN:
                j = pairs.experts[p]
                u, v = pairs.split[i, pairs.group[j]], first_expert + j
                cost = -pairs.value[p] if unit == 0.0 else np.rint(-pairs.value[p] * unit)
                net.cost[free[u]], net.cost[free[v]] = cost, -cost
                free[u] += 1
                free[v] += 1
    for a in range(len(bounds.tail)):
        u, v = bounds.tail[a], bounds.head[a]
        cost = bounds.cost[a] if unit == 0.0 else np.rint(bounds.cost[a] * unit)
        net.cost[free[u]], net.cost[free[v]] = cost, -cost
        free[u] += 1
        free[v] += 1


@kernel
def read_flow(pairs: Any, first: Any, room: Any) -> None:
    """Mark the open pairs that carry flow as chosen."""
    free = first[:-1].copy()
    for i in range(len(pairs.indptr) - 1):
        for p in range(pairs.indptr[i], pairs.indptr[i + 1]):
            if pairs.role[p] == OPEN:
                u = pairs.split[i, pairs.group[pairs.experts[p]]]
                pairs.chosen[p] = room[free[u]] == 0
                free[u] += 1


@kernel
def decide(pairs: Any, potential: Any, first_expert: int, margin: float, share: float) -> bool:
    """Decide pairs as :meth:`StoredNetwork.decide` says.

    Two guards stay open: of each client (and group) the best pair that is left out, of each expert the worst that is
    held. Potentials only fall, and without the guards those of settled nodes would fall without end.
    """
    best_out, worst_held = np.full(len(potential), np.inf), np.full(len(potential), -np.inf)
    beyond, number = 0, 0
    for change in (False, True):
        for i in range(len(pairs.indptr) - 1):
            for p in range(pairs.indptr[i], pairs.indptr[i + 1]):
                if pairs.role[p] != OPEN:
                    continue
                j = pairs.experts[p]
                u, v = pairs.split[i, pairs.group[j]], first_expert + j
                reduced = potential[u] - potential[v] - pairs.value[p]
                far = abs(reduced) > margin
                if not change:
                    number += 1
                    beyond += far
                    if far and pairs.chosen[p]:
                        worst_held[v] = max(worst_held[v], reduced)
                    elif far:
                        best_out[u] = min(best_out[u], reduced)
                elif far and pairs.chosen[p]:
                    if reduced < worst_held[v]:
                        pairs.role[p] = HELD
                elif far and reduced > best_out[u]:
                    pairs.role[p] = OUT
        if number - beyond > share * number:
            return False
    return True


@kernel
def worst_decided(pairs: Any, potential: Any, first_expert: int) -> float:
    """By how much the worst of the decided pairs is wrong: left out and worth more than it costs, or held and less."""
    worst = 0.0
    for i in range(len(pairs.indptr) - 1):
        for p in range(pairs.indptr[i], pairs.indptr[i + 1]):
            if pairs.role[p] == OUT or pairs.role[p] == HELD:
                j = pairs.experts[p]
                gain = pairs.value[p] + (potential[first_expert + j] - potential[pairs.split[i, pairs.group[j]]])
                worst = max(worst, gain if pairs.role[p] == OUT else -gain)
    return worst


@kernel
def reopen(pairs: Any, potential: Any, first_expert: int, near: float) -> None:
    """Open the decided pairs that are wrong, or right by less than ``near``."""
    for i in range(len(pairs.indptr) - 1):
        for p in range(pairs.indptr[i], pairs.indptr[i + 1]):
            if pairs.role[p] == OUT or pairs.role[p] == HELD:
                j = pairs.experts[p]
                gain = pairs.value[p] + (potential[first_expert + j] - potential[pairs.split[i, pairs.group[j]]])
                if (gain if pairs.role[p] == HELD else -gain) < near:
                    pairs.role[p] = OPEN


@kernel
def thresholds(pairs: Any, potential: Any, first_expert: int, capacity: Any) -> None:
    """Set the potential of each client to its first value − price beyond its capacity, at least 0."""
    widest = 0
    for i in range(len(capacity)):
        widest = max(widest, pairs.indptr[i + 1] - pairs.indptr[i])
    row = np.empty(widest)
    for i in range(len(capacity)):
        number, asked = 0, 0.0
        for p in range(pairs.indptr[i], pairs.indptr[i + 1]):
            gain = pairs.value[p] + potential[first_expert + pairs.experts[p]]
            if gain > 0.0:
                row[number] = gain
                number += 1
        if number > capacity[i]:
            to_front(row, 0, number, capacity[i])
            for q in range(capacity[i], number):
                asked = max(asked, row[q])
        potential[1 + i] = asked
        for g in range(pairs.split.shape[1]):
            potential[pairs.split[i, g]] = asked


@kernel
def raise_prices(pairs: Any, potential: Any, first_expert: int, room: Any) -> None:
    """Lower the potential of each expert that more clients want than it has room for, until no more do."""
    start = np.zeros(len(room) + 1, dtype=np.int64)
    gains = np.empty(0)
    for fill in (False, True):
        free = start[:-1].copy()
        for i in range(len(pairs.indptr) - 1):
            for p in range(pairs.indptr[i], pairs.indptr[i + 1]):
                j = pairs.experts[p]
                above = pairs.value[p] - potential[pairs.split[i, pairs.group[j]]]
                if above + potential[first_expert + j] > 0.0:
                    if fill:
                        gains[free[j]] = above
                        free[j] += 1
                    else:
                        start[j + 1] += 1
        if not fill:
            for j in range(len(room)):
                start[j + 1] += start[j]
            gains = np.empty(start[-1])
    for j in range(len(room)):
        begin, end = start[j], start[j + 1]
        if end - begin > room[j]:
            to_front(gains, begin, end, room[j])
            price = 0.0
            for q in range(begin + room[j], end):
                price = max(price, gains[q])
            potential[first_expert + j] = min(potential[first_expert + j], -price)

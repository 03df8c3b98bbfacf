"""The network of a problem on some of its pairs: nodes, arcs, and the flow that an alignment makes.

Nodes: the ground, the clients, the experts, then (client, group) nodes, but only where a group's bound was broken
without one. A unit flows ground → client (→ its group) → expert → ground for each pair that is chosen.

Bounds are pieces: parallel arcs that fill in the order of their costs. What a hard demand asks for is a piece that
earns ``reward`` for each unit, so that every flow is feasible, and the demands are met by the best flow if they can be.
Soft bounds are pieces that earn or cost their penalty. Required pairs have no arcs: they fill the pieces and stay.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from alignsolve.numerics import BoolArray, FloatArray, IntArray, fixed
from alignsolve.problem import AlignmentProblem
from alignsolve.runtime.jit import absent
from alignsolve.solvers.sift.arcs import Arcs, count_chosen, lay_bounds, lay_pairs

GROUND = 0


@dataclass(frozen=True)
class Pieces:
    """Parallel arcs at some nodes.

    Attributes
    ----------
    width
        (num_pieces, num_nodes) int64: units that each piece holds.
    cost
        The same shape: cost of a unit; it rises from piece to piece.
    """

    width: IntArray
    cost: FloatArray

    def fill(self, units: IntArray) -> IntArray:
        """Spread units at each node over its pieces, the cheapest first."""
        before = np.cumsum(self.width, axis=0) - self.width
        return np.clip(units - before, 0, self.width)


class Terms:
    """What a problem says of its clients, groups, experts and pairs.

    Attributes
    ----------
    value
        (num_clients, num_experts) float64: fitness minus switching costs; of a sparse problem (num_pairs,).
    allowed
        The same shape, bools: pairs that are eligible and not required; None if all are.
    fixed
        Clients and experts of the required pairs.
    group
        (num_experts,) int64; zeros without groups.
    client_capacity
        (num_clients,) at most as many as there are experts.
    group_demand, group_capacity
        (num_clients, num_groups); bounds that say nothing, in one group, without groups.
    fixed_loads, fixed_inside
        (num_experts,) and (num_clients, num_groups): how many required pairs each has.
    """

    def __init__(self, problem: AlignmentProblem) -> None:
        self.problem = problem
        n, e = problem.shape
        self.value: FloatArray = fixed(problem.values().astype(np.float64, copy=False))
        self.allowed: BoolArray | None = problem.eligible
        self.fixed: tuple[IntArray, ...] = (np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
        if problem.stored is not None and problem.required is not None:
            required = problem.required.values
            self.fixed = (problem.stored.clients()[required], problem.stored.experts[required])
            self.allowed = ~required
        elif problem.required is not None:
            self.fixed = np.nonzero(problem.required)
            self.allowed = ~problem.required if self.allowed is None else self.allowed & ~problem.required
        self.group: IntArray = fixed(
            np.zeros(e, dtype=np.int64) if problem.expert_group is None else problem.expert_group
        )
        self.client_capacity = np.minimum(problem.client_capacity, e)
        self.group_demand, self.group_capacity = np.zeros((n, 1), np.int64), np.full((n, 1), e)
        if problem.expert_group is not None:
            sizes = np.bincount(self.group, minlength=problem.num_groups)
            self.group_demand, self.group_capacity = problem.group_demand, np.minimum(problem.group_capacity, sizes)
        clients, experts = self.fixed
        self.fixed_loads = np.bincount(experts, minlength=e)
        self.fixed_inside = self.count(clients * self.group_capacity.shape[1] + self.group[experts])

    def count(self, place: IntArray) -> IntArray:
        """Count pairs by client and group, (num_clients, num_groups); a place is client · num_groups + group."""
        return np.bincount(place, minlength=self.group_capacity.size).reshape(self.group_capacity.shape)

    @cached_property
    def possible(self) -> BoolArray:
        """``allowed`` for compiled code: without rows if all pairs are."""
        return fixed(absent(np.bool_) if self.allowed is None else self.allowed)

    @cached_property
    def largest(self) -> float:
        """The largest size of a value or of a finite penalty."""
        value = self.value if self.allowed is None else self.value[self.allowed]
        high = max(float(value.max(initial=0.0)), -float(value.min(initial=0.0)))
        penalties = np.concatenate([self.problem.overload_penalty, self.problem.shortfall_penalty])
        return max(high, float(penalties[np.isfinite(penalties)].max(initial=0.0)))

    @cached_property
    def expert_room(self) -> IntArray:
        """(num_experts,) the most that each expert can take."""
        room: IntArray = self._expert_bounds.width.sum(axis=0)
        return room

    def expert_pieces(self, reward: float) -> Pieces:
        """The bounds and penalties of the experts."""
        cost = self._expert_bounds.cost.copy()
        cost[0] = -reward
        return Pieces(self._expert_bounds.width, cost)

    @cached_property
    def _expert_bounds(self) -> Pieces:
        """The pieces of the experts, the hard demand first, at no cost yet."""
        bounds, n = self.problem.experts, self.problem.num_clients
        must = bounds.least
        if not bounds.any_soft:
            # The usual case, without bends in between.
            end = np.minimum(bounds.most, np.maximum(must, n) + 1.0)
            must = np.minimum(must, end)
            width = np.minimum(np.stack([must, end - must]), n + 1).astype(np.int64)
            return Pieces(width, np.zeros(width.shape))
        # An unbounded load ends beyond all that is said of it, so that no flow fills its last piece.
        beyond = np.nanmax(np.vstack([bounds.breakpoints, must, np.full(len(must), n)]), axis=0) + 1.0
        end = np.minimum(bounds.most, beyond)
        points = np.vstack([bounds.breakpoints, must, end])
        points = np.sort(np.clip(np.where(np.isnan(points), must, points), must, end), axis=0)
        width = np.diff(points, axis=0)
        cost = np.diff(bounds.penalty(points), axis=0) / np.maximum(width, 1.0)
        used = width.any(axis=1)
        # Wider than all clients is never full, however wide; so widths fit 32 bits.
        width = np.minimum(np.vstack([must, width[used]]), n + 1).astype(np.int64)
        cost = np.vstack([np.zeros(len(must)), cost[used]])
        return Pieces(width, cost)

    def client_pieces(self, reward: float) -> Pieces:
        """The bounds of the clients."""
        return _demand_first(self.problem.client_demand, self.client_capacity, reward)

    def group_pieces(self, rows: IntArray, groups: IntArray, reward: float) -> Pieces:
        """The bounds of some (client, group) nodes."""
        return _demand_first(self.group_demand[rows, groups], self.group_capacity[rows, groups], reward)


def _demand_first(demand: IntArray, capacity: IntArray, reward: float) -> Pieces:
    width = np.stack([demand, capacity - demand])
    return Pieces(width, np.stack([np.full(len(demand), -reward), np.zeros(len(demand))]))


class Network:
    """Pairs that may be chosen, and the nodes that their bounds need.

    Attributes
    ----------
    clients, experts
        (num_pairs,) the pairs.
    place, value
        (num_pairs,) the pair's client and group as one number, and its value.
    split
        (num_clients, num_groups) int64: the node of a (client, group), or that of the client where it has none.
    held_inside, held_loads
        (num_clients, num_groups) and (num_experts,): pairs that are chosen and have no arcs, required ones among them.
    """

    def __init__(self, terms: Terms, clients: IntArray, experts: IntArray, held: tuple[IntArray, IntArray]) -> None:
        self.terms = terms
        self.held_inside, self.held_loads = terms.fixed_inside.copy(), terms.fixed_loads.copy()
        self._hold(*held, 1)
        n, num_groups = terms.group_demand.shape
        self.first_expert = 1 + n
        self.num_nodes = 1 + n + len(terms.group)
        self.split = np.repeat(1 + np.arange(n)[:, None], num_groups, axis=1)
        self.rows = self.groups = np.zeros(0, dtype=np.int64)
        self.clients = self.experts = self.place = np.zeros(0, dtype=np.int64)
        self.value = np.zeros(0)
        self.add_pairs(clients, experts)

    def add_pairs(self, clients: IntArray, experts: IntArray) -> None:
        """Let more pairs in."""
        place = clients * self.split.shape[1] + self.terms.group[experts]
        self.clients = np.concatenate([self.clients, clients])
        self.experts = np.concatenate([self.experts, experts])
        self.place = np.concatenate([self.place, place])
        self.value = np.concatenate([self.value, self.terms.value[clients, experts]])

    def give_up(self, clients: IntArray, experts: IntArray) -> None:
        """Pairs that were held are now among the pairs."""
        self._hold(clients, experts, -1)

    def _hold(self, clients: IntArray, experts: IntArray, number: int) -> None:
        inside = self.terms.count(clients * self.held_inside.shape[1] + self.terms.group[experts])
        self.held_inside += number * inside
        self.held_loads += number * np.bincount(experts, minlength=len(self.held_loads))

    def add_groups(self, rows: IntArray, groups: IntArray) -> None:
        """Give some (client, group) a node of its own."""
        self.split[rows, groups] = self.num_nodes + np.arange(len(rows))
        self.num_nodes += len(rows)
        self.rows, self.groups = np.concatenate([self.rows, rows]), np.concatenate([self.groups, groups])

    def counts(self, chosen: BoolArray) -> tuple[IntArray, IntArray]:
        """Pairs of each client and group, (num_clients, num_groups), and loads, (num_experts,), required ones too."""
        inside, loads = self.held_inside.copy(), self.held_loads.copy()
        count_chosen(self.place, self.experts, chosen, inside.ravel(), loads)
        return inside, loads

    def arcs(self, chosen: BoolArray, reward: float) -> Arcs:
        """Build the arcs; the flow is that of the chosen pairs, which must not exceed any capacity."""
        terms = self.terms
        n, e = terms.value.shape
        inside, loads = self.counts(chosen)
        clients, experts = terms.client_pieces(reward), terms.expert_pieces(reward)
        groups = terms.group_pieces(self.rows, self.groups, reward)
        own, in_groups = self.split[self.rows, self.groups], inside[self.rows, self.groups]
        number = len(chosen) + clients.width.size + groups.width.size + experts.width.size
        arcs, split = Arcs.room_for(number), self.split.ravel()
        ground, nodes = np.full(max(n, e), GROUND), 1 + np.arange(n + e)
        at = lay_pairs(arcs, self.place, self.experts, self.value, chosen, split, self.first_expert)
        at = lay_bounds(arcs, at, clients.width, clients.cost, inside.sum(axis=1), ground, nodes)
        at = lay_bounds(arcs, at, groups.width, groups.cost, in_groups, 1 + self.rows, own)
        at = lay_bounds(arcs, at, experts.width, experts.cost, loads, nodes[n:], ground)
        return arcs.first(at)

    def unmet(self, chosen: BoolArray) -> bool:
        """Whether the chosen pairs leave a hard demand unmet."""
        terms = self.terms
        inside, loads = self.counts(chosen)
        short = (loads < terms.problem.experts.least).any() or (inside < terms.group_demand).any()
        return bool(short or (inside.sum(axis=1) < terms.problem.client_demand).any())

    def broken_groups(self, chosen: BoolArray) -> tuple[IntArray, ...]:
        """Clients and groups whose bound the chosen pairs break, for want of a node of their own.

        With them come the client's other groups that are at a bound: what mends the one might break the other.
        """
        inside, _ = self.counts(chosen)
        least, most = self.terms.group_demand, self.terms.group_capacity
        broken = (inside < least) | (inside > most)
        broken[self.rows, self.groups] = False
        clients = np.flatnonzero(broken.any(axis=1))
        tight = np.zeros_like(broken)
        tight[clients] = (inside[clients] <= least[clients]) | (inside[clients] >= most[clients])
        tight[self.rows, self.groups] = False
        return np.nonzero(tight)

    def fits(self, chosen: BoolArray) -> bool:
        """Whether the chosen pairs exceed no capacity: of clients, groups with a node, and experts."""
        terms = self.terms
        inside, loads = self.counts(chosen)
        within = inside[self.rows, self.groups] <= terms.group_capacity[self.rows, self.groups]
        clients = inside.sum(axis=1) <= terms.client_capacity
        return bool(within.all() and clients.all() and (loads <= terms.expert_room).all())

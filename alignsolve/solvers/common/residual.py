"""The residual graph of an alignment on the experts and the ground: negative cycles improve it, distances are prices.

Every change of a feasible alignment consists of moves of single clients. The nodes are the experts and the *ground*,
which stands for "no expert". Where experts are in nested sets, each set is a node as well.

- A client that gives up expert j for expert k is an arc j → k. Its length is the fitness lost, v_ij − v_ik.
- A client that takes up or gives up an expert is an arc from or to the ground.
- An expert whose load may grow or shrink is an arc to or from the ground as well; its length is the marginal penalty.
  An expert in a set has this arc to the smallest set around it, and a set to the next one, or to the ground.

Of all parallel arcs only the shortest matters, so that the graph has E + 1 nodes however many clients there are. A
cycle of negative length is an improvement. If there is none, the distances from the ground are prices under which
every client already has its best choice (complementary slackness; Ahuja, Magnanti and Orlin, Network Flows, 1993,
chapter 9). Cardinality class only.
"""

import math
from dataclasses import dataclass

import numpy as np

from alignsolve.certificate.worth import selected
from alignsolve.data.alignment import Alignment
from alignsolve.data.blocks import ClientBlock
from alignsolve.data.expert_bounds import ExpertBounds
from alignsolve.data.expert_sets import ExpertSets
from alignsolve.numerics import EPSILON, BoolArray, FloatArray, IntArray
from alignsolve.problem import AlignmentProblem
from alignsolve.runtime.interruptible import late

EXPERT = -1
"""Stands in ``movers`` for an expert's own arc: its load grows or shrinks, and no client moves."""


@dataclass(frozen=True)
class Residual:
    """Shortest arcs between nodes: the experts, the sets of experts, and the ground.

    Attributes
    ----------
    lengths
        (num_nodes, num_nodes): fitness lost by moving one unit from row to column; inf where no client
        can.
    movers
        Same shape: the client that can, or ``EXPERT``.
    """

    lengths: FloatArray
    movers: IntArray


@dataclass(frozen=True)
class Step:
    """One arc of a cycle: ``client`` (or ``EXPERT``) moves a unit from node ``tail`` to node ``head``."""

    client: int
    tail: int
    head: int
    length: float


def cancel_negative_cycles(
    problem: AlignmentProblem, alignment: Alignment, deadline: float = math.inf
) -> tuple[Alignment, FloatArray | None, int]:
    """Cancel negative cycles until none is left, and read the prices off the shortest paths.

    Parameters
    ----------
    problem
        Of the cardinality class.
    alignment
        Feasible.
    deadline
        On the clock of :func:`time.monotonic`.

    Returns
    -------
    alignment, prices, cycles
        The best alignment reached; prices of experts, and of sets after them, that prove it, or None if the deadline
        came first; cycles cancelled.
    """
    cycles = 0
    while True:
        residual = residual_graph(problem, alignment)
        distances, cycle = shortest_paths(residual)
        if not cycle:
            return alignment, _prices(problem, distances), cycles
        if late(deadline):
            return alignment, None, cycles
        alignment = apply_cycle(problem, alignment, cycle)
        cycles += 1


def prices_of(problem: AlignmentProblem, alignment: Alignment) -> FloatArray | None:
    """Prices of experts, and of sets after them, that prove a feasible alignment optimal; None if it is not."""
    distances, cycle = shortest_paths(residual_graph(problem, alignment))
    return None if cycle else _prices(problem, distances)


def _prices(problem: AlignmentProblem, distances: FloatArray) -> FloatArray:
    """Turn distances d into prices p = d_ground − d: d_k ≤ d_j + length_jk means v_ij − p_j ≥ v_ik − p_k.

    The price of a set is the difference to the next set around it, or to the ground.
    """
    prices: FloatArray = distances[-1] - distances[:-1]
    if problem.sets is not None:
        e = problem.num_experts
        prices[e:] = distances[problem.sets.parent[e:]] - distances[e:-1]
    return prices


def residual_graph(problem: AlignmentProblem, alignment: Alignment) -> Residual:
    """Find the shortest arc between every two nodes, in one pass over the clients."""
    num_experts, nodes = problem.num_experts, problem.num_experts + problem.num_sets + 1
    lengths = np.full((nodes, nodes), np.inf)
    movers = np.full(lengths.shape, EXPERT, dtype=np.int64)
    loads = np.bincount(alignment.experts, minlength=num_experts).astype(np.float64)
    if problem.sets is None:
        lengths[:-1, -1], lengths[-1, :-1] = load_changes(problem.experts, loads)
    else:
        _add_tree(problem, problem.sets, loads, lengths)
    # A client's moves are between experts and the ground.
    ends = np.append(np.arange(num_experts), nodes - 1)
    for block, rows, experts in selected(problem, alignment):
        moves = _ClientMoves(block, rows, experts)
        for tail, candidates, clients in moves.by_tail():
            best = candidates.argmin(axis=0)
            found = candidates[best, np.arange(num_experts + 1)]
            row = ends[tail]
            better = found < lengths[row, ends]
            lengths[row, ends[better]] = found[better]
            movers[row, ends[better]] = clients[best[better]]
    return Residual(lengths, movers)


def _add_tree(problem: AlignmentProblem, sets: ExpertSets, loads: FloatArray, lengths: FloatArray) -> None:
    """Add the arcs between each expert and the smallest set around it, and between each set and the next one."""
    nodes = np.arange(problem.num_experts + len(sets))
    of_experts, of_sets = load_changes(problem.experts, loads), load_changes(sets.bounds, sets.loads(loads))
    lengths[nodes, sets.parent] = np.append(of_experts[0], of_sets[0])
    lengths[sets.parent, nodes] = np.append(of_experts[1], of_sets[1])


def load_changes(bounds: ExpertBounds, loads: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Penalty added when each load grows by 1, and when it shrinks by 1; inf where a hard bound forbids it."""
    grow = np.where(loads + 1 <= bounds.most, bounds.marginal(loads), np.inf)
    shrink = np.where((loads >= 1) & (loads - 1 >= bounds.least), -bounds.marginal(loads - 1), np.inf)
    return grow, shrink


class _ClientMoves:
    """All moves that the clients of a block can make without breaking their own rows."""

    def __init__(self, block: ClientBlock, rows: IntArray, experts: IntArray) -> None:
        self.block = block
        self.value = block.value.astype(np.float64, copy=False)
        self.held: BoolArray = np.zeros((block.num_clients, block.num_experts), dtype=np.bool_)
        self.held[rows, experts] = True
        count = self.held.sum(axis=1)
        self.may_add = count < block.capacity
        self.may_drop = count > block.demand
        movable = np.ones(len(rows), dtype=np.bool_) if block.required is None else ~block.required[rows, experts]
        self.rows, self.experts = rows[movable], experts[movable]
        self._read_groups()

    def _read_groups(self) -> None:
        """Find which clients may take one more expert of each expert's group, or give one up."""
        block = self.block
        if block.group is None or block.group_capacity is None or block.group_demand is None:
            self.group_open = self.group_spare = np.broadcast_to(np.ones((), dtype=np.bool_), self.held.shape)
            return
        member = block.group[:, None] == np.arange(block.group_capacity.shape[1])
        count = self.held.astype(np.int64) @ member
        self.group_open = (count < block.group_capacity)[:, block.group]
        self.group_spare = (count > block.group_demand)[:, block.group]

    def by_tail(self) -> "list[tuple[int, FloatArray, IntArray]]":
        """For each node: the lengths of its clients' arcs, (clients, num_experts + 1), and the clients."""
        ground = self.held.shape[1]
        takeable = ~self.held if self.block.allowed is None else ~self.held & self.block.allowed
        gain = np.where(takeable, self.value, -np.inf)
        found = []
        order = np.argsort(self.experts, kind="stable")
        ends = np.searchsorted(self.experts[order], np.arange(ground + 1))
        for j in range(ground):
            rows = self.rows[order[ends[j] : ends[j + 1]]]
            if len(rows):
                found.append((j, self._swaps(j, rows, gain), rows + self.block.start))
        adding = np.flatnonzero(self.may_add)
        if len(adding):
            lengths = np.full((len(adding), ground + 1), np.inf)
            lengths[:, :-1] = np.where(self.group_open[adding], -gain[adding], np.inf)
            found.append((ground, lengths, adding + self.block.start))
        return found

    def _swaps(self, j: int, rows: IntArray, gain: FloatArray) -> FloatArray:
        """Lengths of giving up expert j for every other expert, and for none."""
        own = self.value[rows, j]
        lengths = np.empty((len(rows), gain.shape[1] + 1))
        np.subtract(own[:, None], gain[rows], out=lengths[:, :-1])
        if self.block.group is not None:
            across = self.group_spare[rows, j][:, None] & self.group_open[rows]
            within = self.block.group == self.block.group[j]
            lengths[:, :-1][~(across | within)] = np.inf
        lengths[:, -1] = np.where(self.may_drop[rows] & self.group_spare[rows, j], own, np.inf)
        return lengths


def shortest_paths(residual: Residual) -> tuple[FloatArray, list[Step]]:
    """Bellman–Ford: distances that no arc undercuts, or a negative cycle.

    Distances count from the ground. Nodes that it cannot reach are set as low as all arcs allow. An arc undercuts
    only by more than its own rounding, arc by arc, so that a single huge value does not blunt the others. A cycle
    that is negative by no more than rounding counts as none: the paths are searched again with a larger allowance.
    """
    roundings = 4.0
    while True:
        distances, cycle = _paths(residual, roundings * EPSILON)
        length = math.fsum(step.length for step in cycle)
        if not cycle or length < -8 * EPSILON * math.fsum(abs(step.length) for step in cycle):
            return distances, cycle
        roundings *= 8.0


def _paths(residual: Residual, rounding: float) -> tuple[FloatArray, list[Step]]:
    """Distances from the ground, then, separately, of the nodes that it cannot reach; or a cycle."""
    lengths = residual.lengths
    start = np.full(len(lengths), np.inf)
    start[-1] = 0.0
    distances, before = _relax(lengths, start, rounding)
    if before is not None:
        return distances, _trace(residual, before)
    unreached = np.isinf(distances)
    if unreached.any():
        start = np.where(unreached, 0.0, np.inf)
        among, before = _relax(np.where(unreached, lengths, np.inf), start, rounding)
        if before is not None:
            return distances, _trace(residual, before)
        # Lift the unreached nodes until no arc from them undercuts the others.
        leaving = distances[~unreached] - lengths[unreached][:, ~unreached] - among[unreached][:, None]
        lift = max(float(leaving.max(initial=-np.inf)), 0.0)
        distances = np.where(unreached, among + lift, distances)
    return distances, []


def _relax(lengths: FloatArray, distances: FloatArray, rounding: float) -> tuple[FloatArray, IntArray | None]:
    """Relax all arcs until none undercuts by more than rounding, or a cycle shows; then return the predecessors."""
    before = np.full(len(lengths), -1)
    columns = np.arange(len(lengths))
    for _ in range(len(lengths) + 1):
        paths = distances[:, None] + lengths
        best = paths.argmin(axis=0)
        found = paths[best, columns]
        with np.errstate(invalid="ignore"):
            noise = rounding * (np.abs(distances[best]) + np.abs(lengths[best, columns]))
            better = found < distances - noise
        if not better.any():
            return distances, None
        distances = np.where(better, found, distances)
        before[better] = best[better]
        if _has_cycle(before):
            return distances, before
    raise AssertionError("unreachable: relaxing more than num_nodes times leaves a cycle of predecessors")


def _has_cycle(before: IntArray) -> bool:
    """Whether following predecessors from some node never ends: jump 2, 4, 8 … back until past any simple path."""
    ahead = np.append(before, -1)
    for _ in range(len(before).bit_length()):
        ahead = ahead[ahead]
    return bool((ahead[:-1] >= 0).any())


def _trace(residual: Residual, before: IntArray) -> list[Step]:
    """Follow the predecessors into a cycle and read it off, in the direction of its arcs."""
    ahead = np.append(before, -1)
    for _ in range(len(before).bit_length()):
        ahead = ahead[ahead]
    node = first = int(ahead[np.flatnonzero(ahead[:-1] >= 0)[0]])
    steps: list[Step] = []
    while True:
        tail = int(before[node])
        steps.append(Step(int(residual.movers[tail, node]), tail, node, float(residual.lengths[tail, node])))
        node = tail
        if node == first:
            return steps[::-1]


def apply_cycle(problem: AlignmentProblem, alignment: Alignment, cycle: list[Step]) -> Alignment:
    """Make the moves of a cycle.

    A client that moves twice through its total may use the same slack twice. Then its two arcs are uncrossed, j → k
    and j' → k' into j → k' and j' → k. This splits the cycle in two, of which at least one is negative.
    """
    rows = _moved_rows(problem, alignment, cycle)
    for i, x in rows.items():
        if _row_holds(problem, i, x):
            continue
        first, second = [place for place, step in enumerate(cycle) if step.client == i][:2]
        return apply_cycle(problem, alignment, _uncross(problem, cycle, first, second))
    dense = {i: np.flatnonzero(x) for i, x in rows.items()}
    pieces = np.split(alignment.experts, alignment.indptr[1:-1])
    for i, experts in dense.items():
        pieces[i] = experts
    indptr = np.zeros_like(alignment.indptr)
    np.cumsum([len(piece) for piece in pieces], out=indptr[1:])
    return Alignment(indptr, np.concatenate(pieces))


def _moved_rows(problem: AlignmentProblem, alignment: Alignment, cycle: list[Step]) -> dict[int, BoolArray]:
    """Rows of the clients in a cycle after their moves."""
    ground, last = problem.num_experts, problem.num_experts + problem.num_sets
    rows: dict[int, BoolArray] = {}
    for step in cycle:
        if step.client == EXPERT:
            continue
        if step.client not in rows:
            x = np.zeros(ground + 1, dtype=np.bool_)
            x[alignment.experts[alignment.indptr[step.client] : alignment.indptr[step.client + 1]]] = True
            rows[step.client] = x
        rows[step.client][ground if step.tail == last else step.tail] = False
        rows[step.client][ground if step.head == last else step.head] = True
    return {i: x[:-1] for i, x in rows.items()}


def _row_holds(problem: AlignmentProblem, i: int, x: BoolArray) -> bool:
    """Whether a client's row is within its total and its groups."""
    if not problem.client_demand[i] <= x.sum() <= problem.client_capacity[i]:
        return False
    if problem.expert_group is None:
        return True
    count = np.bincount(problem.expert_group, weights=x, minlength=problem.num_groups)
    return bool((problem.group_demand[i] <= count).all() and (count <= problem.group_capacity[i]).all())


def _uncross(problem: AlignmentProblem, cycle: list[Step], first: int, second: int) -> list[Step]:
    """Exchange the heads of two arcs of one client; return the shorter of the two cycles that this makes."""
    one, two = cycle[first], cycle[second]
    between = cycle[first + 1 : second]
    outside = cycle[second + 1 :] + cycle[:first]
    own = problem.block(one.client, one.client + 1).value[0].astype(np.float64)
    value = np.concatenate([own, np.zeros(problem.num_sets + 1)])
    inner = Step(one.client, two.tail, one.head, float(value[two.tail] - value[one.head]))
    outer = Step(one.client, one.tail, two.head, float(value[one.tail] - value[two.head]))
    return min([*between, inner], [*outside, outer], key=lambda steps: math.fsum(step.length for step in steps))

"""``flow``: the cardinality class as a min-cost flow, solved by OR-Tools on integers and proven on the floats.

The network has one more node, the *ground*. For every selected pair one unit flows ground → client → (client's group
→) expert → (nested sets around it →) ground. Demands are lower bounds on arcs; they are taken out and become supplies
at the arcs' ends. The penalties of experts and sets are convex: they become parallel arcs, one for each stretch of load
between two breakpoints.

OR-Tools takes integer costs, in a range that shrinks with the square of the number of nodes. So fitness is scaled by a
power of two and rounded. Afterwards negative cycles are cancelled on the floats, which undoes the rounding, and the
prices are read off the residual graph, because OR-Tools returns none (:mod:`alignsolve.solvers.common.residual`).
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from alignsolve.data.alignment import Alignment
from alignsolve.data.expert_bounds import ExpertBounds
from alignsolve.numerics import FloatArray, IntArray, RealArray
from alignsolve.problem import AlignmentProblem, Feature
from alignsolve.solution import SolveError
from alignsolve.solver import CARDINALITY, Answer, Capabilities, ProgressHook, WarmStart
from alignsolve.solvers.common.elastic import witness_from_elastic
from alignsolve.solvers.common.last_answer import last_answer
from alignsolve.solvers.common.residual import cancel_negative_cycles
from alignsolve.solvers.greedy.incumbent import GREEDY, incumbents

LARGEST_NODE = 2**31 - 1
"""OR-Tools counts nodes and arcs in 32 bits."""
LONG = 1_000_000
"""Pairs from which on OR-Tools may take more than a second."""


@dataclass(frozen=True)
class Flow:
    """Min-cost flow by OR-Tools SimpleMinCostFlow, cardinality class, exact on floats.

    Examples
    --------
    >>> from alignsolve import AlignmentProblem, solve
    >>> problem = AlignmentProblem([[0.7, 0.2], [0.6, 0.5]], expert_capacity=1)
    >>> solve(problem, solver=Flow()).x.tolist()
    [[True, False], [False, True]]
    """

    capabilities: ClassVar[Capabilities] = Capabilities(
        takes=CARDINALITY | {Feature.EXPERT_SETS}, exact=True, presolve=True
    )

    def __call__(
        self,
        problem: AlignmentProblem,
        *,
        deadline: float,
        warm_start: WarmStart,
        seed: int,
        threads: int | None,
        progress: ProgressHook | None,
    ) -> Answer:
        """Solve; under a deadline in a child process that can be stopped, with the greedy answer as the incumbent.

        Large problems are always solved there: OR-Tools keeps Python's lock, and so nothing else would stop it.
        """

        def answers() -> Iterator[Answer]:
            if deadline < math.inf:
                for standing in incumbents(problem, warm_start, deadline):
                    yield standing
                    if standing.witness is not None:
                        return
            yield from _answers(problem, deadline)

        deaf = problem.num_clients * problem.num_experts >= LONG
        return last_answer(answers, deadline, deaf=deaf) or Answer(stats={"stopped": "time limit"})

    def prepare(self, problem: AlignmentProblem) -> None:
        """Compile what the greedy incumbent needs."""
        GREEDY.prepare(problem)


def _answers(problem: AlignmentProblem, deadline: float) -> Iterator[Answer]:
    """Build and solve the network, then cancel negative cycles; if it is infeasible, find the witness."""
    started = time.perf_counter()
    network = Network(problem)
    built = time.perf_counter()
    alignment = network.solve()
    solved = time.perf_counter()
    stats: dict[str, Any] = {"build_seconds": built - started, "backend_seconds": solved - built}
    if alignment is None:
        yield Answer(witness=witness_from_elastic(problem, lambda relaxed: Network(relaxed).solve()), stats=stats)
        return
    alignment, prices, cycles = cancel_negative_cycles(problem, alignment, deadline)
    yield Answer(alignment, prices, stats={**stats, "cycles": cycles, "polish_seconds": time.perf_counter() - solved})


class Network:
    """The flow network of a problem, its arcs as arrays.

    Nodes: clients, then (client, group) pairs where there are groups, then experts, then sets of experts, then the
    ground.

    Parameters
    ----------
    problem
        The problem; its class is the cardinality class.
    counts
        (num_clients,) how many identical clients each row stands for; None: one.
    """

    def __init__(self, problem: AlignmentProblem, counts: IntArray | None = None) -> None:
        self.problem = problem
        self.counts = np.ones(problem.num_clients, dtype=np.int64) if counts is None else counts
        n, e, g = problem.num_clients, problem.num_experts, problem.num_groups
        self.first_expert = n + n * g
        self.ground = self.first_expert + e + problem.num_sets
        if self.ground + n * e > LARGEST_NODE:
            raise SolveError(f"flow: {n} x {e} pairs are more than OR-Tools' 32-bit arcs; use solver='price'")
        self.supply = np.zeros(self.ground + 1, dtype=np.int64)
        self.arcs: list[tuple[IntArray, IntArray, IntArray, FloatArray]] = []
        self._add_clients()
        if g:
            self._add_groups()
        self._add_pairs()
        self._add_experts()

    def _add(self, tails: IntArray, heads: IntArray, least: IntArray, most: IntArray, gain: RealArray) -> None:
        """Add arcs from tails to heads that carry least..most units; the least part becomes supply at the two ends."""
        np.add.at(self.supply, heads, least)
        np.subtract.at(self.supply, tails, least)
        self.arcs.append((tails, heads, most - least, -np.asarray(gain, dtype=np.float64)))

    def _add_clients(self) -> None:
        """Add one arc from the ground to each client: the bounds of its row."""
        problem = self.problem
        clients = np.arange(problem.num_clients)
        capacity = np.minimum(problem.client_capacity, problem.num_experts)
        zeros = np.zeros(len(clients))
        least, most = problem.client_demand * self.counts, capacity * self.counts
        self._add(np.full_like(clients, self.ground), clients, least, most, zeros)

    def _add_groups(self) -> None:
        """Add one arc from each client to each of its groups: the bounds of the group."""
        problem = self.problem
        n, g = problem.num_clients, problem.num_groups
        sizes = np.bincount(problem.expert_group, minlength=g)
        tails, nodes = np.repeat(np.arange(n), g), n + np.arange(n * g)
        capacity = np.minimum(problem.group_capacity, sizes).ravel()
        times = np.repeat(self.counts, g)
        self._add(tails, nodes, problem.group_demand.ravel() * times, capacity * times, np.zeros(n * g))

    def _add_pairs(self) -> None:
        """Add one arc for each eligible pair: a unit for each client of the row, with its fitness as gain."""
        problem = self.problem
        allowed = np.ones(problem.shape, dtype=np.bool_) if problem.eligible is None else problem.eligible
        self.clients, self.experts = np.nonzero(allowed)
        tails = self.clients
        if problem.num_groups:
            tails = problem.num_clients + self.clients * problem.num_groups + problem.expert_group[self.experts]
        least = np.zeros(len(tails), dtype=np.int64)
        if problem.required is not None:
            least[problem.required[self.clients, self.experts]] = 1
        least *= self.counts[self.clients]
        self.forced = least
        gain = problem.values()[self.clients, self.experts]
        self._add(tails, self.first_expert + self.experts, least, self.counts[self.clients], gain)

    def _add_experts(self) -> None:
        """Add arcs from each expert to the smallest set around it, and from each set to the next one, or the ground."""
        e, sets = self.problem.num_experts, self.problem.sets
        nodes = self.first_expert + np.arange(e + self.problem.num_sets)
        if sets is None:
            self._add_bounds(self.problem.experts, nodes, np.full_like(nodes, self.ground))
            return
        around = self.first_expert + sets.parent
        self._add_bounds(self.problem.experts, nodes[:e], around[:e])
        self._add_bounds(sets.bounds, nodes[e:], around[e:])

    def _add_bounds(self, bounds: ExpertBounds, nodes: IntArray, ground: IntArray) -> None:
        """Add arcs that carry loads: those that are demanded, and one arc for each straight stretch of the penalty."""
        pairs = int(self.counts.sum()) * (1 if bounds is self.problem.experts else self.problem.num_experts)
        end = np.minimum(bounds.most, pairs)
        least = np.minimum(bounds.least, end)
        points = np.vstack([bounds.breakpoints, least, end])
        points = np.sort(np.clip(np.where(np.isnan(points), least, points), least, end), axis=0)
        penalties = bounds.penalty(points)
        widths = np.diff(points, axis=0)
        slopes = np.diff(penalties, axis=0) / np.maximum(widths, 1.0)
        nothing = np.zeros(len(nodes))
        must = bounds.least.astype(np.int64)
        self._add(nodes, ground, must, must, nothing)
        for width, slope in zip(widths.astype(np.int64), slopes, strict=True):
            if width.any():
                self._add(nodes, ground, np.zeros_like(width), width, -slope)

    def solve(self) -> Alignment | None:
        """Solve the network by OR-Tools; None if it is infeasible."""
        flows = self.flows()
        if flows is None:
            return None
        place = 1 + bool(self.problem.num_groups)
        start = sum(len(part[0]) for part in self.arcs[:place])
        used = (flows[start : start + len(self.clients)] + self.forced) > 0
        return Alignment.from_pairs(self.clients[used], self.experts[used], self.problem.num_clients)

    def flows(self) -> IntArray | None:
        """Return the flow on every arc, beyond what it carries at least, by OR-Tools; None if it is infeasible."""
        from ortools.graph.python import min_cost_flow  # noqa: PLC0415

        tails, heads, capacity, cost = (np.concatenate(part) for part in zip(*self.arcs, strict=True))
        flow = min_cost_flow.SimpleMinCostFlow()
        arcs = flow.add_arcs_with_capacity_and_unit_cost(
            tails.astype(np.int32), heads.astype(np.int32), capacity, self._whole_costs(cost)
        )
        flow.set_nodes_supplies(np.arange(len(self.supply), dtype=np.int32), self.supply)
        status = flow.solve()
        if status == flow.INFEASIBLE:
            return None
        if status != flow.OPTIMAL:
            raise SolveError(f"flow: OR-Tools ended with status {status!r}")
        found: IntArray = np.asarray(flow.flows(arcs), dtype=np.int64)
        return found

    def _whole_costs(self, cost: FloatArray) -> IntArray:
        """Scale costs by a power of two into the range that OR-Tools can hold without overflow, and round."""
        largest = float(np.abs(cost).max(initial=0.0))
        limit = np.iinfo(np.int64).max / (4.0 * (len(self.supply) + 2) ** 2)
        if largest == 0.0 or (largest <= limit and np.array_equal(cost, np.floor(cost))):
            return cost.astype(np.int64)
        return np.rint(np.ldexp(cost, math.floor(math.log2(limit) - math.log2(largest)))).astype(np.int64)

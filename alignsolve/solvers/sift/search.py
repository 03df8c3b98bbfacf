"""The search of ``sift``: its network, flow and potentials from round to round; ``solver.py`` tells the whole."""

import math
from typing import Any

import numpy as np

from alignsolve.data.alignment import Alignment
from alignsolve.numerics import FloatArray, IntArray, fixed
from alignsolve.problem import AlignmentProblem
from alignsolve.solver import Answer, ProgressHook, WarmStart
from alignsolve.solvers.common.pattern import has_simple_pattern
from alignsolve.solvers.sift.arcs import mean_size
from alignsolve.solvers.sift.by_rank import Seating, bands, seat_by_rank
from alignsolve.solvers.sift.candidates import (
    HELD,
    IN,
    OUT,
    best_of_experts,
    best_out,
    misplaced,
    pairs_in,
    sort_pairs,
)
from alignsolve.solvers.sift.cost_scaling import adjacency
from alignsolve.solvers.sift.estimate import by_turns
from alignsolve.solvers.sift.flow_search import FEW_WRONG, QUICKLY, WHOLE, FlowSearch
from alignsolve.solvers.sift.network import Network
from alignsolve.solvers.sift.repair import wrong_arcs

FEW = 0.1
"""Share of all pairs up to which the promising ones are few, so that no estimate is made."""
WIDTH, AT_LEAST = 1.5, 4
"""Promising pairs of a client in each group: so many times those that it can take there, and some more."""
HEIGHT = 2.0
"""Promising pairs of an expert: so many times those that it takes, and ``AT_LEAST`` more."""
TELLING = 2.0**-6
"""Tolerance from which on a flow tells something, in units of the spread of the values: where nothing is estimated."""
TURNS, KNOWN_TURNS = 5, 2
"""Turns of the estimate, from nothing and from the prices of a warm start."""
SHRINK = 16
"""By how much the tolerance of cost scaling shrinks from phase to phase; and the first below what is typical."""
NOT_AGAIN = 20.0
"""Looks at arcs for each entry of the network after which repairing is given up where it is tried before any phase."""
LOOKS = 8
"""Times that pairs may come in before the flow is made precise: as long as they are many."""
OFFERED = 4
"""Pairs that come in with a group's node, the best ones: so that its demand need not look far."""
LET_IN = 8
"""Pairs of a client and group that come in at once, at most, when they were left out."""


class Search(FlowSearch):
    """The network, its flow and its potentials, from round to round.

    Attributes
    ----------
    network
        The pairs that are in, and the groups that have nodes.
    chosen
        (num_pairs,) the flow: the pairs that are chosen.
    role
        (num_clients, num_experts) uint8: what becomes of each pair, ``OUT``, ``IN`` the network, or ``HELD``.
    """

    def __init__(
        self,
        problem: AlignmentProblem,
        warm_start: WarmStart,
        deadline: float,
        progress: ProgressHook | None = None,
        threads: int | None = None,
    ) -> None:
        super().__init__(problem, deadline, progress)
        self.threads = threads
        self.allowed = self.terms.possible
        self.role = np.zeros(problem.shape, dtype=np.uint8)
        self.scaled, self.telling, self.first_expert = False, math.inf, 1 + problem.num_clients
        self._begin(warm_start)

    def _begin(self, warm_start: WarmStart) -> None:
        """Choose the pairs of the network: the best few of each side if they are few, or else the uncertain ones."""
        problem, terms = self.problem, self.terms
        n, e = problem.shape
        spare = terms.client_capacity - terms.fixed_inside.sum(axis=1)
        wanted = np.minimum(spare, terms.group_capacity.sum(axis=1) - terms.fixed_inside.sum(axis=1))
        width = math.ceil(WIDTH * int(wanted.max(initial=0)) / terms.group_capacity.shape[1]) + AT_LEAST
        room = np.minimum(terms.expert_room, max(1, int(wanted.sum()) // e))
        height = np.ceil(HEIGHT * room).astype(np.int64) + AT_LEAST
        promising = n * terms.group_capacity.shape[1] * width + int(height.sum())
        simple, known = has_simple_pattern(problem), warm_start.prices
        seating = seat_by_rank(terms, spare) if simple and known is None else None
        if known is not None:
            self._estimate(problem.experts.project(known), spare, KNOWN_TURNS)
        elif promising > FEW * n * e and seating is None:
            self._estimate(np.zeros(e), spare, TURNS)
        else:
            self._promise(width, height)
        if simple:
            for pairs in bands(terms, spare):
                self._enter(*pairs)
        if seating is not None:
            self._seat(seating)

    def _seat(self, seating: Seating) -> None:
        """Begin with an alignment by rank and its prices; nothing is chosen yet."""
        network, clients = self.network, np.flatnonzero(seating.seat >= 0)
        self._enter(clients, seating.seat[clients])
        self.chosen = seating.seat[network.clients] == network.experts
        self.potential = np.concatenate([[0.0], seating.surplus, -seating.prices])

    def _promise(self, width: int, height: IntArray) -> None:
        """Begin with each client's best ``width`` experts in each group, and each expert's best ``height`` clients."""
        terms = self.terms
        e = terms.value.shape[1]
        nothing = np.zeros(terms.group_capacity.shape)
        best = misplaced(terms.value, self.allowed, self.role, terms.group, np.zeros(e), nothing, width, -np.inf)
        self.look_at_clock()
        others = best_of_experts(terms.value, self.allowed, self.role, height)
        self.look_at_clock()
        clients, experts = (np.concatenate(both) for both in zip(best[:2], others, strict=True))
        nobody = np.zeros(0, dtype=np.int64)
        self.network = Network(terms, clients, experts, (nobody, nobody))
        self.chosen = np.zeros(len(clients), dtype=np.bool_)
        self.potential = np.zeros(self.network.num_nodes)
        spread = float(np.std(self.network.value)) if len(clients) else 0.0
        self.telling = TELLING * (spread or self.unit)

    def _estimate(self, prices: FloatArray, spare: IntArray, turns: int) -> None:
        """Estimate prices, and begin with the uncertain pairs and what both sides agree on."""
        terms = self.terms
        estimate = by_turns(terms, prices, turns, self.reward, self.threads, self.deadline)
        self.look_at_clock()
        number = sort_pairs(terms.value, self.allowed, terms.group, estimate, self.role)
        most, places = terms.group_capacity - terms.fixed_inside, terms.expert_room - terms.fixed_loads
        clients, experts, self.chosen = pairs_in(
            terms.value, terms.group, estimate, self.role, number, spare.copy(), most, places
        )
        held_clients, held_experts = np.nonzero(self.role == HELD)
        self.network = Network(terms, clients, experts, (held_clients, held_experts))
        own = np.nonzero(estimate.clients.middle != estimate.total[:, None])
        self.network.add_groups(*own)
        self.potential = np.concatenate([[0.0], estimate.total, -estimate.experts.middle, estimate.clients.middle[own]])

    def _enter(self, clients: IntArray, experts: IntArray) -> None:
        """Let pairs in that are out and allowed."""
        new = self.role[clients, experts] == OUT
        if len(self.allowed):
            new &= self.allowed[clients, experts]
        clients, experts = clients[new], experts[new]
        self.role[clients, experts] = IN
        self.network.add_pairs(clients, experts)
        self.chosen = np.concatenate([self.chosen, np.zeros(len(clients), dtype=np.bool_)])

    def run(self) -> None:
        """Solve, let in what was left out, and solve again, until nothing is."""
        while True:
            self.stats["rounds"] += 1
            self._solve()
            self._tell()
            if not (self._add_groups() or self._add_pairs(self._negligible()) or self._raise_reward()):
                break
        self.stats["pairs"] = len(self.chosen)

    def _solve(self) -> None:
        """Find the best flow of the network, and its potentials."""
        net, entry = self._net()
        number, typical = wrong_arcs(net, self.potential, self._negligible(), 0.5 * self.reward)
        hopeful = self.scaled or number <= FEW_WRONG
        if not (hopeful and self._repair(net, entry, NOT_AGAIN * len(net.to))):
            self._scale(net, entry, typical)

    def _net(self) -> tuple[Any, Any]:
        """The network with its flow, stored by node, and the entry of each arc."""
        arcs = self.network.arcs(self.chosen, self.reward)
        made: tuple[Any, Any] = adjacency(*arcs, self.network.num_nodes)
        return made

    def _scale(self, net: Any, entry: Any, typical: float) -> None:
        """Cost scaling in whole numbers, phase by phase, until what is left is quickly repaired.

        In between, missed groups get their nodes, and pairs that were left out come in.
        """
        unit = WHOLE / self.unit
        coarse = max(1, int(typical / SHRINK * unit))
        tolerance, looks, self.scaled = coarse, LOOKS, True
        while True:
            self._phase(net, entry, unit, tolerance)
            if looks and tolerance <= max(1, int(min(self.telling, typical) * unit)):
                looks -= 1
                added = self._add_groups() + self._add_pairs(tolerance / unit)
                if added:
                    net, entry = self._net()
                if added > FEW_WRONG:
                    continue
                looks = 0
            if self._repair(net, entry, QUICKLY * len(net.to) if tolerance > 1 else math.inf):
                return
            tolerance = max(tolerance // SHRINK, 1)

    def _phase(self, net: Any, entry: Any, unit: float, tolerance: int) -> None:
        """One phase: flow and potentials become optimal up to a tolerance."""
        self._push(net._replace(cost=np.rint(net.cost * unit).astype(np.int64)), unit, tolerance)
        self._read_flow(net, entry)
        self.look_at_clock()

    def _repair(self, net: Any, entry: Any, limit: float) -> bool:
        """Make the flow exactly optimal; False if it takes longer than the limit on the arcs looked at."""
        done = self._mend(net, limit)
        self._read_flow(net, entry)
        if not done:
            self.look_at_clock()
        return done

    def _read_flow(self, net: Any, entry: Any) -> None:
        self.chosen = net.room[entry[: len(self.chosen)]] == 0

    def _mean_chosen(self) -> float:
        return float(mean_size(self.network.value, self.chosen))

    @property
    def coarse(self) -> bool:
        """Whether rounding is larger than what counts as 0."""
        return self._rounding > self._small_share

    def _add_groups(self) -> int:
        """Give a node to every client and group whose bound is broken; how many there were."""
        rows, groups = self.network.broken_groups(self.chosen)
        if not len(rows):
            return 0
        excess = self.network.counts(self.chosen)[0][rows, groups] - self.terms.group_capacity[rows, groups]
        self.network.add_groups(rows, groups)
        self.potential = np.concatenate([self.potential, self.potential[1 + rows]])
        terms, prices = self.terms, self._asked()
        places = fixed(rows), fixed(groups)
        self._enter(*best_out(terms.value, self.allowed, self.role, terms.group, prices, *places, OFFERED))
        if (excess > 0).any():
            self._drop(rows, groups, np.maximum(excess, 0))
        return len(rows)

    def _drop(self, rows: IntArray, groups: IntArray, excess: IntArray) -> None:
        """Give up pairs where a group holds more than its capacity, those worth least."""
        network, terms = self.network, self.terms
        too_many = np.zeros(network.split.shape, dtype=np.int64)
        too_many[rows, groups] = excess
        held = np.flatnonzero(self.chosen)
        clients, experts = network.clients[held], network.experts[held]
        worth = terms.value[clients, experts] + self.potential[self.first_expert + experts]
        place = clients * terms.group_capacity.shape[1] + terms.group[experts]
        order = np.lexsort((worth, place))
        begin = np.searchsorted(place[order], place[order])
        dropped = np.arange(len(order)) - begin < too_many.ravel()[place[order]]
        self.chosen[held[order[dropped]]] = False

    def _add_pairs(self, least: float) -> int:
        """Price all pairs, and let in those left out that would gain more than ``least``; how many there were."""
        terms, network = self.terms, self.network
        threshold, prices = self.potential[network.split], self._asked()
        clients, experts, held = misplaced(
            terms.value, self.allowed, self.role, terms.group, prices, threshold, LET_IN, least
        )
        network.give_up(clients[held], experts[held])
        network.add_pairs(clients, experts)
        self.chosen = np.concatenate([self.chosen, held])
        return len(clients)

    def _asked(self) -> FloatArray:
        """(num_experts,) prices on the scale of the clients' potentials."""
        return -self.potential[self.first_expert : self.first_expert + self.problem.num_experts]

    @property
    def unmet(self) -> bool:
        """Whether the flow leaves a hard demand unmet."""
        return self.network.unmet(self.chosen)

    def answer(self) -> Answer:
        """The alignment of the flow, and its prices; no alignment if the flow leaves a bound broken."""
        broken = self.unmet or self.network.broken_groups(self.chosen)[0].size
        return Answer(None if broken else self.alignment(), self.prices, stats=self.stats)

    def alignment(self) -> Alignment:
        """The alignment of the flow, whatever it breaks."""
        network, fixed = self.network, self.terms.fixed
        held = np.nonzero(self.role == HELD)
        clients = np.concatenate([network.clients[self.chosen], held[0], fixed[0]])
        experts = np.concatenate([network.experts[self.chosen], held[1], fixed[1]])
        return Alignment.from_pairs(clients, experts, self.problem.num_clients)

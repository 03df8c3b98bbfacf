"""The search of ``sift``: its network, flow and potentials from round to round; ``solver.py`` tells the whole."""

import math
import time
from typing import Any

import numpy as np

from alignsolve.data.alignment import Alignment
from alignsolve.numerics import EPSILON, BoolArray, FloatArray, IntArray
from alignsolve.problem import AlignmentProblem
from alignsolve.runtime.jit import absent
from alignsolve.solver import Answer, Progress, ProgressHook, WarmStart
from alignsolve.solvers.common.pattern import has_simple_pattern
from alignsolve.solvers.sift.candidates import bands, best_of_experts, best_of_groups, beyond_capacity
from alignsolve.solvers.sift.cost_scaling import SHRINK, WORK, adjacency, begin_phase, run_phase, working_memory
from alignsolve.solvers.sift.network import Network, Terms
from alignsolve.solvers.sift.repair import repair, search_memory, wrong_arcs

WHOLE = 2.0**40
"""Cost scaling counts in whole numbers: the largest fitness is this many."""
PRECISE = 1e-4
"""Tolerance of cost scaling from which repairing is tried, in units of the spread of the values."""
NEGLIGIBLE = 1e-12
"""A reduced cost counts as 0 below this share of the mean value chosen: far below the gap that is a proof."""
FEW_WRONG = 64
"""Wrong arcs up to which they are repaired one by one, without cost scaling."""
FIRST_REWARD, MORE_REWARD, LARGEST_REWARD = 4.0, 64.0, 2.0**18
"""Reward for a unit of a hard demand, in units of the largest value: at first, growth, and at last."""
WIDTH, AT_LEAST = 1.5, 4
"""Pairs of a client in each group: so many times those that it can take there, and some more."""
HEIGHT = 2.0
"""Pairs of an expert: so many times those that it takes, and ``AT_LEAST`` more."""
QUICKLY = 4.0
"""Looks at arcs for each entry of the network after which repairing is given up for one more phase."""
LOOKS = 8
"""Times that pairs may come in before the flow is made precise: as long as they are many."""
LET_IN = 8
"""Pairs of a client and group that come in at once, at most, when they were left out."""
WARM = 2.0**-6
"""Tolerance of the first phase after a warm start, in units of the spread of the values. Groups get nodes from this
tolerance on: before, the flow says little about them."""


class TimeUpError(Exception):
    """The deadline has come."""


class Search:
    """The network, its flow and its potentials, from round to round.

    Attributes
    ----------
    network
        The pairs that are in, and the groups that have nodes.
    chosen
        (num_pairs,) the flow: the pairs that are chosen.
    potential
        (num_nodes,) float64.
    inside
        (num_clients, num_experts) which pairs are in the network.
    """

    def __init__(
        self, problem: AlignmentProblem, warm_start: WarmStart, deadline: float, progress: ProgressHook | None
    ) -> None:
        self.problem, self.deadline, self.progress = problem, deadline, progress
        self.started = time.monotonic()
        self._look_at_clock()
        self.terms = Terms(problem)
        self.allowed = absent(np.bool_) if self.terms.allowed is None else self.terms.allowed
        self.inside = np.zeros(problem.shape, dtype=np.bool_)
        self.reward = FIRST_REWARD * self._unit
        self.stats: dict[str, Any] = {"rounds": 0, "phases": 0}
        self._begin(warm_start)

    @property
    def _unit(self) -> float:
        return self.terms.largest or 1.0

    def _begin(self, warm_start: WarmStart) -> None:
        """Choose the promising pairs, and begin from what is known, or from nothing."""
        problem, terms = self.problem, self.terms
        n, e = problem.shape
        prices = np.zeros(e) if warm_start.prices is None else problem.experts.project(warm_start.prices)
        num_groups = terms.group_capacity.shape[1]
        wanted = np.minimum(terms.client_capacity, terms.group_capacity.sum(axis=1)) - terms.fixed_inside.sum(axis=1)
        width = np.ceil(WIDTH * wanted / num_groups).astype(np.int64) + AT_LEAST
        nothing = np.zeros((n, num_groups))
        clients, experts = best_of_groups(
            terms.value, self.allowed, self.inside, terms.group, prices, nothing, width, -np.inf
        )
        self._look_at_clock()
        room = np.minimum(terms.expert_room, max(1, int(wanted.sum()) // e))
        others = best_of_experts(
            terms.value, self.allowed, self.inside, np.ceil(HEIGHT * room).astype(np.int64) + AT_LEAST
        )
        self._look_at_clock()
        known, given = self._given(warm_start.alignment)
        found = [(clients, experts), others, known]
        if has_simple_pattern(problem):
            found += [self._enter(*pairs) for pairs in bands(terms, wanted)]
        clients, experts = (np.concatenate(parts) for parts in zip(*found, strict=True))
        self.network = Network(terms, clients, experts)
        self.chosen = np.zeros(len(clients), dtype=np.bool_)
        self.potential = np.zeros(self.network.num_nodes)
        self.warm = warm_start.prices is not None
        if given is not None:
            held = np.zeros(problem.shape, dtype=np.bool_)
            held[given] = True
            held = held[clients, experts]
            self.chosen = held if self.network.fits(held) else self.chosen
        if self.warm:
            self.potential[self.network.first_expert :] = -prices
            self.potential[1 : 1 + n] = beyond_capacity(terms.value, self.allowed, prices, wanted)

    def _given(self, alignment: Alignment | None) -> tuple[tuple[IntArray, IntArray], Any]:
        """Pairs of a known alignment that are not in yet, and all of its pairs that are allowed."""
        nobody = np.zeros(0, dtype=np.int64)
        if alignment is None:
            return (nobody, nobody), None
        clients, experts = alignment.clients(), alignment.experts
        if len(self.allowed):
            open_ = self.allowed[clients, experts]
            clients, experts = clients[open_], experts[open_]
        return self._enter(clients, experts), (clients, experts)

    def _enter(self, clients: IntArray, experts: IntArray) -> tuple[IntArray, IntArray]:
        """Let pairs in; return those that are allowed and were not in."""
        new = ~self.inside[clients, experts]
        if len(self.allowed):
            new &= self.allowed[clients, experts]
        self.inside[clients, experts] |= new
        return clients[new], experts[new]

    def run(self) -> None:
        """Solve, let in what was left out, and solve again, until nothing is."""
        while True:
            self.stats["rounds"] += 1
            self._solve()
            if self.progress is not None:
                self.progress(Progress("round", time.monotonic() - self.started))
            if not (self._add_groups() or self._add_pairs(self._negligible()) or self._raise_reward()):
                break
        self.stats["pairs"] = len(self.chosen)

    def _solve(self) -> None:
        """Find the best flow of the network, and its potentials."""
        net, entry = self._net()
        number, worst = wrong_arcs(net, self.potential, self._negligible())
        if number > FEW_WRONG:
            self._scale(net, entry, -worst)
        else:
            self._repair(net, entry, math.inf)
        self.warm = True

    def _net(self) -> tuple[Any, Any]:
        """The network with its flow, stored by node, and the entry of each arc."""
        arcs = self.network.arcs(self.chosen, self.reward)
        made: tuple[Any, Any] = adjacency(arcs.tail, arcs.head, arcs.cost, arcs.capacity, arcs.flow, arcs.num_nodes)
        return made

    def _scale(self, net: Any, entry: Any, worst: float) -> None:
        """Cost scaling in whole numbers, phase by phase, until what is left is quickly repaired.

        In between, once the flow tells something, missed groups get their nodes, and pairs that were left out come in.
        """
        unit = WHOLE / self._unit
        spread = float(np.std(self.network.value)) or self._unit
        precise = max(1, int(PRECISE * spread * unit))
        warm = max(1, int(WARM * spread * unit))
        tolerance = max(1, int(worst / SHRINK * unit))
        tolerance = min(tolerance, warm) if self.warm else tolerance
        looks = LOOKS
        while True:
            self.stats["phases"] += 1
            self._phase(net, entry, unit, tolerance)
            if tolerance <= warm and looks:
                looks -= 1
                added = self._add_groups() + self._add_pairs(tolerance / unit)
                if added:
                    # What only now shows is far from settled: from a small tolerance the way there is long.
                    net, entry, tolerance = *self._net(), warm * SHRINK
                looks = looks if added > FEW_WRONG else 0
            elif tolerance <= precise:
                limit = QUICKLY * len(net.to) if tolerance > 1 else math.inf
                if self._repair(net, entry, limit):
                    return
            tolerance = max(tolerance // SHRINK, 1)

    def _phase(self, net: Any, entry: Any, unit: float, tolerance: int) -> None:
        """One phase: flow and potentials become optimal up to a tolerance."""
        whole = net._replace(cost=np.rint(net.cost * unit).astype(np.int64))
        potential = np.rint(self.potential * unit).astype(np.int64)
        work = working_memory(len(potential))
        begin_phase(whole, potential, tolerance, work)
        while not run_phase(whole, potential, tolerance, work, WORK):
            self._look_at_clock()
        self._read_flow(net, entry)
        self.potential = potential / unit
        self._look_at_clock()

    def _repair(self, net: Any, entry: Any, limit: float) -> bool:
        """Make the flow exactly optimal; False if it takes longer than the limit on the arcs looked at."""
        search = search_memory(len(self.potential))
        done = late = False
        while not done and not late and limit > 0:
            portion = int(min(limit, WORK))
            done = repair(net, self.potential, self._negligible(), search, portion)
            late, limit = time.monotonic() > self.deadline, limit - portion
        self._read_flow(net, entry)
        if late and not done:
            raise TimeUpError
        return done

    def _read_flow(self, net: Any, entry: Any) -> None:
        self.chosen = net.room[entry[: len(self.chosen)]] == 0

    def _look_at_clock(self) -> None:
        if time.monotonic() > self.deadline:
            raise TimeUpError

    def _negligible(self) -> float:
        """The reduced cost that counts as 0: a share of the mean value chosen, and at least what rounding makes."""
        return max(self._small_share, self._rounding)

    @property
    def _small_share(self) -> float:
        value = self.network.value[self.chosen]
        return NEGLIGIBLE * float(np.abs(value).mean()) if len(value) else 0.0

    @property
    def _rounding(self) -> float:
        return 8.0 * EPSILON * max(self._unit, float(np.abs(self.potential).max()))

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
        worth = terms.value[clients, experts] + self.potential[network.first_expert + experts]
        place = clients * terms.group_capacity.shape[1] + terms.group[experts]
        order = np.lexsort((worth, place))
        begin = np.searchsorted(place[order], place[order])
        dropped = np.arange(len(order)) - begin < too_many.ravel()[place[order]]
        self.chosen[held[order[dropped]]] = False

    def _add_pairs(self, least: float) -> int:
        """Price all pairs, and let in those left out that would gain more than ``least``; how many there were."""
        terms, network = self.terms, self.network
        n, e = terms.value.shape
        threshold = self.potential[network.split]
        price = -self.potential[network.first_expert : network.first_expert + e]
        most = np.full(n, LET_IN, dtype=np.int64)
        clients, experts = best_of_groups(
            terms.value, self.allowed, self.inside, terms.group, price, threshold, most, least
        )
        network.add_pairs(clients, experts)
        self.chosen = np.concatenate([self.chosen, np.zeros(len(clients), dtype=np.bool_)])
        return len(clients)

    def _raise_reward(self) -> bool:
        """Ask more urgently for hard demands that are unmet; False if none is, or the reward is at its largest."""
        if not self.unmet or self.reward >= LARGEST_REWARD * self._unit:
            return False
        self.reward = min(self.reward * MORE_REWARD, LARGEST_REWARD * self._unit)
        return True

    @property
    def overfull(self) -> BoolArray:
        """(num_experts,) whether required pairs alone exceed the expert's capacity."""
        return self.terms.fixed_loads > self.terms.expert_room

    @property
    def unmet(self) -> bool:
        """Whether the flow leaves a hard demand unmet."""
        return self.network.unmet(self.chosen)

    @property
    def prices(self) -> FloatArray:
        """(num_experts,) from the potentials, counted from the ground."""
        first = self.network.first_expert
        return self.potential[0] - self.potential[first : first + self.problem.num_experts]

    def answer(self) -> Answer:
        """The alignment of the flow, and its prices; no alignment if the flow leaves a bound broken."""
        network, fixed = self.network, self.terms.fixed
        if self.unmet or network.broken_groups(self.chosen)[0].size:
            return Answer(prices=self.prices, stats=self.stats)
        clients = np.concatenate([network.clients[self.chosen], fixed[0]])
        experts = np.concatenate([network.experts[self.chosen], fixed[1]])
        return Answer(Alignment.from_pairs(clients, experts, self.problem.num_clients), self.prices, stats=self.stats)

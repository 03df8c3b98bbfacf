"""The search of ``sift`` for sparse problems: all pairs are in the network at first, and most soon leave it.

A flow that is optimal up to a tolerance ε tells much about the best one: pairs whose reduced cost is many times ε away
from 0 hardly ever change again. So after each phase of cost scaling such pairs are decided: held if they are chosen,
else left out. The next phase, with a smaller ε, has a fraction of them. In the end all pairs are looked at: those that
were decided wrongly come back, and the search goes on from the flow and the potentials that it has.

Cost scaling and repair are those of the other problems. A group has a node from the start wherever its bound can break.

Source: the arcs that are left out of sight are those of "price-out" heuristics, A. V. Goldberg, An efficient
implementation of a scaling minimum-cost flow algorithm, J. Algorithms 22 (1997), section 5.
"""

import math
import time
from functools import cache
from typing import Any

import numpy as np

from alignsolve.data.stored import StoredPairs
from alignsolve.numerics import EPSILON, BoolArray, FloatArray
from alignsolve.problem import AlignmentProblem
from alignsolve.solver import Answer, Progress, ProgressHook, WarmStart
from alignsolve.solvers.sift.cost_scaling import SHRINK, WORK, begin_phase, run_phase, working_memory
from alignsolve.solvers.sift.network import Terms
from alignsolve.solvers.sift.repair import repair, search_memory, wrong_arcs
from alignsolve.solvers.sift.search import (
    FEW_WRONG,
    FIRST_REWARD,
    LARGEST_REWARD,
    MORE_REWARD,
    NEGLIGIBLE,
    QUICKLY,
    WHOLE,
    TimeUpError,
)
from alignsolve.solvers.sift.stored_network import StoredNetwork

START = 0.1
"""First tolerance, in units of the spread of the values."""
PRECISE = 1e-4
"""Tolerance of cost scaling from which repairing is tried, in units of the spread of the values."""
TURNS = 8
"""Turns of the estimate that the search begins with."""
MARGIN = 6.0
"""Tolerances from 0 beyond which a reduced cost decides its pair. At 8 none was decided wrongly until late."""
MORE_CAREFUL = 4.0
"""Growth of the margin from round to round, so that an end comes."""
WORTHWHILE = 0.7
"""Share of the open pairs that may stay open at most for the network to be laid out anew."""


class StoredSearch:
    """The network of a sparse problem, its flow and its potentials.

    Attributes
    ----------
    network
        The pairs with their roles, and the nodes.
    potential
        (num_nodes,) float64.
    coarse
        Whether rounding in the potentials is to be undone: never.
    """

    coarse = False

    def __init__(
        self, problem: AlignmentProblem, warm_start: WarmStart, deadline: float, progress: ProgressHook | None
    ) -> None:
        self.problem, self.deadline, self.progress = problem, deadline, progress
        self.started = time.monotonic()
        self._look_at_clock()
        self.terms = Terms(problem)
        self.network = StoredNetwork(problem, self.terms)
        self.reward = FIRST_REWARD * self._largest
        self.potential = np.zeros(self.network.num_nodes)
        if warm_start.prices is not None:
            first = self.network.first_expert
            self.potential[first : first + problem.num_experts] = -problem.experts.project(warm_start.prices)
        self.network.estimate(self.potential, TURNS)
        self.stats: dict[str, Any] = {"rounds": 0, "phases": 0, "pairs": len(self.terms.value)}

    @property
    def _largest(self) -> float:
        return self.terms.largest or 1.0

    def run(self) -> None:
        """Solve, open what was decided wrongly, and solve again, until nothing is and all demands are met."""
        while True:
            self.stats["rounds"] += 1
            self._solve(START if self.stats["rounds"] == 1 else math.inf)
            if self.progress is not None:
                self.progress(Progress("round", time.monotonic() - self.started))
            if not (self.network.reopen(self.potential, self._negligible()) or self._raise_reward()):
                break

    def _solve(self, start: float) -> None:
        """Cost scaling in whole numbers, phase by phase, until what is left is quickly repaired."""
        unit = WHOLE / self._largest
        spread = (float(np.std(self.terms.value)) if len(self.terms.value) else 0.0) or self._largest
        precise = max(1, int(PRECISE * spread * unit))
        margin = MARGIN * MORE_CAREFUL ** (self.stats["rounds"] - 1)
        bounds, net = self._laid()
        net = self.network.with_costs(net, bounds, None)
        wrong, typical = wrong_arcs(net, self.potential, self._negligible(), math.inf)
        if wrong <= FEW_WRONG:
            self._repair(net, math.inf)
            return
        tolerance = max(1, int(min(typical, start * spread) * unit))
        net = self.network.with_costs(net, bounds, unit)
        while True:
            self.stats["phases"] += 1
            self._phase(net, unit, tolerance)
            if tolerance <= precise:
                net = self.network.with_costs(net, bounds, None)
                if self._repair(net, QUICKLY * len(net.to) if tolerance > 1 else math.inf):
                    return
                net = self.network.with_costs(net, bounds, unit)
            elif self.network.decide(self.potential, margin * tolerance / unit, WORTHWHILE):
                del net  # before the next one is made
                bounds, net = self._laid()
                net = self.network.with_costs(net, bounds, unit)
            tolerance = max(tolerance // SHRINK, 1)

    def _laid(self) -> tuple[Any, Any]:
        """The arcs of the bounds, and the network with its flow."""
        bounds = self.network.bounds(self.reward)
        return bounds, self.network.residual(bounds)

    def _phase(self, net: Any, unit: float, tolerance: int) -> None:
        """One phase: flow and potentials become optimal up to a tolerance."""
        potential = np.rint(self.potential * unit).astype(np.int64)
        work = working_memory(len(potential))
        begin_phase(net, potential, tolerance, work)
        while not run_phase(net, potential, tolerance, work, WORK):
            self._look_at_clock()
        self.network.read_flow(net)
        self.potential = potential / unit
        self._look_at_clock()

    def _repair(self, net: Any, limit: float) -> bool:
        """Make the flow exactly optimal; False if it takes longer than the limit on the arcs looked at."""
        search = search_memory(len(self.potential))
        done = late = False
        while not done and not late and limit > 0:
            portion = int(min(limit, WORK))
            done = repair(net, self.potential, self._negligible(), search, portion)
            late, limit = time.monotonic() > self.deadline, limit - portion
        self.network.read_flow(net)
        if late and not done:
            raise TimeUpError
        return done

    def _look_at_clock(self) -> None:
        if time.monotonic() > self.deadline:
            raise TimeUpError

    def _negligible(self) -> float:
        """The reduced cost that counts as 0: a share of the mean value chosen, and at least what rounding makes."""
        value = self.terms.value[self.network.pairs.chosen]
        share = NEGLIGIBLE * float(np.abs(value).mean()) if len(value) else 0.0
        return max(share, 8.0 * EPSILON * max(self._largest, float(np.abs(self.potential).max())))

    def _raise_reward(self) -> bool:
        """Ask more urgently for hard demands that are unmet; False if none is, or the reward is at its largest."""
        if not self.unmet or self.reward >= LARGEST_REWARD * self._largest:
            return False
        self.reward = min(self.reward * MORE_REWARD, LARGEST_REWARD * self._largest)
        self.network.open_all()
        return True

    @property
    def overfull(self) -> BoolArray:
        """(num_experts,) whether required pairs alone exceed the expert's capacity."""
        return self.terms.fixed_loads > self.terms.expert_room

    @property
    def unmet(self) -> bool:
        """Whether the flow leaves a hard demand unmet."""
        inside, loads = self.network.counts()
        short = (loads < self.problem.experts.least).any() or (inside < self.terms.group_demand).any()
        return bool(short or (inside.sum(axis=1) < self.problem.client_demand).any())

    @property
    def prices(self) -> FloatArray:
        """(num_experts,) from the potentials, counted from the ground."""
        first = self.network.first_expert
        return self.potential[0] - self.potential[first : first + self.problem.num_experts]

    def answer(self) -> Answer:
        """The alignment of the flow, and its prices; no alignment if the flow leaves a demand unmet."""
        return Answer(None if self.unmet else self.network.alignment(), self.prices, stats=self.stats)


@cache
def compile_search() -> None:
    """Run the search once on a small problem that takes all of its paths."""
    n, e = 2 * FEW_WRONG, 4
    experts, values = np.tile(np.arange(e, dtype=np.int32), n), np.arange(float(n * e)) * 7 % 11
    pairs = StoredPairs((n, e), np.arange(n + 1) * e, experts, values)
    search = StoredSearch(AlignmentProblem(pairs, expert_capacity=n / e), WarmStart(), math.inf, None)
    search.run()
    search.network.reopen(np.zeros_like(search.potential), 0.0)

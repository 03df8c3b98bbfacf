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
from functools import cache
from typing import Any

import numpy as np

from alignsolve.data.stored import StoredPairs
from alignsolve.problem import AlignmentProblem
from alignsolve.solver import Answer, ProgressHook, WarmStart
from alignsolve.solvers.sift.arcs import mean_size
from alignsolve.solvers.sift.flow_search import FEW_WRONG, QUICKLY, WHOLE, FlowSearch
from alignsolve.solvers.sift.repair import wrong_arcs
from alignsolve.solvers.sift.stored_network import StoredNetwork

START = 0.1
"""First tolerance, in units of the spread of the values."""
PRECISE = 1e-4
"""Tolerance of cost scaling from which repairing is tried, in units of the spread of the values."""
SHRINK = 8
"""By how much the tolerance shrinks from phase to phase: at 16, fewer pairs are decided in between."""
TURNS = 8
"""Turns of the estimate that the search begins with."""
MARGIN = 6.0
"""Tolerances from 0 beyond which a reduced cost decides its pair. At 8 none was decided wrongly until late."""
MORE_CAREFUL = 4.0
"""Growth of the margin from round to round, so that an end comes."""
WORTHWHILE = 0.7
"""Share of the open pairs that may stay open at most for the network to be laid out anew."""


class StoredSearch(FlowSearch):
    """The network of a sparse problem, its flow and its potentials.

    Attributes
    ----------
    network
        The pairs with their roles, and the nodes.
    coarse
        Whether rounding in the potentials is to be undone: never.
    """

    coarse = False

    def __init__(
        self, problem: AlignmentProblem, warm_start: WarmStart, deadline: float, progress: ProgressHook | None
    ) -> None:
        super().__init__(problem, deadline, progress)
        self.network = StoredNetwork(problem, self.terms)
        self.first_expert = self.network.first_expert
        self.potential = np.zeros(self.network.num_nodes)
        if warm_start.prices is not None:
            first = self.first_expert
            self.potential[first : first + problem.num_experts] = -problem.experts.project(warm_start.prices)
        self.network.estimate(self.potential, TURNS)
        self.stats["pairs"] = len(self.terms.value)

    def run(self) -> None:
        """Solve, open what was decided wrongly, and solve again, until nothing is and all demands are met."""
        while True:
            self.stats["rounds"] += 1
            self._solve(START if self.stats["rounds"] == 1 else math.inf)
            self._tell()
            if not (self.network.reopen(self.potential, self._negligible()) or self._raise_reward()):
                break

    def _solve(self, start: float) -> None:
        """Cost scaling in whole numbers, phase by phase, until what is left is quickly repaired."""
        unit = WHOLE / self.unit
        spread = (float(np.std(self.terms.value)) if len(self.terms.value) else 0.0) or self.unit
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
        self._push(net, unit, tolerance)
        self.network.read_flow(net)
        self.look_at_clock()

    def _repair(self, net: Any, limit: float) -> bool:
        """Make the flow exactly optimal; False if it takes longer than the limit on the arcs looked at."""
        done = self._mend(net, limit)
        self.network.read_flow(net)
        if not done:
            self.look_at_clock()
        return done

    def _mean_chosen(self) -> float:
        return float(mean_size(self.terms.value, self.network.pairs.chosen))

    def _raise_reward(self) -> bool:
        raised = super()._raise_reward()
        if raised:
            self.network.open_all()
        return raised

    @property
    def unmet(self) -> bool:
        """Whether the flow leaves a hard demand unmet."""
        inside, loads = self.network.counts()
        short = (loads < self.problem.experts.least).any() or (inside < self.terms.group_demand).any()
        return bool(short or (inside.sum(axis=1) < self.problem.client_demand).any())

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

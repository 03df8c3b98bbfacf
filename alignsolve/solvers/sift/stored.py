"""The search of ``sift`` for sparse problems: their pairs are few, so that the network holds all from the start.

Nothing is left out, so nothing is priced afterwards. Cost scaling and repair are those of the other problems. A group
has a node from the start wherever its bound can break.
"""

import math
import time
from typing import Any

import numpy as np

from alignsolve.data.alignment import Alignment
from alignsolve.numerics import EPSILON, BoolArray, FloatArray
from alignsolve.problem import AlignmentProblem
from alignsolve.solver import Answer, Progress, ProgressHook, WarmStart
from alignsolve.solvers.sift.cost_scaling import SHRINK, WORK, begin_phase, run_phase, working_memory
from alignsolve.solvers.sift.network import Terms
from alignsolve.solvers.sift.repair import repair, search_memory
from alignsolve.solvers.sift.search import (
    FIRST_REWARD,
    LARGEST_REWARD,
    MORE_REWARD,
    NEGLIGIBLE,
    PRECISE,
    QUICKLY,
    WHOLE,
    TimeUpError,
)
from alignsolve.solvers.sift.stored_network import StoredNetwork


class StoredSearch:
    """The network of a sparse problem, its flow and its potentials; attributes as in :class:`.search.Search`."""

    coarse = False

    def __init__(
        self, problem: AlignmentProblem, warm_start: WarmStart, deadline: float, progress: ProgressHook | None
    ) -> None:
        self.problem, self.deadline, self.progress = problem, deadline, progress
        self.started = time.monotonic()
        self._look_at_clock()
        self.terms = Terms(problem)
        self.network = StoredNetwork(problem, self.terms)
        self.chosen: BoolArray = np.zeros(len(self.network.pairs), dtype=np.bool_)
        self.reward = FIRST_REWARD * self._unit
        self.potential = np.zeros(self.network.num_nodes)
        if warm_start.prices is not None:
            end = self.network.first_expert + problem.num_experts
            self.potential[self.network.first_expert : end] = -problem.experts.project(warm_start.prices)
        self.stats: dict[str, Any] = {"rounds": 0, "phases": 0, "pairs": len(self.chosen)}

    @property
    def _unit(self) -> float:
        return self.terms.largest or 1.0

    def run(self) -> None:
        """Find the best flow, and ask more urgently for hard demands as long as some are unmet."""
        arcs = self.network.bound_arcs(self.reward)
        net = self.network.residual(arcs)
        while True:
            self.stats["rounds"] += 1
            self._solve(net, arcs)
            if self.progress is not None:
                self.progress(Progress("round", time.monotonic() - self.started))
            if not self.unmet or self.reward >= LARGEST_REWARD * self._unit:
                break
            self.reward = min(self.reward * MORE_REWARD, LARGEST_REWARD * self._unit)
            arcs = self.network.bound_arcs(self.reward)

    def _solve(self, net: Any, arcs: Any) -> None:
        """Cost scaling in whole numbers, phase by phase, until what is left is quickly repaired."""
        unit = WHOLE / self._unit
        spread = float(np.std(self.terms.value)) or self._unit
        precise = max(1, int(PRECISE * spread * unit))
        tolerance = max(1, int(self.reward * unit / SHRINK))
        while True:
            self.stats["phases"] += 1
            self.network.write_costs(net, arcs, unit)
            self._phase(net, unit, tolerance)
            if tolerance <= precise:
                limit = QUICKLY * len(net.to) if tolerance > 1 else math.inf
                self.network.write_costs(net, arcs, 0.0)
                if self._repair(net._replace(cost=net.cost.view(np.float64)), limit):
                    return
            tolerance = max(tolerance // SHRINK, 1)

    def _phase(self, net: Any, unit: float, tolerance: int) -> None:
        """One phase: flow and potentials become optimal up to a tolerance."""
        potential = np.rint(self.potential * unit).astype(np.int64)
        work = working_memory(len(potential))
        begin_phase(net, potential, tolerance, work)
        while not run_phase(net, potential, tolerance, work, WORK):
            self._look_at_clock()
        self.chosen = self.network.chosen(net)
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
        self.chosen = self.network.chosen(net)
        if late and not done:
            raise TimeUpError
        return done

    def _look_at_clock(self) -> None:
        if time.monotonic() > self.deadline:
            raise TimeUpError

    def _negligible(self) -> float:
        """The reduced cost that counts as 0: a share of the mean value chosen, and at least what rounding makes."""
        value = self.terms.value[self.chosen]
        share = NEGLIGIBLE * float(np.abs(value).mean()) if len(value) else 0.0
        return max(share, 8.0 * EPSILON * max(self._unit, float(np.abs(self.potential).max())))

    @property
    def overfull(self) -> BoolArray:
        """(num_experts,) whether required pairs alone exceed the expert's capacity."""
        return self.terms.fixed_loads > self.terms.expert_room

    @property
    def unmet(self) -> bool:
        """Whether the flow leaves a hard demand unmet."""
        terms, found = self.terms, self._alignment()
        loads = np.bincount(found.experts, minlength=len(terms.group))
        count = np.diff(found.indptr)
        if (loads < self.problem.experts.least).any() or (count < self.problem.client_demand).any():
            return True
        inside = terms.count(found.clients() * terms.group_demand.shape[1] + terms.group[found.experts])
        return bool((inside < terms.group_demand).any())

    @property
    def prices(self) -> FloatArray:
        """(num_experts,) from the potentials, counted from the ground."""
        first = self.network.first_expert
        return self.potential[0] - self.potential[first : first + self.problem.num_experts]

    def answer(self) -> Answer:
        """The alignment of the flow, and its prices; no alignment if the flow leaves a demand unmet."""
        return Answer(None if self.unmet else self._alignment(), self.prices, stats=self.stats)

    def _alignment(self) -> Alignment:
        """The pairs that carry flow, and the required ones."""
        pairs, allowed = self.network.pairs, self.terms.allowed
        held = self.chosen if allowed is None else self.chosen | ~allowed
        before = np.concatenate([[0], np.cumsum(held)])
        return Alignment(before[pairs.indptr], pairs.experts[held].astype(np.int64))

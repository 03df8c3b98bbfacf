"""What both searches of ``sift`` share: a flow and potentials that phases and repairs improve, under a deadline."""

import time
from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from alignsolve.numerics import EPSILON, BoolArray, FloatArray
from alignsolve.problem import AlignmentProblem
from alignsolve.runtime.interruptible import late
from alignsolve.solver import Progress, ProgressHook
from alignsolve.solvers.sift.cost_scaling import WORK, begin_phase, run_phase, working_memory
from alignsolve.solvers.sift.network import Terms
from alignsolve.solvers.sift.repair import repair, search_memory

WHOLE = 2.0**40
"""Cost scaling counts in whole numbers: the largest fitness is this many."""
NEGLIGIBLE = 1e-12
"""A reduced cost counts as 0 below this share of the mean value chosen: far below the gap that is a proof."""
FEW_WRONG = 128
"""Wrong arcs up to which they are repaired one by one, without cost scaling."""
FIRST_REWARD, MORE_REWARD, LARGEST_REWARD = 4.0, 64.0, 2.0**18
"""Reward for a unit of a hard demand, in units of the largest value: at first, growth, and at last."""
QUICKLY = 4.0
"""Looks at arcs for each entry of the network after which repairing is given up for one more phase."""


class TimeUpError(Exception):
    """The deadline has come."""


class FlowSearch(ABC):
    """A flow, its potentials, and the ways to improve them.

    Attributes
    ----------
    terms
        What the problem says.
    potential
        (num_nodes,) float64; the ground comes first.
    first_expert
        The node of the first expert.
    reward
        What a unit of a hard demand earns.
    """

    first_expert: int
    potential: FloatArray

    def __init__(self, problem: AlignmentProblem, deadline: float, progress: ProgressHook | None) -> None:
        self.problem, self.deadline, self.progress = problem, deadline, progress
        self.started = time.monotonic()
        self.look_at_clock()
        self.terms = Terms(problem)
        self.unit: float = self.terms.largest or 1.0
        self.reward = FIRST_REWARD * self.unit
        self.stats: dict[str, Any] = {"rounds": 0, "phases": 0}

    @property
    @abstractmethod
    def unmet(self) -> bool:
        """Whether the flow leaves a hard demand unmet."""

    @abstractmethod
    def _mean_chosen(self) -> float:
        """The mean size of the values of the pairs that the flow chooses; 0 without any."""

    def _push(self, net: Any, unit: float, tolerance: int) -> None:
        """One phase on whole costs, ``unit`` to one of the values: flow and potentials become ε-optimal."""
        self.stats["phases"] += 1
        potential = np.rint(self.potential * unit).astype(np.int64)
        work = working_memory(len(potential))
        begin_phase(net, potential, tolerance, work)
        while not run_phase(net, potential, tolerance, work, WORK):
            self.look_at_clock()
        self.potential = potential / unit

    def _mend(self, net: Any, limit: float) -> bool:
        """Make the flow exactly optimal; False if the limit on the arcs looked at, or the deadline, comes first."""
        search = search_memory(len(self.potential))
        done = stopped = False
        while not done and not stopped and limit > 0:
            portion = int(min(limit, WORK))
            done = repair(net, self.potential, self._negligible(), search, portion)
            stopped, limit = late(self.deadline), limit - portion
        return done

    def look_at_clock(self) -> None:
        """Raise ``TimeUpError`` if the deadline has come."""
        if late(self.deadline):
            raise TimeUpError

    def _tell(self) -> None:
        """Report that a round has ended."""
        if self.progress is not None:
            self.progress(Progress("round", time.monotonic() - self.started))

    def _negligible(self) -> float:
        """The reduced cost that counts as 0: a share of the mean value chosen, and at least what rounding makes."""
        return max(self._small_share, self._rounding)

    @property
    def _small_share(self) -> float:
        return NEGLIGIBLE * self._mean_chosen()

    @property
    def _rounding(self) -> float:
        return 8.0 * EPSILON * max(self.unit, float(np.abs(self.potential).max()))

    def _raise_reward(self) -> bool:
        """Ask more urgently for hard demands that are unmet; False if none is, or the reward is at its largest."""
        if not self.unmet or self.reward >= LARGEST_REWARD * self.unit:
            return False
        self.reward = min(self.reward * MORE_REWARD, LARGEST_REWARD * self.unit)
        return True

    @property
    def overfull(self) -> BoolArray:
        """(num_experts,) whether required pairs alone exceed the expert's capacity."""
        return self.terms.fixed_loads > self.terms.expert_room

    @property
    def prices(self) -> FloatArray:
        """(num_experts,) from the potentials, counted from the ground."""
        first = self.first_expert
        return self.potential[0] - self.potential[first : first + self.problem.num_experts]

"""What searches of the general class share: the best alignment so far, a bound, and whether these are good enough."""

import math
import time
from typing import Any

from alignsolve.certificate.violations import violations
from alignsolve.certificate.worth import worth
from alignsolve.data.alignment import Alignment
from alignsolve.numerics import OPTIMALITY, Number, is_proven, relative_gap
from alignsolve.problem import AlignmentProblem
from alignsolve.solver import Progress, ProgressHook


class IncumbentSearch:
    """A search that keeps its best alignment, and tells of every better one.

    Attributes
    ----------
    alignment, objective
        The best feasible alignment so far, None at first, and its objective.
    bound
        The lowest bound so far.
    stats
        ``stats["found_by"]`` says which step has found the alignment.
    """

    def __init__(
        self, problem: AlignmentProblem, gap: float, threads: int | None, progress: ProgressHook | None
    ) -> None:
        self.problem, self.gap, self.threads, self.progress = problem, gap, threads, progress
        self.started = time.monotonic()
        self.alignment: Alignment | None = None
        self.objective: Number = -math.inf
        self.bound: Number = math.inf
        self.stats: dict[str, Any] = {}

    @property
    def lowest_bound(self) -> Number:
        """The lowest bound of all that the search knows."""
        return self.bound

    def _keep(self, alignment: Any, where: str) -> None:
        """Keep an alignment if it is feasible and the best so far."""
        if alignment is None or violations(self.problem, alignment):
            return
        objective = worth(self.problem, alignment, threads=self.threads).objective
        if objective > self.objective:
            self.alignment, self.objective = alignment, objective
            self.stats["found_by"] = where
            self._tell(where)

    def _good_enough(self) -> bool:
        """Whether the gap is closed, as far as it was asked for."""
        if self.gap < OPTIMALITY and self.problem.integral:
            return is_proven(self.lowest_bound, self.objective, 0.0, whole=True)
        return relative_gap(self.lowest_bound, self.objective) <= max(self.gap, OPTIMALITY)

    def _tell(self, phase: str) -> None:
        """Report to the progress hook."""
        if self.progress is not None:
            seconds = time.monotonic() - self.started
            self.progress(Progress(phase, seconds, self.objective, self.lowest_bound))

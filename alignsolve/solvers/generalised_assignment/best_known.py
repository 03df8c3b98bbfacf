"""The incumbent and the bound of a search, and their report to the user's progress hook."""

import math
import time

from alignsolve.numerics import IntArray, Number
from alignsolve.solver import Progress, ProgressHook
from alignsolve.solvers.generalised_assignment.instance import Instance


class BestKnown:
    """The incumbent and the bound of one search.

    Attributes
    ----------
    best, value
        (num_clients,) the cheapest alignment so far or None, and its cost, inf without one.
    lower
        No alignment costs less, as far as a back end's word is true.
    own
        The same without any back end's word: from prices, multipliers and trees.
    infeasible
        Whether there is no alignment.
    """

    def __init__(self, instance: Instance, started: float, progress: ProgressHook | None) -> None:
        self.instance, self.started, self.progress = instance, started, progress
        self.best: IntArray | None = None
        self.value = math.inf
        self.lower = self.own = -math.inf
        self.infeasible = False

    def offer(self, chosen: IntArray) -> None:
        """Make a feasible alignment the incumbent if it is better."""
        value = self.instance.value(chosen)
        if value < self.value and self.instance.fits(chosen):
            self.best, self.value = chosen.copy(), value
            self._tell("incumbent")

    def raise_to(self, lower: float, phase: str = "bound", *, own: bool = True) -> None:
        """Raise the bound to ``lower`` if that is higher; ``phase`` names the method, ``own`` if it is ours."""
        if own:
            self.own = max(self.own, lower)
        if lower > self.lower:
            self.lower = lower
            self._tell(phase)

    @property
    def goal(self) -> Number:
        """The bound rounded up to a possible cost: an incumbent of this cost is optimal."""
        return self.instance.rounded(self.lower)

    @property
    def done(self) -> bool:
        """Whether the problem is solved: infeasible, or the incumbent meets the bound."""
        return self.infeasible or (self.best is not None and self.instance.proves(self.lower, self.value))

    @property
    def rests_on_a_word(self) -> bool:
        """Whether only a back end's word says that the incumbent is optimal."""
        return self.best is not None and self.done and not self.instance.proves(self.own, self.value)

    def take_back(self) -> None:
        """Forget what only a back end has said."""
        self.lower = self.own

    def _tell(self, phase: str) -> None:
        """Report to the progress hook."""
        if self.progress is not None:
            seconds = time.monotonic() - self.started
            self.progress(Progress(phase, seconds, -self.value, -self.goal))

"""Which experts are open: greed where an expert has nobody, or at least so many clients.

1. Greed builds an alignment as if there were no optional demands. Experts that then have some load, but too little,
   are in doubt.
2. *Close*: the quarter of them that lacks most is closed, and greed begins again, until no expert is in doubt. Where
   greed fails without these experts, they are kept open instead: their optional demand becomes a demand.
3. *Open*: a second attempt keeps all experts in doubt open, and closes those that lack most only if this fails.

The better of the two is kept. Each step decides on some experts for good, so that there are few steps.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from alignsolve.certificate.witness import Witness
from alignsolve.certificate.worth import loads_of, worth
from alignsolve.data.alignment import Alignment
from alignsolve.numerics import BoolArray, IntArray
from alignsolve.problem import AlignmentProblem

if TYPE_CHECKING:
    from alignsolve.solvers.greedy.state import State

AT_ONCE = 0.25
"""Share of the experts in doubt that are decided on in one step; at least one is."""
Built = tuple[Alignment | None, Witness | None]
"""An alignment, or why there is none; neither where the deadline came first or the repair failed."""


@dataclass(frozen=True, eq=False)
class Openings:
    """What is decided: experts that are closed, and experts that must be open, (num_experts,) bools each."""

    closed: BoolArray
    open: BoolArray

    @classmethod
    def of(cls, problem: AlignmentProblem) -> "Openings":
        """At first, experts that may not carry enough are closed, unless a demand keeps them open."""
        bounds = problem.experts
        closed = (bounds.opening > bounds.most) & (bounds.least == 0)
        return cls(closed, np.zeros(len(closed), dtype=np.bool_))

    def closing(self, experts: IntArray) -> "Openings":
        """Close some experts more."""
        closed = self.closed.copy()
        closed[experts] = True
        return Openings(closed, self.open)

    def keeping_open(self, experts: IntArray) -> "Openings":
        """Keep some experts more open."""
        open_ = self.open.copy()
        open_[experts] = True
        return Openings(self.closed, open_)

    def impose(self, problem: AlignmentProblem, state: "State") -> None:
        """Set the hard bounds of a state: no load on closed experts, the optional demand on those kept open."""
        from alignsolve.solvers.greedy.state import LEAST, MARGIN, MOST  # noqa: PLC0415  (loads numba)

        state.experts[self.closed, MOST] = 0.0
        needed = np.where(self.open, problem.experts.opening, 0.0) * (1.0 - MARGIN)
        state.experts[:, LEAST] = np.maximum(state.experts[:, LEAST], needed)


def build_with_openings(problem: AlignmentProblem, build: Callable[[Openings], Built]) -> Built:
    """Build an alignment in which optional demands hold; None where greed finds none.

    Parameters
    ----------
    problem
        With optional demands.
    build
        Builds an alignment in which only these openings count.
    """
    start = Openings.of(problem)
    first, witness = build(start)
    if first is None:
        return None, witness
    best: Alignment | None = None
    for close in (True, False):
        found = _settled(problem, build, start, first, close=close)
        if found is None:
            continue
        if not (problem.experts.half_open(loads_of(problem, first)) > 0).any():
            return found, None
        if best is None or worth(problem, found).objective > worth(problem, best).objective:
            best = found
    return best, None


def _settled(
    problem: AlignmentProblem, build: Callable[[Openings], Built], decided: Openings, first: Alignment, *, close: bool
) -> Alignment | None:
    """Decide on the experts in doubt, by closing them first, or by keeping them open first."""
    alignment = first
    while True:
        loads, opening = loads_of(problem, alignment), problem.experts.opening
        doubtful = np.flatnonzero(problem.experts.half_open(loads) > 0)
        if not len(doubtful):
            return alignment
        share = loads[doubtful] / opening[doubtful]
        emptiest = doubtful[np.argsort(share, kind="stable")[: max(1, int(AT_ONCE * len(doubtful)))]]
        attempts = [decided.closing(emptiest), decided.keeping_open(emptiest)]
        if not close:
            attempts = [decided.keeping_open(doubtful), decided.closing(emptiest)]
        for attempt in attempts:
            found, _ = build(attempt)
            if found is not None:
                alignment, decided = found, attempt
                break
        else:
            return None

"""Contenders: our solvers, outside solvers and the user's own, all behind the same three steps.

A contender names the problems that it refuses, builds its own model from the problem's raw arrays, and solves the
model. :mod:`benchmarks.trial` judges its claims, by the same rules for all contenders.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from alignsolve import AlignmentProblem, Feature
from alignsolve.numerics import FloatArray, Number


@dataclass(frozen=True)
class Claim:
    """The answer that a contender claims.

    Attributes
    ----------
    status
        The contender's own status text.
    x
        The alignment, in any form that :meth:`AlignmentProblem.objective` reads; None if none was found.
    prices
        (num_experts,) prices from which a bound is computed; None if there are none.
    bound, proof
        A bound that was checked already, and its kind of proof.
    backend_seconds
        Part of the solving time spent in a back end; NaN if unknown.
    """

    status: str
    x: Any = None
    prices: FloatArray | None = None
    bound: Number = math.inf
    proof: str = ""
    backend_seconds: float = math.nan


Report = Callable[[Number, Number], None]
"""Hears of a contender's best objective and lowest bound so far; −inf and inf where there is none."""


class Contender(Protocol):
    """A solver that takes part in a race.

    One that tells how it gets on also has ``follow(model, report)``: it solves the model as ``solve`` does, and calls
    a :data:`Report` on the way.
    """

    def refusal(self, problem: AlignmentProblem) -> str | None:
        """Return why the contender cannot take this problem; None if it can."""
        ...

    def build(self, problem: AlignmentProblem) -> Any:
        """Build the contender's own model from the problem's arrays."""
        ...

    def solve(self, model: Any) -> Claim:
        """Solve the model and return the answer."""
        ...


PLAIN = frozenset(
    {
        Feature.FRACTIONAL_VALUES,
        Feature.ELIGIBILITY,
        Feature.CLIENT_DEMANDS,
        Feature.HARD_EXPERT_CAPACITIES,
        Feature.HARD_EXPERT_DEMANDS,
        Feature.SWITCHING_COSTS,
    }
)
"""Features of problems that a transport problem between clients and experts can express."""

RELAXED = PLAIN | {Feature.GROUPS, Feature.REQUIRED_PAIRS}
"""Features for which a linear relaxation is exact. Not soft bounds: the relaxation may end at a fractional load."""


def beyond(problem: AlignmentProblem, takes: frozenset[Feature]) -> str | None:
    """Name the features of a problem that are not in ``takes``; None if there are none."""
    missing = problem.features - takes
    return f"cannot express {', '.join(sorted(missing))}" if missing else None

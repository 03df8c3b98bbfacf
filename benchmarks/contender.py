"""What takes part in a race: our solvers, outside ones, and the reader's own, all behind the same three steps.

A contender says what it refuses, builds its own model from the problem's raw arrays, and solves it. What it claims is
judged elsewhere (:mod:`benchmarks.trial`), by the same rules for everybody.
"""

import math
from dataclasses import dataclass
from typing import Any, Protocol

from alignsolve import AlignmentProblem, Feature
from alignsolve.numerics import FloatArray, Number


@dataclass(frozen=True)
class Claim:
    """What a contender says it has found.

    Attributes
    ----------
    status
        In its own words.
    x
        Anything that :meth:`AlignmentProblem.objective` reads; None if it found nothing.
    prices
        (num_experts,) prices from which a bound is to be computed; None if it gives none.
    bound, proof
        A bound that was checked already, and by what it is proven.
    backend_seconds
        Of the solving that was spent in another's code, where the contender tells; NaN where not.
    """

    status: str
    x: Any = None
    prices: FloatArray | None = None
    bound: Number = math.inf
    proof: str = ""
    backend_seconds: float = math.nan


class Contender(Protocol):
    """One who takes part."""

    def refusal(self, problem: AlignmentProblem) -> str | None:
        """Say why it cannot take this problem, before any work; None if it can."""
        ...

    def build(self, problem: AlignmentProblem) -> Any:
        """Make its own model from the problem's arrays."""
        ...

    def solve(self, model: Any) -> Claim:
        """Solve the model and read the answer."""
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
"""What a transport between clients and experts can say."""

RELAXED = PLAIN | {Feature.GROUPS, Feature.REQUIRED_PAIRS}
"""What a linear relaxation answers exactly; soft bounds bend between whole numbers, where its optimum may lie."""


def beyond(problem: AlignmentProblem, takes: frozenset[Feature]) -> str | None:
    """Name what a problem asks for beyond ``takes``; None if there is nothing."""
    missing = problem.features - takes
    return f"cannot express {', '.join(sorted(missing))}" if missing else None

"""Our solvers as contenders: the model is the validated problem, the answer is what ``solve()`` returns, certified."""

import math
from dataclasses import dataclass
from typing import Any

from alignsolve import AlignmentProblem, Solver, UnsupportedError, front, solve
from alignsolve.problem import FIELDS
from benchmarks.contender import Claim


@dataclass(frozen=True)
class Ours:
    """A solver behind our front door, by its name in ``SOLVERS`` or any callable of the Solver protocol.

    Parameters
    ----------
    solver
        A name or a callable.
    time_limit
        Handed to ``solve()``; None lets it run until it is done, or killed.
    """

    solver: str | Solver
    time_limit: float | None = None

    def refusal(self, problem: AlignmentProblem) -> str | None:
        """Ask the front door."""
        try:
            front.refuse_unsupported(problem, *front.resolve(self.solver))
        except UnsupportedError as error:
            return str(error).partition(";")[0]
        return None

    def prepare(self, problem: AlignmentProblem) -> None:
        """Compile what this very problem needs: a small sibling may go to another solver, or to less of one."""
        front.prepare(problem, front.resolve(self.solver)[1])

    def build(self, problem: AlignmentProblem) -> AlignmentProblem:
        """Validate the raw arrays once more: that is what a user pays for."""
        raw: dict[str, Any] = {name: getattr(problem, name) for name in FIELDS}
        return AlignmentProblem(**raw)

    def solve(self, model: AlignmentProblem) -> Claim:
        """Solve, certificate included."""
        solution = solve(model, self.solver, time_limit=self.time_limit, throw=False)
        backend = float(solution.stats.get("backend_seconds", math.nan))
        why = "" if solution.assigned is not None else f": {solution.explain()}"
        return Claim(f"{solution.status}{why}", solution.assigned, None, solution.bound, str(solution.proof), backend)

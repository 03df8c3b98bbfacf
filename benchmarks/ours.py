"""Our solvers as contenders: the model is the validated problem, and the answer is the certified one of ``solve()``."""

import math
from dataclasses import dataclass
from typing import Any

from alignsolve import AlignmentProblem, Solver, UnsupportedError, front, solve
from alignsolve.problem import FIELDS
from alignsolve.solver import ProgressHook
from benchmarks.contender import Claim, Report


@dataclass(frozen=True)
class Ours:
    """A solver called through ``solve()``: a name in ``SOLVERS``, or any callable of the Solver protocol.

    Parameters
    ----------
    solver
        The name or the callable.
    time_limit
        Seconds, passed to ``solve()``; None: it runs until it is done or killed.
    """

    solver: str | Solver
    time_limit: float | None = None

    def refusal(self, problem: AlignmentProblem) -> str | None:
        """Return the refusal of ``solve()``."""
        try:
            name, call = front.resolve(self.solver)
            front.refuse_unsupported(front.simplify(problem, call).problem, name, call)
        except UnsupportedError as error:
            return str(error).partition(";")[0]
        return None

    def prepare(self, problem: AlignmentProblem) -> None:
        """Compile the code that this problem needs; a smaller instance may use another solver, or less of its code."""
        front.prepare(problem, front.resolve(self.solver)[1])

    def build(self, problem: AlignmentProblem) -> AlignmentProblem:
        """Validate the raw arrays again, because users pay for the validation as well."""
        raw: dict[str, Any] = {name: getattr(problem, name) for name in FIELDS}
        return AlignmentProblem(**raw)

    def solve(self, model: AlignmentProblem) -> Claim:
        """Solve, and check the certificate."""
        return self._claim(model, None)

    def follow(self, model: AlignmentProblem, report: Report) -> Claim:
        """Solve, and pass on what the solver reports."""
        return self._claim(model, lambda progress: report(progress.objective, progress.bound))

    def _claim(self, model: AlignmentProblem, progress: ProgressHook | None) -> Claim:
        solution = solve(model, self.solver, time_limit=self.time_limit, throw=False, progress=progress)
        backend = float(solution.stats.get("backend_seconds", math.nan))
        why = "" if solution.assigned is not None else f": {solution.explain()}"
        return Claim(f"{solution.status}{why}", solution.assigned, None, solution.bound, str(solution.proof), backend)

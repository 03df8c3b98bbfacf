"""scipy.optimize.linprog with sparse matrices: the linear relaxation, exact in the cardinality class."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from alignsolve import AlignmentProblem
from benchmarks.contender import RELAXED, Claim, beyond
from problems.linear import LinearProgram, linear_program


@dataclass(frozen=True)
class Linprog:
    """The linear relaxation by linprog with the method "highs"."""

    def refusal(self, problem: AlignmentProblem) -> str | None:
        """Refuse problems whose linear relaxation is not exact."""
        return beyond(problem, RELAXED)

    def build(self, problem: AlignmentProblem) -> tuple[dict[str, Any], LinearProgram]:
        """Stack upper and lower bounds as ≤ rows; equations are separate."""
        from scipy import sparse  # noqa: PLC0415

        program = linear_program(problem)
        shape = (len(program.row_lower), len(program.cost))
        rows = sparse.csc_array((program.value, program.index, program.start), shape=shape).tocsr()
        equal = program.row_lower == program.row_upper
        most, least = np.isfinite(program.row_upper) & ~equal, np.isfinite(program.row_lower) & ~equal
        arguments = {
            "c": -program.cost,
            "A_ub": sparse.vstack([rows[most], -rows[least]]),
            "b_ub": np.concatenate([program.row_upper[most], -program.row_lower[least]]),
            "A_eq": rows[equal] if equal.any() else None,
            "b_eq": program.row_upper[equal] if equal.any() else None,
            "bounds": np.stack([program.lower, program.upper], axis=1),
        }
        return arguments, program

    def solve(self, model: tuple[dict[str, Any], LinearProgram]) -> Claim:
        """Solve, and read the columns."""
        from scipy.optimize import linprog  # noqa: PLC0415

        arguments, program = model
        result = linprog(method="highs", **arguments)
        if result.x is None:
            return Claim(result.message)
        return Claim("optimal" if result.success else result.message, program.alignment(result.x))


LINPROG = Linprog()

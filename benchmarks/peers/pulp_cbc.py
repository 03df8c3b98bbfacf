"""PuLP with its bundled CBC: one Python object per variable, as its users write models."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from alignsolve import AlignmentProblem
from benchmarks.contender import Claim
from problems.linear import LinearProgram, linear_program


@dataclass(frozen=True)
class PulpCbc:
    """CBC, called through files, with gaps of 0."""

    def refusal(self, problem: AlignmentProblem) -> str | None:
        """Return None: a MIP can express every problem."""
        return None

    def build(self, problem: AlignmentProblem) -> tuple[Any, list[Any], LinearProgram]:
        """Make one variable per column, and one or two constraints per row."""
        import pulp  # noqa: PLC0415

        program = linear_program(problem)
        model = pulp.LpProblem("alignment", pulp.LpMaximize)
        columns = [
            pulp.LpVariable(f"v{k}", lower, None if math.isinf(upper) else upper, "Integer" if whole else "Continuous")
            for k, (lower, upper, whole) in enumerate(zip(program.lower, program.upper, program.integral, strict=True))
        ]
        model += pulp.LpAffineExpression(zip(columns, program.cost.tolist(), strict=True))
        terms: list[list[tuple[Any, float]]] = [[] for _ in program.row_lower]
        ends = np.repeat(np.arange(len(columns)), np.diff(program.start)).tolist()
        for k, row, value in zip(ends, program.index.tolist(), program.value.tolist(), strict=True):
            terms[row].append((columns[k], value))
        bounds = zip(terms, program.row_lower.tolist(), program.row_upper.tolist(), strict=True)
        for row_terms, lower, upper in bounds:
            _add_row(model, pulp.LpAffineExpression(row_terms), lower, upper)
        return model, columns, program

    def solve(self, model: tuple[Any, list[Any], LinearProgram]) -> Claim:
        """Run CBC, and read its answer."""
        import pulp  # noqa: PLC0415

        made, columns, program = model
        made.solve(pulp.PULP_CBC_CMD(msg=False, gapRel=0.0, gapAbs=0.0))
        status_text = pulp.LpStatus[made.status]
        if made.sol_status not in (pulp.LpSolutionOptimal, pulp.LpSolutionIntegerFeasible):
            return Claim(status_text)
        values = np.array([column.varValue or 0.0 for column in columns])
        return Claim(status_text, program.alignment(values))


def _add_row(model: Any, expression: Any, lower: float, upper: float) -> None:
    if lower == upper:
        model += expression == lower
        return
    if math.isfinite(upper):
        model += expression <= upper
    if math.isfinite(lower):
        model += expression >= lower


CBC = PulpCbc()

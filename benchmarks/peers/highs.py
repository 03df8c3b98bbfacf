"""HiGHS through highspy, with the whole model passed in bulk: an LP by interior point or simplex, or a MIP."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from alignsolve import AlignmentProblem
from alignsolve.solver import EVERYTHING
from benchmarks.contender import RELAXED, Claim, Report, beyond
from problems.linear import LinearProgram, linear_program


@dataclass(frozen=True)
class Highs:
    """HiGHS with one of its methods.

    Parameters
    ----------
    method
        "ipm" or "simplex" for the linear relaxation, which is exact in the cardinality class; "mip" for both classes.
    """

    method: str

    def refusal(self, problem: AlignmentProblem) -> str | None:
        """Refuse problems whose linear relaxation is not exact, unless the method is "mip"."""
        return beyond(problem, EVERYTHING if self.method == "mip" else RELAXED)

    def build(self, problem: AlignmentProblem) -> tuple[Any, LinearProgram]:
        """Pass all columns, rows and entries at once."""
        import highspy  # noqa: PLC0415

        program = linear_program(problem)
        highs = highspy.Highs()
        highs.silent()
        whole = program.integral if self.method == "mip" else np.zeros_like(program.integral)
        pass_program(highs, program, whole)
        if self.method == "mip":
            highs.setOptionValue("mip_rel_gap", 0.0)
            highs.setOptionValue("mip_abs_gap", 0.0)
        else:
            highs.setOptionValue("solver", self.method)
        return highs, program

    def follow(self, model: tuple[Any, LinearProgram], report: Report) -> Claim:
        """Run HiGHS, and pass on the objectives and bounds of its integer program."""

        def heard(event: Any) -> None:
            report(event.data_out.mip_primal_bound, event.data_out.mip_dual_bound)

        if self.method == "mip":
            model[0].cbMipImprovingSolution.subscribe(heard)
            model[0].cbMipLogging.subscribe(heard)
        return self.solve(model)

    def solve(self, model: tuple[Any, LinearProgram]) -> Claim:
        """Run HiGHS; read the columns and the experts' prices."""
        highs, program = model
        highs.run()
        status = highs.getModelStatus()
        status_text = highs.modelStatusToString(status)
        solution = highs.getSolution()
        if not solution.value_valid:
            return Claim(status_text)
        prices = np.asarray(solution.row_dual)[program.expert_rows] if solution.dual_valid else None
        return Claim(status_text, program.alignment(np.asarray(solution.col_value)), prices)


INTERIOR_POINT, SIMPLEX, MIP = Highs("ipm"), Highs("simplex"), Highs("mip")


def pass_program(highs: Any, program: LinearProgram, whole: Any) -> None:
    """Pass all columns, rows and entries to HiGHS at once; ``whole`` says which columns are whole numbers."""
    import highspy  # noqa: PLC0415

    passed = highs.passModel(
        len(program.cost),
        len(program.row_lower),
        len(program.index),
        highspy.MatrixFormat.kColwise.value,
        highspy.ObjSense.kMaximize.value,
        0.0,
        program.cost,
        program.lower,
        program.upper,
        program.row_lower,
        program.row_upper,
        program.start.astype(np.int32),
        program.index.astype(np.int32),
        program.value,
        whole.astype(np.int32),
    )
    if passed == highspy.HighsStatus.kError:
        raise RuntimeError("HiGHS refused the model")

"""HiGHS through highspy: a program handed over in arrays, and what HiGHS replies.

HiGHS runs on one thread. It keeps a pool of threads otherwise, which a forked process would wait for in vain. What it
replies holds within its tolerances only: the caller checks alignments and rounds bounds.
"""

import math
import threading
from dataclasses import dataclass
from typing import Any

import highspy
import numpy as np

from alignsolve.numerics import BoolArray, FloatArray, IntArray
from alignsolve.runtime.interruptible import stopped_by
from alignsolve.solvers.common.integer_program import Reply

Status = highspy.HighsModelStatus


@dataclass(frozen=True)
class MatrixProgram:
    """Minimise cost·v subject to lower ≤ v ≤ upper and row_lower ≤ A·v ≤ row_upper.

    Attributes
    ----------
    cost, lower, upper
        (num_columns,) inf where there is no bound.
    whole
        (num_columns,) which columns must be whole; None: none of them, a linear program.
    row_lower, row_upper
        (num_rows,) ±inf where there is no bound.
    by_rows
        Whether A is laid out by rows or by columns.
    start, index, value
        A: line k has ``value[start[k]:start[k + 1]]`` at the places ``index[start[k]:start[k + 1]]``.
    """

    cost: FloatArray
    lower: FloatArray
    upper: FloatArray
    whole: BoolArray | None
    row_lower: FloatArray
    row_upper: FloatArray
    by_rows: bool
    start: IntArray
    index: IntArray
    value: FloatArray


def options(*, seed: int, seconds: float, relative_gap: float, absolute_gap: float, show: bool) -> dict[str, Any]:
    """HiGHS's options for these limits, on one thread; ``show`` prints its log."""
    limit = {"time_limit": max(seconds, 0.0)} if math.isfinite(seconds) else {}
    return limit | {
        "output_flag": show,
        "threads": 1,
        "parallel": "off",
        "random_seed": seed % 2**31,
        "mip_rel_gap": relative_gap,
        "mip_abs_gap": absolute_gap,
    }


def run(program: MatrixProgram, settings: dict[str, Any], start: FloatArray | None = None) -> Reply:
    """Solve.

    Parameters
    ----------
    settings
        HiGHS's options by name.
    start
        (num_columns,) a solution to start from.

    Raises
    ------
    ValueError
        If HiGHS does not know an option or refuses its value.
    """
    highs = highspy.Highs()
    for name, value in settings.items():
        if highs.setOptionValue(name, value) != highspy.HighsStatus.kOk:
            raise ValueError(f"HiGHS refuses the option {name} = {value!r}")
    if highs.passModel(_model(program)) == highspy.HighsStatus.kError:
        return Reply(Status.kModelError, "Model refused")
    if start is not None:
        given = highspy.HighsSolution()
        given.col_value = start.tolist()
        highs.setSolution(given)
    highs.HandleUserInterrupt = True  # without it HiGHS does not listen to ``cancelSolve``
    with stopped_by(highs.cancelSolve):
        _work(highs)
    return _reply(highs, program.whole is not None)


def _work(highs: highspy.Highs) -> None:
    """Run HiGHS, and end the threads that it keeps for this thread: a process that ends before them is aborted."""
    try:
        highs.run()
    finally:
        if threading.current_thread() is not threading.main_thread():
            highspy.Highs.resetGlobalScheduler(False)


def _model(program: MatrixProgram) -> highspy.HighsLp:
    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = len(program.cost), len(program.row_lower)
    model.col_cost_, model.col_lower_, model.col_upper_ = program.cost, program.lower, program.upper
    model.row_lower_, model.row_upper_ = program.row_lower, program.row_upper
    if program.whole is not None:
        kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
        model.integrality_ = [kinds[whole] for whole in program.whole.tolist()]
    layout = highspy.MatrixFormat.kRowwise if program.by_rows else highspy.MatrixFormat.kColwise
    model.a_matrix_.format_ = layout
    model.a_matrix_.start_, model.a_matrix_.index_ = program.start, program.index
    model.a_matrix_.value_ = program.value
    return model


def _reply(highs: highspy.Highs, whole: bool) -> Reply:
    status, info, solution = highs.getModelStatus(), highs.getInfo(), highs.getSolution()
    return Reply(
        status=status,
        told=str(highs.modelStatusToString(status)),
        feasible=info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible,
        values=np.array(solution.col_value) if solution.value_valid else None,
        duals=np.array(solution.row_dual) if solution.dual_valid else None,
        objective=info.objective_function_value,
        bound=info.mip_dual_bound if whole else -math.inf,
    )

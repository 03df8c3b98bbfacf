"""CP-SAT: takes a program in whole numbers, and yields every solution as soon as it is found.

The program is written into CP-SAT's protocol buffer from lists. That takes a tenth of the time of one object for each
variable. The search runs in a thread, so that solutions can be passed on while it works. OR-Tools 9.15 has two known
faults. One step of the presolve sums coefficients in 32 bits (issue 5293); this step is switched off. The presolve does
not check the time limit (issue 5163). So a time limit needs a process that can be killed.
"""

import math
import queue
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from ortools.sat.python import cp_model
from ortools.sat.python.cp_model_helper import CpSolverStatus

from alignsolve.numerics import EPSILON, MAX_INTEGER, BoolArray
from alignsolve.runtime.interruptible import stopped_by
from alignsolve.solution import SolveError
from alignsolve.solvers.common.integer_program import Verdict
from alignsolve.solvers.cpsat.settings import Settings
from alignsolve.solvers.cpsat.whole import WholeProgram, WholeRow

PATIENCE = 1.0
"""Seconds that CP-SAT has to end after it was asked to; its presolve does not listen, and is left behind."""
UNBOUNDED = 2**62
"""Value of a row's bound that stands for no bound."""


STATUS_MAP = {
    CpSolverStatus.OPTIMAL: Verdict.OPTIMAL,
    CpSolverStatus.FEASIBLE: Verdict.INCUMBENT,
    CpSolverStatus.INFEASIBLE: Verdict.INFEASIBLE,
    CpSolverStatus.UNKNOWN: Verdict.NOTHING,
}


@dataclass(frozen=True)
class Outcome:
    """The result of CP-SAT so far.

    Attributes
    ----------
    verdict
        INCUMBENT while the search is running.
    taken
        (num_pairs,) True for the pairs of the solution; all False if no solution was found.
    bound
        Lower bound on the objective of the program in whole numbers, which is minimised; −inf if there is none.
    """

    verdict: Verdict
    taken: BoolArray
    bound: float


class Engine:
    """A program in whole numbers in CP-SAT that can be solved, and solved again after rows were added.

    Parameters
    ----------
    program
        The program.
    num_pairs
        Number of the first columns that are pairs.
    least
        (num_pairs,) lower bounds of these columns, 0 or 1.
    """

    def __init__(self, program: WholeProgram, num_pairs: int, least: BoolArray) -> None:
        self.num_pairs = num_pairs
        self.model = cp_model.CpModel()
        proto = self.model.proto
        proto.parse_text_format("variables { domain: [0, 1] }\n" * num_pairs)
        for k in np.flatnonzero(least).tolist():
            proto.variables[k].domain.clear()
            proto.variables[k].domain.extend([1, 1])
        for most in program.most[num_pairs:]:
            proto.variables.add().domain.extend([0, most])
        proto.objective.vars.extend(list(range(len(program.cost))))
        proto.objective.coeffs.extend(program.cost)
        for row in program.rows:
            self.add(row)

    def add(self, row: WholeRow) -> None:
        """Add a row."""
        linear = self.model.proto.constraints.add().linear
        linear.vars.extend(row.columns)
        linear.coeffs.extend(row.coefficients)
        least = -UNBOUNDED if row.least is None else min(row.least, UNBOUNDED)
        most = UNBOUNDED if row.most is None else min(row.most, UNBOUNDED)
        linear.domain.extend([least, max(least, most)] if least <= most else [])

    def hint(self, taken: BoolArray) -> None:
        """Give CP-SAT a choice of pairs to start with."""
        hint = self.model.proto.solution_hint
        hint.vars.clear()
        hint.values.clear()
        hint.vars.extend(list(range(self.num_pairs)))
        hint.values.extend(taken.astype(np.int64).tolist())

    def solve(self, settings: Settings, *, seconds: float) -> Iterator[Outcome]:
        """Yield every solution as soon as it is found, then the final outcome."""
        solver = cp_model.CpSolver()
        solver.parameters.num_workers = settings.workers
        solver.parameters.random_seed = settings.seed % 2**31
        solver.parameters.relative_gap_limit = settings.gap
        solver.parameters.cp_model_presolve = settings.presolve
        solver.parameters.absolute_gap_limit = 0.0
        solver.parameters.presolve_inclusion_work_limit = 0
        solver.parameters.catch_sigint_signal = False  # CP-SAT's own handler ends the process; Python's is enough
        if math.isfinite(seconds):
            solver.parameters.max_time_in_seconds = seconds
        # CP-SAT runs in a thread and puts its solutions into the queue; None ends it.
        found: _Queue = queue.SimpleQueue()
        thread = threading.Thread(target=self._run, args=(solver, found), daemon=True)
        thread.start()
        try:
            with stopped_by(solver.stop_search):
                while (outcome := found.get()) is not None:
                    if isinstance(outcome, SolveError):
                        raise outcome
                    yield outcome
        finally:
            solver.stop_search()
            thread.join(PATIENCE)

    def _run(self, solver: cp_model.CpSolver, found: "_Queue") -> None:
        """Solve, and put the outcome or the error into the queue; a final None marks the end."""
        try:
            status = solver.solve(self.model, _Listener(self.num_pairs, found))
            if status in STATUS_MAP:
                found.put(_outcome(STATUS_MAP[status], solver, self.num_pairs))
            else:
                found.put(SolveError(f"cpsat: CP-SAT ended with status {status.name}: {self.model.validate()}"))
        finally:
            found.put(None)


_Queue: TypeAlias = "queue.SimpleQueue[Outcome | SolveError | None]"


class _Listener(cp_model.CpSolverSolutionCallback):  # type: ignore[misc]  # OR-Tools has no types
    """Puts every solution into the queue."""

    def __init__(self, num_pairs: int, found: _Queue) -> None:
        super().__init__()
        self.num_pairs = num_pairs
        self.found = found

    def on_solution_callback(self) -> None:
        """Put the newest solution into the queue."""
        taken = _taken(self.response_proto.solution, self.num_pairs)
        self.found.put(Outcome(Verdict.INCUMBENT, taken, _lowered(self.best_objective_bound)))


def _outcome(verdict: Verdict, solver: cp_model.CpSolver, num_pairs: int) -> Outcome:
    """Return the final outcome; without a solution, CP-SAT's bound of 0 has no meaning and is replaced by −inf."""
    response = solver.response_proto
    known = verdict in {Verdict.OPTIMAL, Verdict.INCUMBENT}
    return Outcome(
        verdict,
        _taken(response.solution, num_pairs) if known else np.zeros(num_pairs, dtype=np.bool_),
        _lowered(response.best_objective_bound) if known else -math.inf,
    )


def _taken(solution: Iterable[int], num_pairs: int) -> BoolArray:
    return np.fromiter(solution, dtype=np.int64)[:num_pairs] > 0


def _lowered(bound: float) -> float:
    """Return a safe lower bound: beyond 2^53 a whole number may have been rounded up to a float."""
    return bound if abs(bound) <= MAX_INTEGER else bound - 2.0 * EPSILON * abs(bound)

"""``alignsolve bench``: the solvers race on one's own problem, each with the same time limit, in this process."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from alignsolve import front
from alignsolve.commands.turns import LeftRaceError, take_turns
from alignsolve.numerics import Number
from alignsolve.problem import AlignmentProblem
from alignsolve.solution import SolveError, UnsupportedError


@dataclass(frozen=True)
class Run:
    """One measured run of a solver.

    Attributes
    ----------
    solver, repeat
        Which solver, and the how manieth run of it, from 0.
    outcome
        The status of its solution, or "refused" with ``reason``.
    total_seconds
        Seconds of ``solve()``, the check included; NaN if it was refused.
    proof, objective, bound, gap
        As in :class:`~alignsolve.Solution`; the objective is None where no alignment was found.
    reason
        Why there is no alignment; empty if there is one.
    """

    solver: str
    repeat: int
    outcome: str
    total_seconds: float = math.nan
    proof: str = ""
    objective: Number | None = None
    bound: Number = math.inf
    gap: float = math.inf
    reason: str = ""


@dataclass
class _InProcess:
    """A solver in this process."""

    name: str
    problem: AlignmentProblem
    time_limit: float | None
    seed: int
    runs: int = 0

    def prepare(self) -> None:
        """Refuse what the solver cannot take, and compile what it needs."""
        call = front.resolve(self.name)[1]
        try:
            front.refuse_unsupported(front.simplify(self.problem, call).problem, self.name, call)
        except UnsupportedError as error:
            raise LeftRaceError(Run(self.name, 0, "refused", reason=str(error).partition(";")[0])) from error
        front.prepare(self.problem, call)

    def attempt(self) -> Run:
        """Solve once."""
        repeat, self.runs = self.runs, self.runs + 1
        started = time.perf_counter()
        try:
            found = front.solve(self.problem, self.name, time_limit=self.time_limit, seed=self.seed, throw=False)
        except SolveError as error:
            raise LeftRaceError(Run(self.name, repeat, "refused", reason=str(error))) from error
        seconds = time.perf_counter() - started
        why = "" if found.assigned is not None else found.explain()
        return Run(self.name, repeat, str(found.status), seconds, str(found.proof), found.objective, found.bound,
                   found.gap, why)  # fmt: skip

    def close(self) -> None:
        """Nothing is held."""


def bench(
    problem: AlignmentProblem,
    solvers: Sequence[str] = (),
    *,
    repeats: int = 3,
    time_limit: float | None = 10.0,
    seed: int = 0,
) -> Iterator[Run]:
    """Race solvers on a problem; yield each run as it ends.

    Parameters
    ----------
    problem
        The problem.
    solvers
        Names in ``SOLVERS``; none: all of them. Those that cannot take the problem are refused.
    repeats
        Runs of each solver.
    time_limit
        Seconds for each run; None: no limit.
    seed
        Seed of all random choices.

    Raises
    ------
    ValueError
        If a solver is unknown.
    """
    names = list(solvers) or list(front.SOLVERS)
    for name in names:
        front.resolve(name)

    def enter(name: str) -> _InProcess:
        return _InProcess(name, problem, time_limit, seed)

    turns = take_turns(names, {name: range(repeats) for name in names}, enter, gone=("refused",))
    yield from (run for _, _, run in turns)

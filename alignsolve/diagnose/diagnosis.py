"""diagnose(): why a problem has no alignment and its cheapest repair; or which bounds bind and what they are worth."""

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from alignsolve.certificate.judge import judge
from alignsolve.certificate.witness import from_direction, row_reason
from alignsolve.data.names import named
from alignsolve.diagnose.change import Repair
from alignsolve.diagnose.cheapest import Attempt, Means, Priced, bounded_by, cheapest_repair
from alignsolve.diagnose.notes import notes
from alignsolve.diagnose.weights import Weights
from alignsolve.diagnose.words import repair_lines, worth_lines
from alignsolve.diagnose.worth import Worth, solved_again, worth_of
from alignsolve.front import solve
from alignsolve.numerics import FEASIBILITY, BoolArray
from alignsolve.problem import AlignmentProblem
from alignsolve.runtime.interruptible import interruptible
from alignsolve.show.html import lines_html
from alignsolve.solution import Solution, Status, UnsupportedError
from alignsolve.solver import Answer, Solver

SHARE = 0.5
"""Share of the time limit for solving the problem; the rest is for the repair, or for solving again."""


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """The result of a diagnosis; ``str()`` gives it as text.

    Attributes
    ----------
    solution
        The solution of the problem: OPTIMAL, FEASIBLE, INFEASIBLE with its witness, or UNKNOWN.
    reasons
        Why the problem has no alignment, in words; empty if it has one or if this is unknown.
    notes
        Experts that no client can take, and clients that can take no expert, in words.
    repair
        The cheapest changes that give the problem an alignment; None if it has one, or if no repair was found.
    unrepaired
        Why no repair was found; empty if one was found or none is needed.
    worth
        The most that one more unit of each bound can gain; None if there is no alignment.
    """

    solution: Solution
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    repair: Repair | None = None
    unrepaired: str = ""
    worth: Worth | None = None

    @property
    def status(self) -> Status:
        """The status of the problem's solution."""
        return self.solution.status

    @property
    def problem(self) -> AlignmentProblem:
        """The problem that was diagnosed."""
        return self.solution.problem

    @property
    def repaired(self) -> AlignmentProblem | None:
        """The diagnosed problem if it has an alignment, else the repaired one; None if no repair was found."""
        if self.solution.assigned is not None:
            return self.problem
        return None if self.repair is None else self.repair.problem

    def lines(self) -> Iterator[str]:
        """Yield the text of the diagnosis line by line."""
        if self.reasons:
            yield from (f"infeasible: {reason}" for reason in self.reasons)
        else:
            yield self.solution.explain()
        yield from (f"note: {note}" for note in self.notes)
        if self.worth is not None:
            yield from worth_lines(self.problem, self.worth)
        if self.repair is not None:
            yield from repair_lines(self.repair)
        if self.unrepaired:
            yield self.unrepaired

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        return lines_html(f"{self.status}: {self.problem!r}", self.lines())


def diagnose(
    problem: AlignmentProblem,
    solver: str | Solver = "auto",
    *,
    solution: Solution | None = None,
    weights: Weights | Mapping[str, Any] | None = None,
    exact: bool = False,
    time_limit: float | None = None,
    seed: int = 0,
    threads: int | None = None,
) -> Diagnosis:
    """Find out why a problem has no alignment and its cheapest repair; or which bounds bind and what they are worth.

    Parameters
    ----------
    problem
        The problem to diagnose; it is not changed.
    solver
        As in :func:`~alignsolve.solve`. It also computes the repair if only experts' bounds have to change.
    solution
        A solution of :func:`~alignsolve.solve`, or of an :class:`~alignsolve.InfeasibleError`. If given, the problem is
        not solved again.
    weights
        The cost of each kind of change; a mapping names those that differ from the default. Experts' bounds may always
        change, clients' bounds only if the client contradicts itself, budgets only if they have a weight.
    exact
        Whether to solve again for each binding bound of an expert. The gain of one more unit is then exact.
    time_limit
        Seconds for the whole diagnosis; None: no limit.
    seed, threads
        As in :func:`~alignsolve.solve`.

    Returns
    -------
    Diagnosis
        ``diagnosis.repaired`` is a problem that has an alignment, if one was found; ``str(diagnosis)`` is the text.

    Raises
    ------
    UnsupportedError
        If the solver cannot take the problem, or, for a repair, the problem with soft bounds. If the problem is sparse.
    ValueError
        If weights or solution do not fit the problem, or another argument is wrong.

    Examples
    --------
    >>> from alignsolve import AlignmentProblem, diagnose
    >>> problem = AlignmentProblem([[3.0, 1.0], [2.0, 1.5]], expert_demand=[1, 2])
    >>> diagnosis = diagnose(problem, weights={"expert_demand": [2, 1]})
    >>> print(diagnosis)
    infeasible: experts 0, 1 must have a load of at least 3 together; clients 0, 1 could serve, and give at most 2\
 together: 1 missing
    cheapest repair, a total of 1 (no repair costs less, proven by prices):
      lower the demand of expert 1 from 2 to 1
    >>> diagnosis.repair.total, diagnosis.repaired.expert_demand.tolist()
    (1.0, [1.0, 1.0])
    >>> print(diagnose(AlignmentProblem([[6, 2], [4, 3]], expert_capacity=1), exact=True))
    optimal: objective 9, bound 9, gap 0
    experts at capacity: experts 0, 1; clients at capacity: clients 0, 1
    one more of the capacity of expert 0 gains 1 (prices say at most 1)
    one more of the capacity of client 1 gains at most 3
    one more of the capacity of client 0 gains at most 2
    """
    if problem.stored is not None:
        raise UnsupportedError("a sparse problem cannot be diagnosed; give problem.to_dense(), if it fits into memory")
    means = Means(solver, _deadline(time_limit), seed, threads)
    priced = Weights.read(weights).spread(problem)
    if solution is None:
        share = None if time_limit is None else SHARE * time_limit
        solution = solve(problem, solver, time_limit=share, seed=seed, threads=threads, throw=False)
    elif solution.problem is not problem:
        raise ValueError("the solution is one of another problem; give the problem that it was found for")
    known = solution
    return interruptible(lambda: _diagnosed(known, priced, means, exact=exact))


def _diagnosed(solution: Solution, priced: Priced, means: Means, *, exact: bool) -> Diagnosis:
    """Look for the cheapest repair if there is no alignment, or else for what the bounds are worth."""
    if solution.assigned is None:
        solution, attempt = _repaired(solution, priced, means)
        if solution.assigned is None:
            reasons = tuple(_reasons(solution)) if solution.status is Status.INFEASIBLE else ()
            return Diagnosis(solution, reasons, notes(solution.problem), attempt.repair, attempt.why)
    return Diagnosis(solution, notes=notes(solution.problem), worth=_worth(solution, means, exact=exact))


def _repaired(solution: Solution, priced: Priced, means: Means) -> tuple[Solution, Attempt]:
    """Look for the cheapest repair of a problem without an alignment; it may settle the status of the problem, too."""
    problem = solution.problem
    attempt = cheapest_repair(problem, _contradictory(solution), priced, means)
    solution = _settled(solution, attempt)
    if attempt.repair is not None and solution.witness is not None:
        attempt = replace(attempt, repair=bounded_by(problem, attempt.repair, solution.witness, priced))
    return solution, attempt


def _worth(solution: Solution, means: Means, *, exact: bool) -> Worth:
    """Return what the bounds of a solved problem are worth; exactly, if asked for, for experts' bounds."""
    worth = worth_of(solution, means.deadline)
    if not exact:
        return worth
    return solved_again(solution, worth, means.solver, deadline=means.deadline, seed=means.seed, threads=means.threads)


def _deadline(time_limit: float | None) -> float:
    if time_limit is not None and not time_limit >= 0:
        raise ValueError(f"time_limit is {time_limit}; it must be a number of seconds, 0 or more, or None")
    return math.inf if time_limit is None else time.monotonic() + time_limit


def _contradictory(solution: Solution) -> BoolArray:
    """Return the clients that contradict themselves, (num_clients,) bools."""
    witness = solution.witness
    if witness is not None and witness.side == "row":
        return witness.clients
    return np.zeros(solution.problem.num_clients, dtype=np.bool_)


def _settled(solution: Solution, attempt: Attempt) -> Solution:
    """Settle an unknown status by the repair: a repair without changes is an alignment, a positive cost proves none."""
    if solution.status is not Status.UNKNOWN:
        return solution
    problem, name = solution.problem, str(solution.stats.get("solver"))
    if attempt.repair is not None and not attempt.repair.changes:
        return judge(problem, Answer(attempt.repair.alignment, solution.joint_prices), name=name)
    everywhere = np.ones(problem.num_experts)
    for direction in (attempt.prices, everywhere, -everywhere):
        witness = None if direction is None else from_direction(problem, direction)
        if witness is not None:
            return judge(problem, Answer(witness=witness), name=name)
    if attempt.bound > FEASIBILITY * _size(problem, attempt):
        return judge(problem, Answer(infeasible=True), name=name)
    return solution


def _size(problem: AlignmentProblem, attempt: Attempt) -> float:
    """Return the scale of a repair's cost: the sum of all finite bounds, times the largest weight that was paid."""
    if attempt.repair is None:
        return math.inf
    weight = max((change.weight for change in attempt.repair.changes), default=1.0)
    bounds = [problem.expert_capacity, problem.expert_demand]
    bounds += [] if problem.sets is None else [problem.set_capacity, problem.set_demand]
    return weight * sum(float(bound[np.isfinite(bound)].sum()) for bound in bounds)


def _reasons(solution: Solution) -> Iterator[str]:
    """Yield the witness in words; each client that contradicts itself gets a sentence."""
    witness, problem = solution.witness, solution.problem
    if witness is None:
        yield "no alignment keeps all bounds, says the back end that searched them all; no set of experts shows why"
    elif witness.side != "row":
        yield witness.explain(problem)
    else:
        members = np.flatnonzero(witness.clients)
        yield from (row_reason(problem, int(i)) for i in members[:SHOWN])
        if len(members) > SHOWN:
            yield f"in all {named(witness.clients, 'client', problem.client_names)} contradict themselves"


SHOWN = 8
"""Most contradictory clients in the text."""

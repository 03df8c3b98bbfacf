"""diagnose(): why there is no alignment and what would give one; or what binds, and what more of it is worth."""

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from alignsolve.certificate.judge import judge
from alignsolve.certificate.witness import from_direction, named, row_reason
from alignsolve.diagnose.change import Repair
from alignsolve.diagnose.cheapest import Attempt, Means, bounded_by, cheapest_repair
from alignsolve.diagnose.notes import notes
from alignsolve.diagnose.weights import Weights
from alignsolve.diagnose.words import repair_lines, worth_lines
from alignsolve.diagnose.worth import Worth, solved_again, worth_of
from alignsolve.front import solve
from alignsolve.numerics import FEASIBILITY, BoolArray
from alignsolve.problem import AlignmentProblem
from alignsolve.solution import Solution, Status
from alignsolve.solver import Answer, Solver

SHARE = 0.5
"""Share of a time limit that looking for an alignment may take; the rest is for the repair, or for solving again."""


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What is known of a problem, and what would change it; ``str()`` tells it in words.

    Attributes
    ----------
    solution
        What solving the problem gave: OPTIMAL or FEASIBLE, or INFEASIBLE with the witness, or UNKNOWN.
    reasons
        Why there is no alignment, in words; empty where there is one, or where nothing is known.
    notes
        What is odd in any case: experts that can go nowhere, clients that can take nothing.
    repair
        The cheapest changes under which there is an alignment; None where there is one, or where no repair was found.
    unrepaired
        Why no repair was found; empty where there is one, or none is needed.
    worth
        What one more unit of each bound can gain; None where there is no alignment.
    """

    solution: Solution
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    repair: Repair | None = None
    unrepaired: str = ""
    worth: Worth | None = None

    @property
    def status(self) -> Status:
        """What is known of the problem."""
        return self.solution.status

    @property
    def problem(self) -> AlignmentProblem:
        """What was diagnosed."""
        return self.solution.problem

    @property
    def repaired(self) -> AlignmentProblem | None:
        """A problem that has an alignment: the diagnosed one, where it has; the repaired one; None if neither."""
        if self.solution.assigned is not None:
            return self.problem
        return None if self.repair is None else self.repair.problem

    def lines(self) -> Iterator[str]:
        """Tell the diagnosis in words, line by line."""
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
    """Tell why a problem has no alignment, and the cheapest repair; or what binds, and what more of it is worth.

    A problem in which a single row contradicts itself is not solved, only repaired. One that has no alignment is
    solved and repaired (the repair is a problem of its own), one that has an alignment is solved once.

    Parameters
    ----------
    problem
        What to diagnose; it is not changed.
    solver
        As in :func:`~alignsolve.solve`; also for the repair, where only experts' bounds give way.
    solution
        What :func:`~alignsolve.solve` has found already, or an :class:`~alignsolve.InfeasibleError` carries: then the
        problem is not solved again.
    weights
        What each kind of change costs; a mapping names those that are not 1. Bounds of experts may always give way,
        those of clients only where the client contradicts itself, budgets only where they are given a weight.
    exact
        Whether to solve again for each expert's bound that binds, so that what one more unit gains is known and not
        only bounded.
    time_limit
        Seconds for everything; None: no limit.
    seed, threads
        As in :func:`~alignsolve.solve`.

    Returns
    -------
    Diagnosis
        Readable; ``diagnosis.repaired`` is a problem that has an alignment.

    Raises
    ------
    UnsupportedError
        If the solver cannot take the problem, or the same problem with soft bounds where it must be repaired.
    ValueError
        For weights or a solution that do not fit the problem, and arguments that make no sense.

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
    means = Means(solver, _deadline(time_limit), seed, threads)
    priced = Weights.read(weights).spread(problem)
    if solution is None:
        share = None if time_limit is None else SHARE * time_limit
        solution = solve(problem, solver, time_limit=share, seed=seed, threads=threads, throw=False)
    elif solution.problem is not problem:
        raise ValueError("the solution is one of another problem; give the problem that it was found for")
    attempt = None
    if solution.assigned is None:
        attempt = cheapest_repair(problem, _contradictory(solution), priced, means)
        solution = _settled(solution, attempt)
        if attempt.repair is not None and solution.witness is not None:
            attempt = replace(attempt, repair=bounded_by(problem, attempt.repair, solution.witness, priced))
    if solution.assigned is None:
        assert attempt is not None
        reasons = tuple(_reasons(solution)) if solution.status is Status.INFEASIBLE else ()
        return Diagnosis(solution, reasons, notes(problem), attempt.repair, attempt.why)
    worth = worth_of(solution, means.deadline)
    if exact:
        worth = solved_again(solution, worth, solver, deadline=means.deadline, seed=seed, threads=threads)
    return Diagnosis(solution, notes=notes(problem), worth=worth)


def _deadline(time_limit: float | None) -> float:
    if time_limit is not None and not time_limit >= 0:
        raise ValueError(f"time_limit is {time_limit}; it must be a number of seconds, 0 or more, or None")
    return math.inf if time_limit is None else time.monotonic() + time_limit


def _contradictory(solution: Solution) -> BoolArray:
    """The clients that contradict themselves."""
    witness = solution.witness
    if witness is not None and witness.side == "row":
        return witness.clients
    return np.zeros(solution.problem.num_clients, dtype=np.bool_)


def _settled(solution: Solution, attempt: Attempt) -> Solution:
    """What the repair taught of a problem of which nothing was known: that it needs none, or that it needs one."""
    if solution.status is not Status.UNKNOWN:
        return solution
    problem, name = solution.problem, str(solution.stats.get("solver"))
    if attempt.repair is not None and not attempt.repair.changes:
        return judge(problem, Answer(attempt.repair.alignment, solution.prices), name=name)
    everywhere = np.ones(problem.num_experts)
    for direction in (attempt.prices, everywhere, -everywhere):
        witness = None if direction is None else from_direction(problem, direction)
        if witness is not None:
            return judge(problem, Answer(witness=witness), name=name)
    if attempt.bound > FEASIBILITY * _size(problem, attempt):
        return judge(problem, Answer(infeasible=True), name=name)
    return solution


def _size(problem: AlignmentProblem, attempt: Attempt) -> float:
    """The sum of all bounds at their weights: what a total is judged against."""
    if attempt.repair is None:
        return math.inf
    weight = max((change.weight for change in attempt.repair.changes), default=1.0)
    bounds = (problem.expert_capacity, problem.expert_demand)
    return weight * sum(float(bound[np.isfinite(bound)].sum()) for bound in bounds)


def _reasons(solution: Solution) -> Iterator[str]:
    """The witness in words; every client that contradicts itself has words of its own."""
    witness, problem = solution.witness, solution.problem
    if witness is None:
        yield "no alignment misses no bound, says the back end that searched them all; no set of experts shows why"
    elif witness.side != "row":
        yield witness.explain(problem)
    else:
        members = np.flatnonzero(witness.clients)
        yield from (row_reason(problem, int(i)) for i in members[:SHOWN])
        if len(members) > SHOWN:
            yield f"in all {named(witness.clients, 'client')} contradict themselves"


SHOWN = 8
"""Clients whose contradiction is told."""

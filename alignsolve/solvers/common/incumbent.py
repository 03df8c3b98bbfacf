"""What an exact solver has in hand before it starts: the warm start if it holds, else what greed finds.

A back end may find nothing before its deadline, or not even have its model written down by then. The answer that is
yielded here stands until a better one comes.
"""

import math
import time
from collections.abc import Iterator

from alignsolve.certificate.violations import violations
from alignsolve.problem import AlignmentProblem, ProblemClass
from alignsolve.solution import SolveError
from alignsolve.solver import Answer, WarmStart
from alignsolve.solvers.greedy import Greedy

GREEDY = Greedy()
FEW = Greedy(passes=10)
"""With few passes in search of prices: the cardinality class gets exact ones from its back end."""
MOST_PAIRS = 1 << 22
"""Pairs that an integer program can be written down for; each takes its back end 2 to 5 KB."""


def in_hand(problem: AlignmentProblem, warm_start: WarmStart, deadline: float) -> Iterator[Answer]:
    """Yield the warm start where it is feasible; else, under a deadline, the greedy answers as they come.

    The last one is what stands; it may be a witness, with which the work is done.
    """
    if warm_start.alignment is not None and not violations(problem, warm_start.alignment):
        yield Answer(warm_start.alignment, warm_start.prices, stats={"standing": "warm start"})
    elif deadline < math.inf:
        greedy = FEW if problem.class_ is ProblemClass.CARDINALITY else GREEDY
        for answer in greedy.answers(problem, deadline, warm_start):
            if isinstance(answer, Answer):
                yield Answer(answer.x, answer.prices, witness=answer.witness, stats={"standing": "greedy"})


def can_be_written_down(problem: AlignmentProblem, solver: str, seconds_per_pair: float, deadline: float) -> bool:
    """Whether there is time and room for an integer program of the whole problem.

    Where writing it down takes most of the time left, nobody would read it.

    Raises
    ------
    SolveError
        If there is no room, and no deadline either that would explain an answer without proof.
    """
    pairs = problem.num_clients * problem.num_experts
    if pairs > MOST_PAIRS and deadline == math.inf:
        raise SolveError(
            f"{solver}: {pairs} pairs are more than its back end can hold, {MOST_PAIRS}; use solver='auto'"
        )
    return pairs <= MOST_PAIRS and pairs * seconds_per_pair < 0.5 * (deadline - time.monotonic())

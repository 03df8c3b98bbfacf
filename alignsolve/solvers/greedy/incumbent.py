"""A first answer for an exact solver: the warm start if it is feasible, else the greedy alignment.

A back end may find nothing before its deadline. The incumbent is yielded first and stands until a better answer comes.
"""

import math
import time
from collections.abc import Iterator

from alignsolve.certificate.violations import violations
from alignsolve.problem import AlignmentProblem, ProblemClass
from alignsolve.solver import Answer, WarmStart
from alignsolve.solvers.greedy.solver import Greedy

GREEDY = Greedy()
"""The greedy solver of the general class."""
FEW_PASSES = Greedy(passes=10)
"""The greedy solver of the cardinality class: few passes in search of prices, as the back end gives exact ones."""
PRICED = 0.1
"""Share of the time that is left in which greed may look for prices: they are a bound only while nothing is better."""


def incumbents(problem: AlignmentProblem, warm_start: WarmStart, deadline: float) -> Iterator[Answer]:
    """Yield the warm start where it is feasible; else, under a deadline, the greedy answers as they come.

    The last one is the incumbent. It may be a witness of infeasibility; then nothing is left to do.
    """
    if warm_start.alignment is not None and not violations(problem, warm_start.alignment):
        yield Answer(warm_start.alignment, warm_start.prices, stats={"standing": "warm start"})
    elif deadline < math.inf and problem.features <= GREEDY.capabilities.takes:
        greedy = FEW_PASSES if problem.class_ is ProblemClass.CARDINALITY else GREEDY
        now = time.monotonic()
        priced_by = now + PRICED * (deadline - now)
        for answer in greedy.answers(problem, deadline, warm_start, priced_by=priced_by):
            if isinstance(answer, Answer):
                yield Answer(answer.x, answer.prices, witness=answer.witness, stats={"standing": "greedy"})

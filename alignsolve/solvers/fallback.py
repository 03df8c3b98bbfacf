"""What an exact solver has in hand before it starts: the warm start if it holds, else what greed finds.

A back end may find nothing before its deadline, or not even have its model written down by then. The answer that is
yielded here stands until a better one comes.
"""

import math
from collections.abc import Iterator

from alignsolve.problem import AlignmentProblem, ProblemClass
from alignsolve.solver import Answer, WarmStart
from alignsolve.solvers.greedy import Greedy
from alignsolve.violations import violations

GREEDY = Greedy()
FEW = Greedy(passes=10)
"""With few passes in search of prices: the cardinality class gets exact ones from its back end."""


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

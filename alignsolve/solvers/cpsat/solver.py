"""``cpsat``: both classes by OR-Tools CP-SAT, which searches by constraint propagation, clause learning and relaxation.

1. CP-SAT works in whole numbers only. So the integer program of ``ilp`` is relaxed to whole numbers (:mod:`.whole`).
2. The program is solved. If rounding made an infeasible answer possible, cover inequalities forbid this answer, and the
   program is solved again, until the answer is feasible.
3. In the cardinality class the answer is improved on the residual graph to an exact optimum, and prices prove it. In
   the general class the proof rests on CP-SAT's result alone.

Each program is a relaxation. So its bound is a bound for the problem, and if it is infeasible, the problem is too.

By default CP-SAT runs one search strategy. The answer is then repeatable, and on two cores it is no worse than with
several strategies at once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from alignsolve.problem import AlignmentProblem
from alignsolve.solver import (
    EVERYTHING,
    OPTIONAL,
    SETS,
    Answer,
    Capabilities,
    Progress,
    ProgressHook,
    Wanted,
    WarmStart,
)
from alignsolve.solvers.common.last_answer import last_answer
from alignsolve.solvers.common.second_opinion import with_second_opinion
from alignsolve.solvers.cpsat.search import Search
from alignsolve.solvers.cpsat.settings import Settings
from alignsolve.solvers.greedy.incumbent import GREEDY
from alignsolve.solvers.opinions import opinions, own_answers, trusted


@dataclass(frozen=True)
class CpSat:
    """OR-Tools CP-SAT, for both classes.

    One kind of problem is proven only to about 1e-8. It belongs to the general class, has soft bounds, and its loads
    are not multiples of a power of two. All other problems are proven exactly.

    Parameters
    ----------
    gap
        Relative gap at which CP-SAT may stop.
    workers
        Number of search strategies that run in parallel, each on a thread. With more than one, the answer is not
        repeatable.
    proof
        "own": the word of back ends does not count, so that our own search for a proof takes the time it needs.

    Examples
    --------
    >>> from alignsolve import AlignmentProblem, solve
    >>> problem = AlignmentProblem([[3.0, 2.0], [2.0, 1.5]], expert_capacity=3, client_load=[3.0, 2.0])
    >>> solution = solve(problem, solver=CpSat())
    >>> solution.objective, str(solution.status)
    (4.5, 'OPTIMAL')
    """

    gap: float = 0.0
    workers: int = 1
    proof: Wanted = "any"

    capabilities: ClassVar[Capabilities] = Capabilities(
        takes=EVERYTHING | SETS | OPTIONAL, presolve=True
    )  # except as named above

    def __post_init__(self) -> None:
        """Refuse a number of workers below 1."""
        if not isinstance(self.workers, int) or self.workers < 1:
            raise ValueError(f"workers is {self.workers!r}; it must be a whole number, 1 or more")

    def __call__(
        self,
        problem: AlignmentProblem,
        *,
        deadline: float,
        warm_start: WarmStart,
        seed: int,
        threads: int | None,
        progress: ProgressHook | None,
    ) -> Answer:
        """Solve a problem; with a deadline, in a child process that can be stopped.

        The greedy answer is the first incumbent.
        """
        settings = Settings(self.gap, self.workers, seed)

        def work() -> Iterator[Answer | Progress]:
            return with_second_opinion(
                problem,
                Search(problem, settings, deadline).answers(warm_start),
                first="cpsat",
                others=lambda: [] if self.proof == "own" else opinions(problem, besides="cpsat", seed=seed),
                witnesses=lambda claim: own_answers(problem, claim, deadline, self.proof),
                trusted=trusted(problem),
                deadline=deadline,
            )

        return last_answer(work, deadline, progress) or Answer(stats={"stopped": "time limit"})

    def prepare(self, problem: AlignmentProblem) -> None:
        """Compile the code of the greedy answer."""
        GREEDY.prepare(problem)

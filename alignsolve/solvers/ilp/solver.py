"""``ilp``: both classes as an integer program, by HiGHS or CBC.

1. The linear relaxation is solved. Its duals are the prices. If its solution is integral, it is the answer. In the
   cardinality class it always is, up to the back end's tolerance.
2. Otherwise the integer program is solved. If its answer breaks a bound by more than our tolerance, cuts
   (:mod:`.covers`) forbid this answer, and the program is solved again, until the answer is feasible.
3. A back end computes in floats, so its proof cannot be checked. In the cardinality class the answer is improved on the
   residual graph to an exact optimum, and prices prove it.

For an infeasible problem, the relaxation of the elastic problem is solved. Its prices show which bounds conflict. Their
level sets contain a witness: always in the cardinality class, often in the general class. If no witness is found,
infeasibility rests on the back end's result alone.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
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
from alignsolve.solvers.greedy.incumbent import GREEDY
from alignsolve.solvers.ilp.backends import Backend, Settings
from alignsolve.solvers.ilp.search import Search
from alignsolve.solvers.opinions import opinions, own_answers, trusted


@dataclass(frozen=True)
class Ilp:
    """Integer programming by HiGHS (through highspy) or CBC (through PuLP), for both classes.

    Parameters
    ----------
    backend
        "highs" or "cbc".
    gap
        Relative gap at which the back end may stop.
    msg
        Whether to print the back end's log.
    proof
        "own": the word of back ends does not count, so that our own search for a proof takes the time it needs.

    Examples
    --------
    >>> from alignsolve import AlignmentProblem, solve
    >>> problem = AlignmentProblem([[3.0, 2.0], [2.0, 1.5]], expert_capacity=3, client_load=[3.0, 2.0])
    >>> solution = solve(problem, solver=Ilp())
    >>> solution.objective, str(solution.status)
    (4.5, 'OPTIMAL')
    """

    backend: Backend = "highs"
    gap: float = 0.0
    msg: bool = False
    proof: Wanted = "any"

    capabilities: ClassVar[Capabilities] = Capabilities(takes=EVERYTHING | SETS | OPTIONAL, exact=True, presolve=True)

    def __post_init__(self) -> None:
        """Refuse a back end that does not exist."""
        if self.backend not in ("highs", "cbc"):
            raise ValueError(f"backend is {self.backend!r}; it must be 'highs' or 'cbc'")

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

        CBC is always asked there: it is a program, which is stopped together with the process that waits for it. The
        greedy answer is the first incumbent. Both back ends run on one thread.
        """
        with tempfile.TemporaryDirectory(prefix="alignsolve-") as folder:
            settings = Settings(self.backend, self.gap, seed, self.msg, Path(folder))

            def work() -> Iterator[Answer | Progress]:
                return with_second_opinion(
                    problem,
                    Search(problem, settings, deadline).answers(warm_start),
                    first=self.backend,
                    others=lambda: [] if self.proof == "own" else opinions(problem, besides=self.backend, seed=seed),
                    witnesses=lambda claim: own_answers(problem, claim, deadline, self.proof),
                    trusted=trusted(problem),
                    deadline=deadline,
                )

            answer = last_answer(work, deadline, deaf=self.backend == "cbc")
        return answer or Answer(stats={"backend": self.backend, "stopped": "time limit"})

    def prepare(self, problem: AlignmentProblem) -> None:
        """Compile the code of the greedy answer."""
        GREEDY.prepare(problem)


def cbc() -> Ilp:
    """Return the solver ``ilp-cbc``: integer programming by CBC."""
    return Ilp(backend="cbc")

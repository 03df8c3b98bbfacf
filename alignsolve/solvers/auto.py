"""``auto``: picks a solver by class and size.

- Cardinality class: ``price`` from ``PRICE_PAIRS`` pairs on, if there are ``CLIENTS_PER_EXPERT`` clients for each expert;
  ``flow`` otherwise. Both are exact. Small problems take neither long, and ``flow`` has nothing to compile on its first
  use; where there are about as many experts as clients, long chains of moves (fitness of rank one) cost ``price`` more.
- General class: ``greedy`` first, which is fast and has a bound. Where its prices do not close the gap and the problem
  has at most ``ILP_PAIRS`` pairs, ``ilp`` goes on from the greedy alignment; larger problems keep the greedy answer,
  whose gap is told. Without a time limit ``ilp`` takes the time that it needs.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from alignsolve.numerics import OPTIMALITY, relative_gap
from alignsolve.problem import AlignmentProblem, ProblemClass
from alignsolve.solver import Answer, Capabilities, ProgressHook, WarmStart

if TYPE_CHECKING:
    from alignsolve.solvers.flow import Flow
    from alignsolve.solvers.price import Price

PRICE_PAIRS = 1 << 15
"""Pairs (clients × experts) from which our own solver is worth its compilation."""
CLIENTS_PER_EXPERT = 8
"""How many times more clients than experts make it the faster one on every family."""
ILP_PAIRS = 1 << 18
"""Pairs (clients × experts) up to which an integer program is worth building."""


@dataclass(frozen=True)
class Auto:
    """The solver for whom does not want to choose.

    Parameters
    ----------
    gap
        Relative gap at which the general class is good enough.

    Examples
    --------
    >>> from alignsolve import AlignmentProblem, solve
    >>> solve(AlignmentProblem([[3.0, 2.0], [2.0, 1.5]], expert_capacity=3, client_load=[3.0, 2.0])).objective
    4.5
    """

    gap: float = 0.0

    capabilities: ClassVar[Capabilities] = Capabilities(exact=True)

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
        """Pass the problem on to the solver chosen for it."""
        if problem.class_ is ProblemClass.CARDINALITY:
            chosen = _exact_flow_solver(problem)
            answer = chosen(
                problem, deadline=deadline, warm_start=warm_start, seed=seed, threads=threads, progress=progress
            )
            return _told(answer, type(chosen).__name__)
        from alignsolve.solvers.greedy import Greedy  # noqa: PLC0415

        first = Greedy()(
            problem, deadline=deadline, warm_start=warm_start, seed=seed, threads=threads, progress=progress
        )
        if problem.num_clients * problem.num_experts > ILP_PAIRS or self._is_good_enough(problem, first):
            return _told(first, "Greedy")
        from alignsolve.solvers.ilp.solver import Ilp  # noqa: PLC0415

        known = WarmStart(warm_start.alignment if first.x is None else first.x, first.prices)
        second = Ilp(gap=self.gap)(
            problem, deadline=deadline, warm_start=known, seed=seed, threads=threads, progress=progress
        )
        return _told(_with_what_was_known(second, first), "Ilp")

    def prepare(self, problem: AlignmentProblem) -> None:
        """Compile what the chosen solvers need."""
        from alignsolve.solvers.greedy import Greedy  # noqa: PLC0415

        flow = problem.class_ is ProblemClass.CARDINALITY
        (_exact_flow_solver(problem) if flow else Greedy()).prepare(problem)

    def _is_good_enough(self, problem: AlignmentProblem, answer: Answer) -> bool:
        """Whether there is nothing left to look for: a witness, or a gap that is closed."""
        if answer.witness is not None:
            return True
        if answer.x is None or answer.prices is None:
            return False
        gap = relative_gap(problem.bound(answer.prices), problem.objective(answer.x))
        return gap <= max(self.gap, OPTIMALITY)


def _exact_flow_solver(problem: AlignmentProblem) -> "Flow | Price":
    """Choose by size; imported here, so that only what is chosen loads its back end."""
    n, e = problem.shape
    if n * e >= PRICE_PAIRS and n >= CLIENTS_PER_EXPERT * e:
        from alignsolve.solvers.price import Price  # noqa: PLC0415

        return Price()
    from alignsolve.solvers.flow import Flow  # noqa: PLC0415

    return Flow()


def _told(answer: Answer, chosen: str) -> Answer:
    return replace(answer, stats={"chosen": chosen, **answer.stats})


def _with_what_was_known(answer: Answer, known: Answer) -> Answer:
    """Fill in what the time limit kept ``ilp`` from giving by what ``greedy`` gave before."""
    if answer.witness is not None or answer.infeasible:
        return answer
    return replace(
        answer,
        x=known.x if answer.x is None else answer.x,
        prices=known.prices if answer.prices is None else answer.prices,
    )

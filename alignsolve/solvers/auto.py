"""``auto``: picks a solver by class and size."""

from dataclasses import dataclass
from typing import ClassVar

from alignsolve.problem import AlignmentProblem, ProblemClass
from alignsolve.solver import Answer, Capabilities, ProgressHook, WarmStart


@dataclass(frozen=True)
class Auto:
    """Cardinality class: ``flow``."""

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
        from alignsolve.front import resolve  # noqa: PLC0415  (the front door imports this file)

        name = "flow" if problem.class_ is ProblemClass.CARDINALITY else "ilp"
        _, call = resolve(name)
        answer = call(problem, deadline=deadline, warm_start=warm_start, seed=seed, threads=threads, progress=progress)
        return answer

"""Tiny problems on which a compiled solver can be run once, so that compilation does not count against a time limit."""

from functools import cache

from alignsolve.problem import AlignmentProblem, ProblemClass
from alignsolve.solver import Solver, WarmStart


def rehearse(solver: Solver, class_: ProblemClass) -> None:
    """Run a solver on tiny problems of a class: one that greed solves, one that needs repair, one without an answer."""
    _run(solver, class_)  # type: ignore[arg-type]  # frozen dataclasses are hashable


@cache
def _run(solver: Solver, class_: ProblemClass) -> None:
    for problem in _tiny(class_):
        solver(problem, deadline=float("inf"), warm_start=WarmStart(), seed=0, threads=1, progress=None)


def _tiny(class_: ProblemClass) -> list[AlignmentProblem]:
    fitness = [[3.0, 2.9, 0.0], [2.0, 0.1, 0.2], [2.5, 0.3, 0.1]]
    demands = {"client_demand": 1, "client_capacity": 2, "expert_demand": 1, "expert_capacity": 2}
    if class_ is ProblemClass.CARDINALITY:
        grouped = {"expert_group": [0, 0, 1], "group_demand": 0}
        return [
            AlignmentProblem(fitness, **demands),
            AlignmentProblem(fitness, **demands, **grouped),
            AlignmentProblem(fitness, client_capacity=1, expert_demand=2),
        ]
    budgets = {"client_budget": [[4.0], [4.0], [4.0]], "expert_cost": [[1.0], [2.0], [3.0]]}
    return [
        AlignmentProblem(fitness, client_load=[1.0, 2.0, 1.5], client_demand=1, expert_capacity=2.5, expert_demand=0.5),
        AlignmentProblem(fitness, **demands, **budgets),
        AlignmentProblem(fitness, client_load=[1.0, 2.0, 1.5], client_demand=1, expert_capacity=1.4),
    ]

"""Tiny problems on which a compiled solver can be run once, so that compilation does not count against a time limit."""

from functools import cache

import numpy as np

from alignsolve.problem import AlignmentProblem, ProblemClass
from alignsolve.solver import Solver, WarmStart


def rehearse(solver: Solver, problem: AlignmentProblem) -> None:
    """Run a solver once on tiny problems of a problem's class and type of fitness, whatever comes of it.

    They are chosen to take all paths: one that greed solves, one with groups, one without an answer.
    """
    _run(solver, problem.class_, np.dtype(problem.fitness.dtype).str)  # type: ignore[arg-type]  # dataclasses are hashable


@cache
def _run(solver: Solver, class_: ProblemClass, dtype: str) -> None:
    for problem in tiny_problems(class_, dtype):
        solver(problem, deadline=float("inf"), warm_start=WarmStart(), seed=0, threads=1, progress=None)


def tiny_problems(class_: ProblemClass, dtype: str) -> list[AlignmentProblem]:
    """Problems of a class and type of fitness on which all paths are short."""
    fitness = np.array([[30, 29, 0], [20, 1, 2], [25, 3, 1]], dtype=dtype)
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

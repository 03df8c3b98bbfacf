"""Warm-up: run a compiled solver once on tiny problems, so that compilation does not count against a time limit."""

from functools import cache
from typing import NamedTuple

import numpy as np

from alignsolve.problem import AlignmentProblem, ProblemClass
from alignsolve.solver import Solver, WarmStart


class Kind(NamedTuple):
    """The properties of a problem that decide which code it needs: class, type of fitness, whether it has budgets."""

    class_: ProblemClass
    dtype: str
    budgets: bool

    @classmethod
    def of(cls, problem: AlignmentProblem) -> "Kind":
        """The kind of a problem."""
        return cls(problem.class_, np.dtype(problem.fitness.dtype).str, problem.client_budget is not None)


def warm_up(solver: Solver, problem: AlignmentProblem) -> None:
    """Run a solver once on tiny problems of the same kind as a problem; the answers do not matter.

    The tiny problems are chosen to take all paths: one that greed solves, one with groups, one without an answer.
    """
    _run(solver, Kind.of(problem))  # type: ignore[arg-type]  # dataclasses are hashable


@cache
def _run(solver: Solver, kind: Kind) -> None:
    """Run a solver on the tiny problems of a kind; cached, so that it happens once."""
    for problem in tiny_problems(kind):
        solver(problem, deadline=float("inf"), warm_start=WarmStart(), seed=0, threads=1, progress=None)


def tiny_problems(kind: Kind) -> list[AlignmentProblem]:
    """Problems of a kind on which all paths are short."""
    fitness = np.array([[30, 29, 0], [20, 1, 2], [25, 3, 1]], dtype=kind.dtype)
    demands = {"client_demand": 1, "client_capacity": 2, "expert_demand": 1, "expert_capacity": 2}
    if kind.class_ is ProblemClass.CARDINALITY:
        grouped = {"expert_group": [0, 0, 1], "group_demand": 0}
        return [
            AlignmentProblem(fitness, **demands),
            AlignmentProblem(fitness, **demands, **grouped),
            AlignmentProblem(fitness, client_capacity=1, expert_demand=2),
        ]
    load = {"client_load": [1.0, 2.0, 1.5], "client_demand": 1}
    weighted = [
        AlignmentProblem(fitness, **load, expert_capacity=2.5, expert_demand=0.5),
        AlignmentProblem(fitness, **load, expert_capacity=1.4),
    ]
    if not kind.budgets:  # a knapsack for each client takes long to compile
        return weighted
    budgets = {"client_budget": [[4.0], [4.0], [4.0]], "expert_cost": [[1.0], [2.0], [3.0]]}
    return [*weighted, AlignmentProblem(fitness, **demands, **budgets)]

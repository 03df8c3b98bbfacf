"""OR-Tools SimpleLinearSumAssignment: the square assignment problem by cost scaling, with integer costs."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from alignsolve import Alignment, AlignmentProblem
from benchmarks.contender import Claim
from benchmarks.peers import one_each
from benchmarks.peers.ortools_flow import rounding, whole_costs


@dataclass(frozen=True)
class LinearAssignment:
    """A perfect matching, optimal for the rounded costs."""

    def refusal(self, problem: AlignmentProblem) -> str | None:
        """Refuse what is not a perfect matching of as many experts as clients."""
        reason = one_each.refusal(problem)
        if reason:
            return reason
        square = problem.num_clients == problem.num_experts and one_each.one_to_one(problem)
        return None if square else "matches one client to one expert, as many as there are of both"

    def build(self, problem: AlignmentProblem) -> tuple[Any, int, str]:
        """Add all arcs at once."""
        from ortools.graph.python import linear_sum_assignment  # noqa: PLC0415

        size = problem.num_clients
        assignment = linear_sum_assignment.SimpleLinearSumAssignment()
        nodes = np.arange(size, dtype=np.int32)
        costs = whole_costs(-problem.values().ravel().astype(np.float64), 2 * size)
        assignment.add_arcs_with_cost(np.repeat(nodes, size), np.tile(nodes, size), costs)
        return assignment, size, rounding(problem)

    def solve(self, model: tuple[Any, int, str]) -> Claim:
        """Solve, and read the expert of each client."""
        assignment, size, note = model
        status = assignment.solve()
        if status != assignment.OPTIMAL:
            return Claim(status.name)
        experts = np.array([assignment.right_mate(i) for i in range(size)])
        return Claim(status.name + note, Alignment.from_pairs(np.arange(size), experts, size))


LINEAR_ASSIGNMENT = LinearAssignment()

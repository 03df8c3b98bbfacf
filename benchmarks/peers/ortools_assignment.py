"""OR-Tools SimpleLinearSumAssignment: perfect matchings by cost scaling, with integer costs."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from alignsolve import Alignment, AlignmentProblem
from alignsolve.numerics import IntArray
from benchmarks.contender import Claim
from benchmarks.peers import one_each
from benchmarks.peers.ortools_flow import rounding, whole_costs


@dataclass(frozen=True)
class LinearAssignment:
    """A perfect matching of clients and places, optimal for the rounded costs."""

    def refusal(self, problem: AlignmentProblem) -> str | None:
        """Refuse what is not a perfect matching of clients and as many places at experts."""
        reason = one_each.refusal(problem)
        if reason:
            return reason
        places = one_each.full_places(problem)
        perfect = places is not None and places.sum() == problem.num_clients
        return None if perfect else "takes as many places as clients, all of them filled"

    def build(self, problem: AlignmentProblem) -> tuple[Any, IntArray, str]:
        """Add all arcs at once."""
        from ortools.graph.python import linear_sum_assignment  # noqa: PLC0415

        size = problem.num_clients
        places = one_each.full_places(problem)
        assert places is not None  # other problems are refused
        experts = np.repeat(np.arange(problem.num_experts), places)
        value = problem.values()[:, experts]
        assignment = linear_sum_assignment.SimpleLinearSumAssignment()
        nodes = np.arange(size, dtype=np.int32)
        costs = whole_costs(-value.ravel().astype(np.float64), 2 * size)
        assignment.add_arcs_with_cost(np.repeat(nodes, size), np.tile(nodes, size), costs)
        return assignment, experts, rounding(problem)

    def solve(self, model: tuple[Any, IntArray, str]) -> Claim:
        """Solve, and read the place of each client."""
        assignment, experts, note = model
        size = len(experts)
        status = assignment.solve()
        if status != assignment.OPTIMAL:
            return Claim(status.name)
        places = np.array([assignment.right_mate(i) for i in range(size)])
        return Claim(status.name + note, Alignment.from_pairs(np.arange(size), experts[places], size))


LINEAR_ASSIGNMENT = LinearAssignment()

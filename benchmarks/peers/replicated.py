"""Linear assignment by replication: each place at an expert is one column. The matrix is dense, so sizes are small.

Where the largest matching is a best one, the fitness is replicated as it is, and not at all for one place each.
"""

from dataclasses import dataclass

import numpy as np

from alignsolve import Alignment, AlignmentProblem
from alignsolve.numerics import FloatArray, IntArray
from benchmarks.contender import Claim
from benchmarks.peers import one_each

LARGEST_BYTES = 4e9


@dataclass(frozen=True)
class Replicated:
    """A dense linear assignment solver.

    Parameters
    ----------
    package
        "scipy" (linear_sum_assignment) or "lap" (lapx, Jonker–Volgenant).
    """

    package: str

    def refusal(self, problem: AlignmentProblem) -> str | None:
        """Name features that an assignment cannot express, or the size of a matrix that is too large."""
        reason = one_each.refusal(problem)
        if reason:
            return reason
        places = one_each.places(problem)
        columns = int((places.must + places.may).sum())
        columns += 0 if one_each.full_places(problem) is not None else places.idle
        size = 8.0 * problem.num_clients * columns
        if size > LARGEST_BYTES:
            return f"the replicated matrix would take {size / 1e9:.0f} GB"
        return None

    def build(self, problem: AlignmentProblem) -> tuple[FloatArray, IntArray]:
        """Replicate columns; places that must be filled have a bonus, forbidden pairs have a penalty."""
        full = one_each.full_places(problem)
        if full is not None:
            experts = np.repeat(np.arange(problem.num_experts), full)
            value = problem.values().astype(np.float64, copy=False)
            return value if (full == 1).all() else np.repeat(value, full, axis=1), experts
        places = one_each.places(problem)
        large = one_each.penalty(places.value)
        experts = np.repeat(np.arange(problem.num_experts), places.must + places.may)
        place = np.arange(len(experts)) - np.repeat(
            np.cumsum(places.must + places.may) - (places.must + places.may), places.must + places.may
        )
        value = np.where(places.forbidden, -2.0 * large * problem.num_clients, places.value)[:, experts]
        value[:, place < places.must[experts]] += large
        idle = np.where(places.demanding, -2.0 * large * problem.num_clients, 0.0)
        value = np.hstack([value, np.repeat(idle[:, None], places.idle, axis=1)])
        return value, np.concatenate([experts, np.full(places.idle, -1)])

    def solve(self, model: tuple[FloatArray, IntArray]) -> Claim:
        """Solve, and map places back to experts."""
        value, experts = model
        clients, columns = self._assign(value)
        served = experts[columns] >= 0
        return Claim("optimal", Alignment.from_pairs(clients[served], experts[columns[served]], len(value)))

    def _assign(self, value: FloatArray) -> tuple[IntArray, IntArray]:
        if self.package == "scipy":
            from scipy.optimize import linear_sum_assignment  # noqa: PLC0415

            clients, columns = linear_sum_assignment(value, maximize=True)
            return clients, columns
        import lap  # type: ignore[import-untyped,import-not-found,unused-ignore]  # noqa: PLC0415

        _, column_of, _ = lap.lapjv(-value, extend_cost=True)
        served = np.flatnonzero(column_of >= 0)
        return served, column_of[served]


SCIPY, LAPX = Replicated("scipy"), Replicated("lap")

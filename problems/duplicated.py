"""Many clients share a few distinct rows, as when fitness is kept per kind of client: whole clients tie."""

import numpy as np

from alignsolve import AlignmentProblem
from problems.planted import balanced


def duplicated(
    rng: np.random.Generator, *, num_clients: int, num_experts: int, num_distinct: int = 1_000
) -> AlignmentProblem:
    """At most ``num_distinct`` distinct rows; each occurs about four times or more."""
    rows = rng.random((min(num_distinct, -(-num_clients // 4)), num_experts))
    return balanced(rng, rows[rng.integers(len(rows), size=num_clients)])

"""POT's exact transport, ot.emd: each client sends mass 1, and a dummy client fills the optional places."""

from dataclasses import dataclass

import numpy as np

from alignsolve import Alignment, AlignmentProblem
from alignsolve.numerics import FloatArray
from benchmarks.contender import Claim
from benchmarks.peers import one_each

ITERATIONS = 100_000_000
"""Limit of iterations, chosen out of reach: at its limit POT only warns."""


@dataclass(frozen=True)
class Emd:
    """Earth mover's distance by network simplex."""

    def refusal(self, problem: AlignmentProblem) -> str | None:
        """Name features that an assignment cannot express."""
        return one_each.refusal(problem)

    def build(self, problem: AlignmentProblem) -> tuple[FloatArray, FloatArray, FloatArray, int]:
        """Return the masses of clients and places, and the costs between them; forbidden pairs cost a big M."""
        places = one_each.places(problem)
        large = one_each.penalty(places.value)
        pairs = np.where(places.forbidden, large, -places.value)
        idle = np.where(places.demanding, large, 0.0)[:, None]
        dummy = np.zeros((1, 2 * problem.num_experts + 1))
        dummy[0, : problem.num_experts] = large
        cost = np.vstack([np.hstack([pairs, pairs, idle]), dummy])
        masses = np.concatenate([places.must, places.may, [places.idle]]).astype(np.float64)
        clients = np.append(np.ones(problem.num_clients), masses.sum() - problem.num_clients)
        return clients, masses, cost, problem.num_experts

    def solve(self, model: tuple[FloatArray, FloatArray, FloatArray, int]) -> Claim:
        """Solve, and read the entries of the plan above one half."""
        import ot  # type: ignore[import-untyped,import-not-found,unused-ignore]  # noqa: PLC0415

        clients, masses, cost, num_experts = model
        if clients[-1] < 0:
            return Claim("infeasible: fewer places than clients")
        plan, log = ot.emd(clients, masses, cost, numItermax=ITERATIONS, log=True)
        chosen = (plan[:-1, :num_experts] + plan[:-1, num_experts : 2 * num_experts]) > 0.5
        return Claim(log["warning"] or "optimal", Alignment.from_dense(chosen))


EMD = Emd()

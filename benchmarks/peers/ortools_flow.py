"""OR-Tools SimpleMinCostFlow through its bulk interface; costs are scaled to integers, as it requires."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from alignsolve import Alignment, AlignmentProblem, Feature
from alignsolve.numerics import FloatArray, IntArray
from benchmarks.contender import Claim, beyond
from benchmarks.peers.network import TAKES, Network, draw

DECIMALS = 1e6
"""Scale of the largest cost: six decimals are kept if OR-Tools' range of costs allows it."""


@dataclass(frozen=True)
class MinCostFlow:
    """Min-cost flow, optimal for the rounded costs."""

    def refusal(self, problem: AlignmentProblem) -> str | None:
        """Name features that a plain flow cannot express."""
        return beyond(problem, TAKES)

    def build(self, problem: AlignmentProblem) -> tuple[Any, IntArray, Network, str]:
        """Add all arcs at once."""
        from ortools.graph.python import min_cost_flow  # noqa: PLC0415

        network = draw(problem)
        flow = min_cost_flow.SimpleMinCostFlow()
        arcs = flow.add_arcs_with_capacity_and_unit_cost(
            network.tails.astype(np.int32),
            network.heads.astype(np.int32),
            network.capacity,
            whole_costs(network.cost, len(network.supply)),
        )
        flow.set_nodes_supplies(np.arange(len(network.supply), dtype=np.int32), network.supply)
        return flow, arcs[: len(network.clients)], network, rounding(problem)

    def solve(self, model: tuple[Any, IntArray, Network, str]) -> Claim:
        """Solve, and read the pairs that carry flow."""
        flow, arcs, network, note = model
        status = flow.solve()
        if status != flow.OPTIMAL:
            return Claim(status.name)
        chosen = flow.flows(arcs) > 0
        x = Alignment.from_pairs(network.clients[chosen], network.experts[chosen], network.num_clients)
        return Claim(status.name + note, x)


def rounding(problem: AlignmentProblem) -> str:
    """Return the addition to the status of a peer that rounds costs to integers; empty for whole fitness."""
    return " for rounded costs" if Feature.FRACTIONAL_VALUES in problem.features else ""


def whole_costs(cost: FloatArray, num_nodes: int) -> IntArray:
    """Scale and round costs to integers; whole costs that are small enough stay as they are."""
    largest = float(np.abs(cost).max(initial=0.0)) or 1.0
    most = np.iinfo(np.int64).max / (2.0 * (num_nodes + 2) ** 2)
    if largest <= most and np.array_equal(cost, np.floor(cost)):
        return cost.astype(np.int64)
    return np.rint(cost * (min(DECIMALS, most) / largest)).astype(np.int64)


MIN_COST_FLOW = MinCostFlow()

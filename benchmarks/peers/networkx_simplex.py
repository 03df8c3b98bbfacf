"""networkx.network_simplex on a DiGraph, with integer costs only: with float weights it can cycle forever."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from alignsolve import Alignment, AlignmentProblem
from benchmarks.contender import Claim, beyond
from benchmarks.peers.network import TAKES, Network, draw
from benchmarks.peers.ortools_flow import whole_costs


@dataclass(frozen=True)
class NetworkSimplex:
    """Network simplex in pure Python."""

    def refusal(self, problem: AlignmentProblem) -> str | None:
        """Name features that a plain flow cannot express."""
        return beyond(problem, TAKES)

    def build(self, problem: AlignmentProblem) -> tuple[Any, Network]:
        """Add nodes and arcs one at a time; networkx has no bulk interface."""
        import networkx  # noqa: PLC0415

        network = draw(problem)
        graph = networkx.DiGraph()
        graph.add_nodes_from((node, {"demand": -units}) for node, units in enumerate(network.supply.tolist()))
        costs = whole_costs(network.cost, len(network.supply)).tolist()
        arcs = zip(network.tails.tolist(), network.heads.tolist(), network.capacity.tolist(), costs, strict=True)
        graph.add_edges_from((tail, head, {"capacity": room, "weight": cost}) for tail, head, room, cost in arcs)
        return graph, network

    def solve(self, model: tuple[Any, Network]) -> Claim:
        """Solve, and read the pairs that carry flow."""
        import networkx  # noqa: PLC0415

        graph, network = model
        try:
            _, flow = networkx.network_simplex(graph)
        except networkx.NetworkXUnfeasible as error:
            return Claim(f"infeasible: {error}")
        ends = zip(network.tails.tolist(), network.heads.tolist(), strict=True)
        carried = np.array([flow[tail][head] for (tail, head), _ in zip(ends, network.clients, strict=False)])
        chosen = carried > 0
        return Claim(
            "optimal", Alignment.from_pairs(network.clients[chosen], network.experts[chosen], network.num_clients)
        )


NETWORK_SIMPLEX = NetworkSimplex()

"""``networkx``: the cardinality class as a min-cost flow, by networkx's network simplex; the slow reference.

It is pure Python on exact integers: nothing overflows and nothing is rounded, so that other solvers can be checked
against it. It takes integers only, because on floats its pivots can cycle for ever. The network is that of ``flow``.
The prices are read off the residual graph. If there is no flow, the elastic problem's prices lead to a witness.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from alignsolve.data.alignment import Alignment
from alignsolve.problem import AlignmentProblem, Feature
from alignsolve.solver import CARDINALITY, Answer, Capabilities, ProgressHook, WarmStart
from alignsolve.solvers.common.elastic import witness_from_elastic
from alignsolve.solvers.common.last_answer import last_answer
from alignsolve.solvers.common.residual import prices_of
from alignsolve.solvers.flow import Network
from alignsolve.solvers.greedy.incumbent import GREEDY, incumbents

SECONDS_PER_PAIR = 1e-5
"""Time that networkx takes to store one pair. If all pairs take more than the time left, the network is not built."""


@dataclass(frozen=True)
class NetworkX:
    """Network simplex by networkx: cardinality class, whole numbers only.

    Examples
    --------
    >>> from alignsolve import AlignmentProblem, solve
    >>> problem = AlignmentProblem([[7, 2], [6, 5]], expert_capacity=1)
    >>> solve(problem, solver=NetworkX()).x.tolist()
    [[True, False], [False, True]]
    """

    capabilities: ClassVar[Capabilities] = Capabilities(
        takes=CARDINALITY - {Feature.FRACTIONAL_VALUES} | {Feature.EXPERT_SETS}, exact=True, presolve=True
    )

    def __call__(
        self,
        problem: AlignmentProblem,
        *,
        deadline: float,
        warm_start: WarmStart,
        seed: int,
        threads: int | None,
        progress: ProgressHook | None,
    ) -> Answer:
        """Solve; under a deadline in a child process that can be stopped, with the greedy answer as the incumbent."""

        def answers() -> Iterator[Answer]:
            if deadline < math.inf:
                for standing in incumbents(problem, warm_start, deadline):
                    yield standing
                    if standing.witness is not None:
                        return
                pairs = problem.num_clients * problem.num_experts
                if pairs * SECONDS_PER_PAIR > deadline - time.monotonic():
                    return
            yield from _answers(problem)

        answer = last_answer(answers, deadline) or Answer()
        return replace(answer, stats={"stopped": "time limit", **answer.stats}) if _stands(answer) else answer

    def prepare(self, problem: AlignmentProblem) -> None:
        """Compile what the greedy incumbent needs."""
        GREEDY.prepare(problem)


def _stands(answer: Answer) -> bool:
    """Whether networkx had no answer of its own."""
    return answer.witness is None and ("standing" in answer.stats or answer.x is None)


def _answers(problem: AlignmentProblem) -> Iterator[Answer]:
    """Solve the network; if it is infeasible, find the witness."""
    started = time.perf_counter()
    alignment = best_flow(problem)
    stats: dict[str, Any] = {"backend_seconds": time.perf_counter() - started}
    if alignment is not None:
        yield Answer(alignment, prices_of(problem, alignment), stats=stats)
        return
    yield Answer(witness=witness_from_elastic(problem, best_flow), stats=stats)


def best_flow(problem: AlignmentProblem) -> Alignment | None:
    """Solve the network by networkx; None if it is infeasible."""
    import networkx  # noqa: PLC0415

    network = Network(problem)
    graph = networkx.MultiDiGraph()
    graph.add_nodes_from((node, {"demand": -supply}) for node, supply in enumerate(network.supply.tolist()))
    tails, heads, capacity, cost = (np.concatenate(part).tolist() for part in zip(*network.arcs, strict=True))
    graph.add_edges_from(
        (tail, head, k, {"capacity": most, "weight": int(weight)})
        for k, (tail, head, most, weight) in enumerate(zip(tails, heads, capacity, cost, strict=True))
    )
    try:
        _, flow = networkx.network_simplex(graph)
    except networkx.NetworkXUnfeasible:
        return None
    first = sum(len(part[0]) for part in network.arcs[: 1 + bool(problem.num_groups)])
    pairs = range(first, first + len(network.clients))
    used = np.array([flow[tails[k]][heads[k]][k] > 0 for k in pairs], dtype=np.bool_) | (network.forced > 0)
    return Alignment.from_pairs(network.clients[used], network.experts[used], problem.num_clients)

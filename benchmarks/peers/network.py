"""The flow network of a problem of the cardinality class, as a careful user would build it; for min-cost-flow peers.

A client supplies its capacity, and an expert consumes its demand; the remaining flow of both goes to one sink. The
nodes are, in order: clients, (client, group) pairs if there are groups, experts, sets of experts, and the sink. Flow
leaves an expert to the smallest set around it, and a set to the next one; without one, to the sink.
"""

from dataclasses import dataclass

import numpy as np

from alignsolve import AlignmentProblem, Feature
from alignsolve.numerics import FloatArray, IntArray
from benchmarks.contender import PLAIN

TAKES = PLAIN | {Feature.GROUPS, Feature.SPARSE, Feature.EXPERT_SETS}


@dataclass(frozen=True)
class Network:
    """A network with its arcs as arrays; the arcs of pairs come first.

    Attributes
    ----------
    tails, heads, capacity, cost
        (num_arcs,) arrays; the cost is real, and peers round it if they need integers.
    supply
        (num_nodes,) supply of each node; the sum is 0.
    clients, experts
        Client and expert of each of the first arcs.
    num_clients
        Number of rows of the alignment.
    """

    tails: IntArray
    heads: IntArray
    capacity: IntArray
    cost: FloatArray
    supply: IntArray
    clients: IntArray
    experts: IntArray
    num_clients: int


def draw(problem: AlignmentProblem) -> Network:
    """Build the network of a problem without soft bounds and required pairs; sets are nested, and hard too."""
    n, e = problem.shape
    groups = problem.num_groups
    first_expert = n + n * groups
    num_loads = e + problem.num_sets
    sink = first_expert + num_loads
    supply = np.zeros(sink + 1, dtype=np.int64)
    clients, experts = _pairs(problem)
    pair_tails = clients if not groups else n + clients * groups + problem.expert_group[experts]
    capacity, demand = np.minimum(problem.client_capacity, e), problem.client_demand
    least, most, parent = _loads(problem)
    supply[:n] = capacity
    supply[first_expert:sink] = -least
    np.add.at(supply, first_expert + parent, least)
    parts = [
        (pair_tails, first_expert + experts, np.ones_like(clients), -_values(problem, clients, experts)),
        (np.arange(n), np.full(n, sink), capacity - demand, np.zeros(n)),
        (np.arange(first_expert, sink), first_expert + parent, most - least, np.zeros(num_loads)),
    ]
    if groups:
        nodes = np.arange(n, first_expert)
        supply[nodes] += problem.group_demand.ravel()
        np.subtract.at(supply, np.repeat(np.arange(n), groups), problem.group_demand.ravel())
        room = np.minimum(problem.group_capacity, e) - problem.group_demand
        parts.append((np.repeat(np.arange(n), groups), nodes, room.ravel(), np.zeros(len(nodes))))
    supply[sink] = -supply[:sink].sum()
    tails, heads, room, cost = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Network(tails, heads, room, cost, supply, clients, experts, n)


def _loads(problem: AlignmentProblem) -> tuple[IntArray, IntArray, IntArray]:
    """Return least and most load of experts, then of sets, and the node behind each: a set, or the sink."""
    bounds, e = problem.experts, problem.num_experts
    least, most, parent = bounds.least, bounds.most, np.full(e, e)
    if problem.sets is not None:
        if problem.sets.bounds.any_soft:
            raise ValueError("a plain flow network has no place for soft bounds of sets")
        least, most = np.append(least, problem.sets.bounds.least), np.append(most, problem.sets.bounds.most)
        parent = problem.sets.parent
    largest = problem.num_clients * e
    return least.astype(np.int64), np.minimum(most, largest).astype(np.int64), parent


def _pairs(problem: AlignmentProblem) -> tuple[IntArray, IntArray]:
    """Return clients and experts of all eligible pairs."""
    if problem.stored is not None:
        return problem.stored.clients().astype(np.int64), problem.stored.experts.astype(np.int64)
    if problem.eligible is not None:
        clients, experts = np.nonzero(problem.eligible)
        return clients, experts
    n, e = problem.shape
    return np.repeat(np.arange(n), e), np.tile(np.arange(e), n)


def _values(problem: AlignmentProblem, clients: IntArray, experts: IntArray) -> FloatArray:
    """Return the values of the pairs that :func:`_pairs` returns."""
    values = problem.values()
    return values if problem.stored is not None else values[clients, experts]

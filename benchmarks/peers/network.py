"""The flow network of a problem of the cardinality class, as a careful user would build it; for min-cost-flow peers.

A client supplies its capacity, and an expert consumes its demand; the remaining flow of both goes to one sink. The
nodes are, in order: clients, (client, group) pairs if there are groups, experts, and the sink.
"""

from dataclasses import dataclass

import numpy as np

from alignsolve import AlignmentProblem, Feature
from alignsolve.numerics import FloatArray, IntArray
from benchmarks.contender import PLAIN

TAKES = PLAIN | {Feature.GROUPS, Feature.SPARSE}


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
    """Build the network of a problem without soft bounds and required pairs."""
    n, e = problem.shape
    groups = problem.num_groups
    first_expert = n + n * groups
    sink = first_expert + e
    supply = np.zeros(sink + 1, dtype=np.int64)
    clients, experts = _pairs(problem)
    pair_tails = clients if not groups else n + clients * groups + problem.expert_group[experts]
    capacity, demand = np.minimum(problem.client_capacity, e), problem.client_demand
    least = np.ceil(problem.expert_demand).astype(np.int64)
    most = np.floor(np.minimum(problem.expert_capacity, n)).astype(np.int64)
    supply[:n] = capacity
    supply[first_expert:sink] = -least
    parts = [
        (pair_tails, first_expert + experts, np.ones_like(clients), -_values(problem, clients, experts)),
        (np.arange(n), np.full(n, sink), capacity - demand, np.zeros(n)),
        (np.arange(first_expert, sink), np.full(e, sink), most - least, np.zeros(e)),
    ]
    if groups:
        nodes = np.arange(n, first_expert)
        supply[nodes] += problem.group_demand.ravel()
        np.subtract.at(supply, np.repeat(np.arange(n), groups), problem.group_demand.ravel())
        room = np.minimum(problem.group_capacity, e) - problem.group_demand
        parts.append((np.repeat(np.arange(n), groups), nodes, room.ravel(), np.zeros(len(nodes))))
    supply[sink] = -supply.sum()
    tails, heads, room, cost = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Network(tails, heads, room, cost, supply, clients, experts, n)


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

"""Lays out the arcs of a network, and counts what a flow chooses; compiled, as it is done after every change."""

from typing import Any, NamedTuple

import numpy as np

from alignsolve.numerics import FloatArray
from alignsolve.runtime.jit import kernel


class Arcs(NamedTuple):
    """The arcs of a network, the pairs first.

    Attributes
    ----------
    tail, head
        (num_arcs,) int32 nodes.
    cost
        (num_arcs,) float64
    capacity, flow
        (num_arcs,) int32
    """

    tail: Any
    head: Any
    cost: FloatArray
    capacity: Any
    flow: Any

    @classmethod
    def room_for(cls, number: int) -> "Arcs":
        """Allocate the memory of so many arcs."""
        tail, head, capacity, flow = np.empty((4, number), dtype=np.int32)
        return cls(tail, head, np.empty(number), capacity, flow)

    def first(self, number: int) -> "Arcs":
        """The first few arcs."""
        return Arcs(*(part[:number] for part in self))


@kernel
def lay_pairs(arcs: Any, place: Any, experts: Any, value: Any, chosen: Any, split: Any, first_expert: int) -> int:
    """Write the arcs of the pairs, from a client or its group to an expert; return how many there are.

    Parameters
    ----------
    arcs
        :class:`Arcs`, filled from its beginning.
    place, experts, value, chosen
        (num_pairs,) as in :class:`~alignsolve.solvers.sift.network.Network`, and which of them carry flow.
    split
        (num_clients · num_groups,) the node of each client and group.
    first_expert
        The node of expert 0.
    """
    for a in range(len(place)):
        arcs.tail[a], arcs.head[a] = split[place[a]], first_expert + experts[a]
        arcs.cost[a], arcs.capacity[a], arcs.flow[a] = -value[a], 1, chosen[a]
    return len(place)


@kernel
def lay_bounds(arcs: Any, begin: int, width: Any, cost: Any, units: Any, tail: Any, head: Any) -> int:
    """Write the pieces of some nodes' bounds, those of no width left out; return where the next arc begins.

    Parameters
    ----------
    arcs, begin
        :class:`Arcs`, filled from ``begin`` on.
    width, cost
        (num_pieces, num_nodes) as in :class:`~alignsolve.solvers.sift.network.Pieces`.
    units
        (num_nodes,) the flow of all pieces of a node together; it fills them in their order.
    tail, head
        (num_nodes,) between which nodes the pieces run.
    """
    a = begin
    for v in range(len(units)):
        left = units[v]
        for k in range(len(width)):
            if width[k, v] > 0:
                arcs.tail[a], arcs.head[a] = tail[v], head[v]
                arcs.cost[a], arcs.capacity[a] = cost[k, v], width[k, v]
                arcs.flow[a] = min(max(left, 0), width[k, v])
                a += 1
            left -= width[k, v]
    return a


@kernel
def count_chosen(place: Any, experts: Any, chosen: Any, inside: Any, loads: Any) -> None:
    """Add the chosen pairs to the counts of clients and groups, (num_clients · num_groups,), and to the loads."""
    for a in range(len(place)):
        if chosen[a]:
            inside[place[a]] += 1
            loads[experts[a]] += 1


@kernel
def mean_size(value: Any, chosen: Any) -> float:
    """The mean of |value| over the chosen pairs; 0 without any."""
    size, number = 0.0, 0
    for a in range(len(value)):
        if chosen[a]:
            size += abs(value[a])
            number += 1
    return size / number if number > 0 else 0.0

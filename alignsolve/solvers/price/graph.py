"""The experts' graph: the state of its nodes, and the penalty of one unit more or less at an expert, or in a set."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alignsolve.runtime.jit import inner, kernel

Array = npt.NDArray[Any]

UNREACHED = 2**60
"""The distance of a node that was not reached."""
FAR = 2**62
"""The loss of an arc on which nothing moves."""


class Graph(NamedTuple):
    """Nodes (the experts, then the ground, then sets of experts), their state, and room for Dijkstra.

    Attributes
    ----------
    price, excess
        (nodes,) int64; prices in quanta, relative to those with which the core was priced.
    up
        (nodes,) int64: the node above each one; −1 for the ground (:mod:`.side`).
    load
        The load that each expert's penalty, and each set's, is currently charged for: int64, one for each row of the
        slopes.
    least, end, slope
        The penalties' stretches (:class:`~.slopes.Slopes`), the slopes in quanta and relative like the prices.
    stretch
        (nodes,) int64: the slopes of the penalties' stretches that lead down from a node; FAR to all others.
    distance, parent, settled
        (nodes,) int64 of the last search: loss plus number of arcs, predecessor, and CLOSED once that is final.
    path
        (nodes,) int64: the nodes along the path that was found.
    client, give, take
        (nodes,) int64: the moves along the path; for a stretch of an expert's penalty the client is NOBODY.
    counter
        (4,) int64: the node with excess last looked at, and for the statistics searches, units, moves.
    """

    price: Array
    excess: Array
    up: Array
    load: Array
    least: Array
    end: Array
    slope: Array
    stretch: Array
    distance: Array
    parent: Array
    settled: Array
    path: Array
    client: Array
    give: Array
    take: Array
    counter: Array


NOBODY = -1
"""In place of a client: a stretch of an expert's penalty."""
CURSOR, SEARCHES, UNITS, MOVES = range(4)
"""The places in ``counter``."""


def graph_of(excess: Array, up: Array, load: Array, least: Array, end: Array, slope: Array) -> Graph:
    """Return a graph at relative prices of 0; ``excess`` and ``up`` have an entry for the ground too."""
    nodes = len(excess)
    return Graph(
        price=np.zeros(nodes, dtype=np.int64),
        excess=excess,
        up=up,
        load=load,
        least=least,
        end=np.ascontiguousarray(end),
        slope=np.ascontiguousarray(slope),
        stretch=np.full(nodes, FAR, dtype=np.int64),
        distance=np.full(nodes, UNREACHED, dtype=np.int64),
        parent=np.zeros(nodes, dtype=np.int64),
        settled=np.zeros(nodes, dtype=np.int64),
        path=np.zeros(nodes, dtype=np.int64),
        client=np.zeros(nodes, dtype=np.int64),
        give=np.zeros(nodes, dtype=np.int64),
        take=np.zeros(nodes, dtype=np.int64),
        counter=np.zeros(4, dtype=np.int64),
    )


@kernel
def step_of(nodes: int) -> int:
    """Return the power of two of which all losses, slopes and prices are multiples; no path has so many arcs."""
    step = 2
    while step <= nodes:
        step *= 2
    return step


@inner
def slope_above(graph: Graph, j: int) -> int:
    """Penalty of one more unit on expert j; FAR if a hard bound forbids it."""
    load, end = graph.load[j], graph.end[j]
    for t in range(len(end)):
        if load < end[t]:
            return graph.slope[j, t]
    return FAR


@inner
def slope_below(graph: Graph, j: int) -> int:
    """Penalty saved by one unit less on expert j; −FAR if a hard bound forbids it."""
    load, end, begin = graph.load[j], graph.end[j], graph.least[j]
    for t in range(len(end)):
        if begin < load <= end[t]:
            return graph.slope[j, t]
        begin = end[t]
    return -FAR


@inner
def slopes_below(graph: Graph, stretch: Array, j: int) -> None:
    """List the loss of one unit less on every node below node j."""
    up = graph.up
    for k in range(len(stretch)):
        stretch[k] = -slope_below(graph, k) if up[k] == j else FAR

"""Make an almost optimal flow optimal, exactly, by short searches around the arcs that are wrong; compiled.

An arc with room left and a negative reduced cost −δ is wrong. Either it lies on a cycle of negative cost: then the flow
can be improved along the cycle. Or the potentials near its head are too high. One search by Dijkstra from its head,
that goes no further than δ, decides which: if the tail is nearer than δ, the cycle is found. In both cases the
potentials of the nodes passed fall by what is left of the way, which makes the arc right and no other wrong.

After cost scaling hundreds of arcs are wrong by very little, so that each search sees a few nodes.
"""

from typing import Any, NamedTuple

import numpy as np

from alignsolve.numerics import FloatArray, IntArray
from alignsolve.runtime.jit import inner, kernel


class Search(NamedTuple):
    """Memory of the searches: (num_nodes,) each, but ``place``, the node and entry at which the next call goes on."""

    distance: FloatArray
    heap: IntArray
    where: IntArray
    entered: IntArray
    passed: IntArray
    closed: Any
    place: IntArray


def search_memory(num_nodes: int) -> Search:
    """Allocate the memory of the searches."""
    whole = np.zeros((4, num_nodes), dtype=np.int64)
    distance, closed = np.full(num_nodes, np.inf), np.zeros(num_nodes, dtype=np.bool_)
    return Search(distance, whole[0], whole[1], whole[2], whole[3], closed, np.zeros(2, dtype=np.int64))


@kernel
def wrong_arcs(net: Any, potential: Any, tolerance: float, large: float) -> Any:
    """Count the arcs with room left whose reduced cost is below −tolerance; return by how much, typically, as well.

    The geometric mean tells what is typical, of those that are wrong by less than ``large`` if there are any.
    """
    number, few, logarithms, worst = 0, 0, 0.0, 0.0
    for u in range(len(potential)):
        for k in range(net.first[u], net.first[u + 1]):
            if net.room[k] > 0:
                wrong = potential[net.to[k]] - net.cost[k] - potential[u]
                if wrong > tolerance:
                    number += 1
                    worst = max(worst, wrong)
                    if wrong < large:
                        few += 1
                        logarithms += np.log(wrong)
    return number, np.exp(logarithms / few) if few > 0 else worst


@kernel
def repair(net: Any, potential: Any, tolerance: float, search: Any, limit: int) -> bool:
    """Repair arc by arc; False if the limit on the arcs looked at came first.

    Parameters
    ----------
    net
        The residual network, with float costs; its flow is changed.
    potential
        (num_nodes,) changed.
    tolerance
        An arc is wrong if its reduced cost is below −tolerance.
    search
        Memory; ``search.place`` says where to go on, [0, first[0]] at the start.
    limit
        Arcs to look at.
    """
    looked = 0
    u, k = search.place
    while u < len(potential):
        end = net.first[u + 1]
        while k < end:
            wrong = potential[net.to[k]] - net.cost[k] - potential[u]
            if net.room[k] <= 0 or wrong <= tolerance:
                k += 1
                continue
            if looked > limit:
                search.place[0], search.place[1] = u, k
                return False
            number, reached, seen = _search(net, potential, net.to[k], u, wrong, search)
            looked += seen
            if reached:
                _cancel(net, k, u, search)
            _lower(potential, search, number, search.distance[u] if reached else wrong)
            if not reached:
                k += 1
        looked += end - net.first[u]
        u += 1
        k = end
    search.place[0], search.place[1] = u, k
    return True


@inner
def _search(net: Any, potential: Any, start: int, goal: int, radius: float, search: Any) -> Any:
    """Dijkstra from the head of a wrong arc; return the nodes passed, whether the tail was, and the arcs looked at.

    Other wrong arcs count as free: they are repaired in their turn.
    """
    distance, heap, where = search.distance, search.heap, search.where
    distance[start], heap[0], where[start] = 0.0, start, 0
    search.passed[0] = start
    number, size, seen = 1, 1, 0
    while size > 0:
        u = heap[0]
        if distance[u] >= radius:
            break
        size -= 1
        if size > 0:
            heap[0] = heap[size]
            _sink(heap, where, distance, size)
        search.closed[u] = True
        if u == goal:
            return number, True, seen
        seen += net.first[u + 1] - net.first[u]
        for k in range(net.first[u], net.first[u + 1]):
            v = net.to[k]
            if net.room[k] <= 0 or search.closed[v]:
                continue
            there = distance[u] + max(net.cost[k] + potential[u] - potential[v], 0.0)
            if there < radius and there < distance[v]:
                if distance[v] == np.inf:
                    search.passed[number] = v
                    number += 1
                    where[v] = size
                    size += 1
                distance[v] = there
                search.entered[v] = k
                _rise(heap, where, distance, v)
    return number, False, seen


@inner
def _cancel(net: Any, wrong: int, tail: int, search: Any) -> None:
    """Send as much as fits around the cycle of the wrong arc and the path from its head back to its tail."""
    start, more = net.to[wrong], net.room[wrong]
    v = tail
    while v != start:
        k = search.entered[v]
        more = min(more, net.room[k])
        v = net.to[net.mate[k]]
    net.room[wrong] -= more
    net.room[net.mate[wrong]] += more
    v = tail
    while v != start:
        k = search.entered[v]
        net.room[k] -= more
        net.room[net.mate[k]] += more
        v = net.to[net.mate[k]]


@inner
def _lower(potential: Any, search: Any, number: int, length: float) -> None:
    """Lower the potentials of the nodes passed by what is left of the way, and clear the memory."""
    for z in range(number):
        v = search.passed[z]
        if search.distance[v] < length:
            potential[v] -= length - search.distance[v]
        search.distance[v] = np.inf
        search.closed[v] = False


@inner
def _rise(heap: Any, where: Any, key: Any, v: int) -> None:
    """Restore the heap after a node's key fell."""
    place = where[v]
    while place > 0:
        parent = (place - 1) >> 1
        if key[heap[parent]] <= key[v]:
            break
        heap[place] = heap[parent]
        where[heap[place]] = place
        place = parent
    heap[place] = v
    where[v] = place


@inner
def _sink(heap: Any, where: Any, key: Any, size: int) -> None:
    """Restore the heap after its first node was replaced."""
    v, place = heap[0], 0
    while True:
        child = 2 * place + 1
        if child >= size:
            break
        if child + 1 < size and key[heap[child + 1]] < key[heap[child]]:
            child += 1
        if key[heap[child]] >= key[v]:
            break
        heap[place] = heap[child]
        where[heap[place]] = place
        place = child
    heap[place] = v
    where[v] = place

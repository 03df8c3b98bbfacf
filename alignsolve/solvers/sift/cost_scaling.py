"""Min-cost flow by cost scaling, compiled: push and relabel with a tolerance that shrinks from phase to phase.

A flow is ε-optimal if no arc with room left has a reduced cost below −ε. A phase begins with the flow and the
potentials of the phase before. It fills every arc of negative reduced cost, which leaves too much at some nodes and too
little at others. Then nodes with too much push it along arcs of negative reduced cost; a node that has none lowers its
potential by as much as it must, and by ε. When nothing is left over, the flow is ε-optimal.

Potentials also fall all at once: by the distance to the nearest node that lacks flow, in units of ε. This saves most of
the single steps.

Source: A. V. Goldberg, An efficient implementation of a scaling minimum-cost flow algorithm, J. Algorithms 22 (1997).
"""

from typing import Any, NamedTuple

import numpy as np

from alignsolve.numerics import IntArray
from alignsolve.runtime.jit import inner, kernel

BUCKETS = 4096
"""Distances, in units of the tolerance, that a fall of all potentials tells apart."""
WORK = 20_000_000
"""Arcs looked at between two looks at the clock: some hundredths of a second."""
LOWEST = np.iinfo(np.int64).min


class Adjacency(NamedTuple):
    """A residual network, stored by node: each arc stands at both of its ends, once forwards and once backwards.

    Attributes
    ----------
    first
        (num_nodes + 1,) int64: the entries of node v are first[v]..first[v + 1] − 1.
    to, mate
        (2·num_arcs,) int32: the other end, and the entry of the same arc there.
    cost
        (2·num_arcs,) cost of one unit in this direction; the mate has the opposite.
    room, both
        (2·num_arcs,) int32: how much more may flow in this direction, and in both directions together.
    """

    first: IntArray
    to: Any
    mate: Any
    cost: Any
    room: Any
    both: Any


class Work(NamedTuple):
    """Memory of a phase: (num_nodes,) each, but ``place`` = [head, length] of the queue and [relabels since a fall]."""

    excess: IntArray
    queue: Any
    queued: Any
    current: IntArray
    distance: IntArray
    after: Any
    before: Any
    done: Any
    place: IntArray


def working_memory(num_nodes: int) -> Work:
    """Allocate the memory of a phase."""
    whole, small = np.zeros((3, num_nodes), dtype=np.int64), np.zeros((3, num_nodes), dtype=np.int32)
    flags = np.zeros((2, num_nodes), dtype=np.bool_)
    return Work(whole[0], small[0], flags[0], whole[1], whole[2], small[1], small[2], flags[1], np.zeros(3, np.int64))


@kernel
def adjacency(tail: Any, head: Any, cost: Any, capacity: Any, flow: Any, num_nodes: int) -> Any:
    """Store arcs by node; return the :class:`Adjacency` and, for each arc, its entry at the tail."""
    num_arcs = len(tail)
    first = np.zeros(num_nodes + 1, dtype=np.int64)
    for a in range(num_arcs):
        first[tail[a] + 1] += 1
        first[head[a] + 1] += 1
    for v in range(num_nodes):
        first[v + 1] += first[v]
    free = first[:-1].copy()
    to, mate = np.empty(2 * num_arcs, dtype=np.int32), np.empty(2 * num_arcs, dtype=np.int32)
    costs = np.empty(2 * num_arcs, dtype=cost.dtype)
    room, both = np.empty(2 * num_arcs, dtype=np.int32), np.empty(2 * num_arcs, dtype=np.int32)
    entry = np.empty(num_arcs, dtype=np.int32)
    for a in range(num_arcs):
        k, m = free[tail[a]], free[head[a]]
        free[tail[a]] += 1
        free[head[a]] += 1
        to[k], to[m], mate[k], mate[m] = head[a], tail[a], m, k
        costs[k], costs[m] = cost[a], -cost[a]
        room[k], room[m] = capacity[a] - flow[a], flow[a]
        both[k], both[m] = capacity[a], capacity[a]
        entry[a] = k
    return Adjacency(first, to, mate, costs, room, both), entry


@kernel
def begin_phase(net: Any, potential: Any, tolerance: int, work: Any) -> None:
    """Fill every arc of negative reduced cost, and queue the nodes that then have too much."""
    num_nodes = len(potential)
    work.excess[:] = 0
    for u in range(num_nodes):
        for k in range(net.first[u], net.first[u + 1]):
            if net.room[k] > 0 and net.cost[k] + potential[u] - potential[net.to[k]] < 0:
                more = net.room[k]
                net.room[k] = 0
                net.room[net.mate[k]] += more
                work.excess[u] -= more
                work.excess[net.to[k]] += more
    work.place[:] = 0
    for u in range(num_nodes):
        work.queued[u] = work.excess[u] > 0
        if work.queued[u]:
            work.queue[work.place[1]] = u
            work.place[1] += 1
    _fall(net, potential, tolerance, work)


@kernel
def run_phase(net: Any, potential: Any, tolerance: int, work: Any, limit: int) -> bool:
    """Push until no node has too much; False if the limit on the arcs looked at came first."""
    num_nodes = len(potential)
    head, length, since = work.place
    looked = 0
    while length > 0 and looked < limit:
        u = work.queue[head]
        head = head + 1 if head + 1 < num_nodes else 0
        length -= 1
        work.queued[u] = False
        while work.excess[u] > 0:
            # Push along arcs of negative reduced cost.
            k, end, own = work.current[u], net.first[u + 1], potential[u]
            while k < end:
                if net.room[k] > 0:
                    v = net.to[k]
                    if net.cost[k] + own - potential[v] < 0:
                        more = min(work.excess[u], net.room[k])
                        net.room[k] -= more
                        net.room[net.mate[k]] += more
                        work.excess[u] -= more
                        work.excess[v] += more
                        if work.excess[v] > 0 and not work.queued[v]:
                            place = head + length
                            work.queue[place - num_nodes if place >= num_nodes else place] = v
                            work.queued[v] = True
                            length += 1
                        if work.excess[u] == 0:
                            break
                k += 1
            looked += k - work.current[u]
            if work.excess[u] == 0:
                work.current[u] = k
                break
            # None is left: lower the potential until there is one.
            highest = LOWEST
            for k in range(net.first[u], end):
                if net.room[k] > 0:
                    highest = max(highest, potential[net.to[k]] - net.cost[k])
            looked += end - net.first[u]
            potential[u] = highest - tolerance
            work.current[u] = net.first[u]
            since += 1
        if since > num_nodes:
            since = 0
            _fall(net, potential, tolerance, work)
            looked += len(net.to)
    work.place[0], work.place[1], work.place[2] = head, length, since
    return length == 0


@inner
def _fall(net: Any, potential: Any, tolerance: int, work: Any) -> None:
    """Lower all potentials by their distance to the nearest node that lacks flow, in units of the tolerance."""
    num_nodes = len(potential)
    distance, after, before, done = work.distance, work.after, work.before, work.done
    bucket = np.full(BUCKETS, -1, dtype=np.int32)
    active = 0
    # The nodes that lack flow are at distance 0.
    for v in range(num_nodes):
        distance[v], done[v] = BUCKETS, False
        work.current[v] = net.first[v]
        if work.excess[v] > 0:
            active += 1
        elif work.excess[v] < 0:
            distance[v] = 0
            _insert(bucket, after, before, 0, v)
    # Dijkstra backwards, with buckets; it ends with the last node that has too much.
    now = 0
    while now < BUCKETS and active > 0:
        v = bucket[now]
        if v < 0:
            now += 1
            continue
        _remove(bucket, after, before, now, v)
        done[v] = True
        if work.excess[v] > 0:
            active -= 1
        for k in range(net.first[v], net.first[v + 1]):
            u = net.to[k]
            if net.both[k] > net.room[k] and not done[u]:
                reduced = potential[u] - net.cost[k] - potential[v]
                there = now if reduced < 0 else now + reduced // tolerance + 1
                if there < distance[u]:
                    if distance[u] < BUCKETS:
                        _remove(bucket, after, before, distance[u], u)
                    distance[u] = there
                    _insert(bucket, after, before, there, u)
    for v in range(num_nodes):
        potential[v] -= tolerance * (distance[v] if done[v] else now)


@inner
def _insert(bucket: Any, after: Any, before: Any, place: int, v: int) -> None:
    """Put a node into a bucket, a doubly linked list."""
    second = bucket[place]
    after[v], before[v] = second, -1
    if second >= 0:
        before[second] = v
    bucket[place] = v


@inner
def _remove(bucket: Any, after: Any, before: Any, place: int, v: int) -> None:
    """Take a node out of its bucket."""
    if before[v] >= 0:
        after[before[v]] = after[v]
    else:
        bucket[place] = after[v]
    if after[v] >= 0:
        before[after[v]] = before[v]

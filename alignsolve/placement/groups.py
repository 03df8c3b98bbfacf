"""Which node gets which groups of experts: by branch and bound, before the GPUs of each node are looked at.

Groups are taken by falling load, and each is tried first on the node that serves it soonest. A branch ends where a node
already takes as long as the best assignment found.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from alignsolve.numerics import FloatArray, IntArray
from alignsolve.placement.bound import bound, quick_bound
from alignsolve.placement.request import Fleet

LIMIT = 2000
"""Most branches of a layer; a search that needs more proves nothing."""
HOPELESS = 100 * LIMIT
"""Most branches until some assignment is found."""


def homes_of(loads: FloatArray, fleet: Fleet, gap: float) -> tuple[IntArray, float]:
    """Return the node of each expert in one layer, (num_experts,), and a lower bound on the largest time.

    Parameters
    ----------
    loads
        (num_experts,).
    fleet
        The GPUs.
    gap
        A bound that is better by a smaller share is not searched for.

    Raises
    ------
    ValueError
        If the groups do not fit into the nodes.
    """
    whole = bound(loads, fleet.usable, fleet.speed, gap)
    if fleet.num_nodes == 1:
        return np.zeros(len(loads), dtype=np.int64), whole
    search = _Search.of(loads, fleet)
    search.branch(0)
    if search.best is None:
        raise ValueError(
            f"expert_group: no way was found to fit {len(search.load)} groups of up to {search.size.max()} experts "
            f"into {fleet.num_nodes} nodes of up to {search.room.max()} slots; all copies of a group need one node"
        )
    return search.best[fleet.group], whole if search.branches > LIMIT else max(whole, search.value)


@dataclass
class _Search:
    """The state of the search in one layer.

    Attributes
    ----------
    loads, fleet
        The layer's experts, and the GPUs.
    load, size
        (num_groups,): load of each group and its number of experts.
    room, speed, kind
        (num_nodes,): slots and speed of each node; nodes of one kind have the same GPUs.
    order
        Groups by falling load.
    node
        (num_groups,): the node of each group so far.
    best, value
        The best assignment found, and the bound on its largest time.
    """

    loads: FloatArray
    fleet: Fleet
    load: FloatArray
    size: IntArray
    room: IntArray
    speed: FloatArray
    kind: IntArray
    order: IntArray
    node: IntArray
    best: IntArray | None = None
    value: float = math.inf
    branches: int = 0
    carried: FloatArray = field(init=False)
    taken: IntArray = field(init=False)

    @classmethod
    def of(cls, loads: FloatArray, fleet: Fleet) -> "_Search":
        """Begin without any group on a node."""
        load = np.bincount(fleet.group, weights=loads).astype(np.float64)
        size = np.bincount(fleet.group)
        speed = np.bincount(fleet.node, weights=fleet.speed).astype(np.float64)
        order = np.lexsort((-load, -size)) if len(set(size.tolist())) > 1 else np.argsort(-load, kind="stable")
        return cls(loads, fleet, load, size, fleet.node_slots, speed, fleet.node_kind, order, np.full(len(load), -1))

    def __post_init__(self) -> None:
        self.carried = np.zeros(len(self.room))
        self.taken = np.zeros(len(self.room), dtype=np.int64)

    def branch(self, depth: int) -> None:
        """Try all nodes for the next group."""
        self.branches += 1
        if depth == len(self.order):
            self._leaf()
            return
        group = self.order[depth]
        until = (self.carried + self.load[group]) / self.speed
        tried = set()
        for node in np.argsort(until, kind="stable").tolist():
            twin = (self.carried[node], self.taken[node], self.kind[node])
            if until[node] >= self.value or self.taken[node] + self.size[group] > self.room[node] or twin in tried:
                continue
            if self.branches > LIMIT and (self.best is not None or self.branches > HOPELESS):
                return
            tried.add(twin)
            before = self.carried[node]
            self.node[group] = node
            self.taken[node] += self.size[group]
            self.carried[node] += self.load[group]
            self.branch(depth + 1)
            self.taken[node] -= self.size[group]
            self.carried[node] = before

    def _leaf(self) -> None:
        """Keep an assignment whose nodes have a lower bound than the best one's."""
        home = self.node[self.fleet.group]
        value = max(
            quick_bound(self.loads[home == node], self.fleet.usable[on], self.fleet.speed[on])
            for node in np.unique(home).tolist()
            for on in [self.fleet.node == node]
        )
        if value < self.value:
            self.best, self.value = self.node.copy(), value

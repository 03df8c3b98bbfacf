"""Exact repair for the cardinality class: augmenting paths find a feasible alignment whenever there is one.

The nodes are the experts and the *ground*, which stands for "no expert". An arc j → k says that some client, whose row
is complete, can give up expert j and take k instead. An arc j → ground says that some client can drop j; an arc ground
→ k says that some client has a place for k.

An overloaded expert sends a unit of load along a path of fewest arcs to an expert with room, or to the ground. An
expert short of its demand draws a unit from an expert that has more than its own demand, or from the ground. Where
there is no path, the experts that were reached are a witness of infeasibility.

Why single exchanges are enough: the bounds of a row are laminar, so that a client's choices form a generalised
polymatroid. There a path of fewest arcs can be applied as a whole, even where it uses a client twice (Fujishige,
Submodular Functions and Optimization, 2nd ed. 2005, section 5.4).

The arcs are counted once and updated for the clients that move. Paths are searched one by one, but each path carries
as many units as it has clients to move and room at its end.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from alignsolve.certificate.witness import Witness, confirm
from alignsolve.numerics import BoolArray, IntArray
from alignsolve.problem import AlignmentProblem
from alignsolve.runtime.interruptible import late
from alignsolve.runtime.jit import inner, kernel
from alignsolve.solvers.greedy.state import (
    CAPACITY,
    COUNT,
    DEMAND,
    FREE,
    GROUP_CAPACITY,
    GROUP_DEMAND,
    GROUPS,
    HELD,
    IN_GROUP,
    LEAST,
    LOAD,
    MOST,
    OWED,
    PER_GROUP,
    State,
    drop,
    has_place,
    may_release,
    may_swap,
    row_admits,
    row_releases,
    row_trades,
    take,
    toll,
)
from alignsolve.subproblem.falling_order import falling_order

LOOKS_AT_ONCE = 1 << 26
"""Pairs of experts that are looked at between two looks at the clock: some hundredths of a second."""


Blame = Callable[[State, BoolArray, bool], None]
LONG = 1 << 28
"""Pairs of experts of all clients from which counting takes so long that a repair in bulk is tried before."""


def takes_long(problem: AlignmentProblem) -> bool:
    """Whether the arcs of a problem are so many that counting them takes tenths of a second or more."""
    held = min(int(problem.client_capacity.max(initial=0)), problem.num_experts)
    return problem.num_clients * held * problem.num_experts > LONG


def repair_exactly(
    problem: AlignmentProblem, state: State, deadline: float, blame: Blame | None = None
) -> Witness | None:
    """Bring all loads within their hard bounds, rows being complete; return the witness if that is impossible.

    Without a witness the loads are within the state's bounds, unless it is late or ``blame`` heard where it is stuck.
    """
    crossed = np.ceil(state.least) > state.most
    if crossed.any():
        return confirm(problem, _only(len(crossed), int(np.argmax(crossed))), "demand")
    arcs = count_arcs(state, deadline)
    if arcs is None:
        return None
    for forward in (True, False):
        for j in range(len(state.loads)):
            while _wrong(state, j, forward) and not late(deadline):
                reached = _send(state, arcs, j, forward)
                if reached is not None:
                    if blame is not None:
                        blame(state, reached, forward)
                    return confirm(problem, reached, "capacity" if forward else "demand")
    return None


def _only(length: int, j: int) -> BoolArray:
    """Mark expert j alone, in a mask of this length."""
    mask = np.zeros(length, dtype=np.bool_)
    mask[j] = True
    return mask


@kernel
def _wrong(s: State, j: int, forward: bool) -> bool:
    """Whether expert j is overloaded (forward), or short of its demand (not forward)."""
    return s.experts[j, LOAD] > s.experts[j, MOST] if forward else s.experts[j, LOAD] < s.experts[j, LEAST]


def _send(state: State, arcs: Any, j: int, forward: bool) -> BoolArray | None:
    """Send at least one unit from expert j (forward) or to it; without a path, return the experts that were reached."""
    if mend_directly(state, arcs, j, forward):
        return None
    path, reached = find_path(state, arcs, j, forward)
    if len(path) == 0:
        return reached[:-1]
    push(state, arcs, path, forward)
    return None


def count_arcs(state: State, deadline: float = math.inf) -> IntArray | None:
    """Count the clients that can make each exchange, (num_experts + 1, num_experts + 1); the ground comes last.

    None if the deadline came first.
    """
    n, num_experts = state.status.shape
    arcs = np.zeros((num_experts + 1, num_experts + 1), dtype=np.int64)
    largest = max(int(state.rows[:, COUNT].max(initial=0)), 1) * num_experts
    step = max(1, LOOKS_AT_ONCE // largest)
    for first in range(0, n, step):
        if late(deadline):
            return None
        _count_clients(state, arcs, first, min(first + step, n))
    return arcs


@kernel
def _count_clients(s: State, arcs: Any, first: int, last: int) -> None:
    """Add the exchanges of clients first..last − 1 to the counts."""
    for i in range(first, last):
        _count_client(s, arcs, i, 1)


@inner
def _count_client(s: State, arcs: Any, i: int, sign: int) -> None:
    """Add one client's exchanges to the counts (sign 1) or take them out (sign −1).

    It decides what :func:`_can` does, for all pairs of the row at once, because there are very many.
    """
    status, rows, group, ground = s.status, s.rows, s.group, s.status.shape[1]
    places = rows[i, CAPACITY] - rows[i, COUNT] - rows[i, OWED]
    spare = rows[i, COUNT] > rows[i, DEMAND]
    # Additions: ground → k.
    for k in range(ground):
        g = GROUPS + PER_GROUP * group[k]
        if status[i, k] == FREE:
            due = rows[i, g + IN_GROUP] < rows[i, g + GROUP_DEMAND]
            arcs[ground, k] += sign * (places + due > 0 and rows[i, g + IN_GROUP] < rows[i, g + GROUP_CAPACITY])
    # Drops, j → ground, and swaps, j → k.
    for j in range(ground):
        if status[i, j] != HELD:
            continue
        g = GROUPS + PER_GROUP * group[j]
        loose = rows[i, g + IN_GROUP] > rows[i, g + GROUP_DEMAND]
        arcs[j, ground] += sign * (spare and loose)
        for k in range(ground):
            h = GROUPS + PER_GROUP * group[k]
            fits = g == h or (loose and rows[i, h + IN_GROUP] < rows[i, h + GROUP_CAPACITY])
            arcs[j, k] += sign * (status[i, k] == FREE and fits)


@inner
def _can(s: State, i: int, j: int, k: int) -> bool:
    """Whether client i can move a unit from node j to node k."""
    ground = s.status.shape[1]
    if j == ground:
        return s.status[i, k] == FREE and row_admits(s, i, k)
    if s.status[i, j] != HELD:
        return False
    if k == ground:
        return row_releases(s, i, j)
    return s.status[i, k] == FREE and row_trades(s, i, j, k)


@inner
def _relocate(s: State, arcs: Any, i: int, j: int, k: int) -> None:
    """Move client i's unit from node j to node k, and keep the arc counts up to date."""
    ground = s.status.shape[1]
    _count_client(s, arcs, i, -1)
    if j != ground:
        drop(s, i, j)
    if k != ground:
        take(s, i, k)
    _count_client(s, arcs, i, 1)


@inner
def _tolls(s: State, j: int, k: int) -> Any:
    """The change of penalties if a unit moves from node j to node k: at j, and at k. It is the same for all clients."""
    ground = s.status.shape[1]
    return toll(s.experts, j, -1.0) if j != ground else 0.0, toll(s.experts, k, 1.0) if k != ground else 0.0


@inner
def _gives(s: State, j: int) -> bool:
    """Whether node j can lose a unit and still meet its demand."""
    return j == s.status.shape[1] or s.experts[j, LOAD] - 1.0 >= s.experts[j, LEAST]


@inner
def _has_room(s: State, k: int) -> bool:
    """Whether node k can gain a unit within its capacity."""
    return k == s.status.shape[1] or s.experts[k, LOAD] + 1.0 <= s.experts[k, MOST]


@inner
def _movers(s: State, j: int, k: int) -> Any:
    """The clients that can move a unit from node j to node k, ascending."""
    n, ground = s.status.shape
    status, rows, group = s.status, s.rows, s.group
    found = np.empty(n, dtype=np.int64)
    number = 0
    for i in range(n):
        there = (j == ground or status[i, j] == HELD) and (k == ground or status[i, k] == FREE)
        if there and _row_lets(rows, group, i, j, k):
            found[number] = i
            number += 1
    return found[:number]


@inner
def _row_lets(rows: Any, group: Any, i: int, j: int, k: int) -> bool:
    """Whether client i's row bounds allow a unit to move from node j, which it holds, to node k, which it does not."""
    ground = len(group)
    if j == ground:
        return has_place(rows, group, i, k)
    return may_release(rows, group, i, j) if k == ground else may_swap(rows, group, i, j, k)


@inner
def _worths(s: State, clients: Any, j: int, k: int) -> Any:
    """The gain of the objective if a client moves a unit from node j to node k, for each of the clients."""
    value, (lost, paid) = s.value, _tolls(s, j, k)
    worths = np.empty(len(clients))
    for t in range(len(clients)):
        worths[t] = _worth(value, clients[t], j, k, lost, paid)
    return worths


@inner
def _worth(value: Any, i: int, j: int, k: int, lost: float, paid: float) -> float:
    """The gain if client i's unit moves from node j to node k, with the penalties ``lost`` at j and ``paid`` at k."""
    ground, worth = value.shape[1], 0.0
    if k != ground:
        worth += value[i, k] - paid
    if j != ground:
        worth -= value[i, j] + lost
    return worth


@kernel
def mend_directly(s: State, arcs: Any, v: int, forward: bool) -> bool:
    """Repair expert v by single moves, best first; False if there was none."""
    clients, others, worths = _single_moves(s, arcs, v, forward)
    moved = False
    for t in falling_order(worths):
        i = clients[t]
        j, k = (v, others[t]) if forward else (others[t], v)
        if not _wrong(s, v, forward):
            break
        if (_has_room(s, k) if forward else _gives(s, j)) and _can(s, i, j, k):
            _relocate(s, arcs, i, j, k)
            moved = True
    return moved


@kernel
def _single_moves(s: State, arcs: Any, v: int, forward: bool) -> Any:
    """List the single moves that repair expert v, in one pass: clients, other nodes and gains, by node and client."""
    n, ground = s.status.shape
    status, rows, value, group = s.status, s.rows, s.value, s.group
    at, tolls, total = np.full(ground + 1, -1, dtype=np.int64), np.empty((ground + 1, 2)), 0
    # First pass: reserve a range of the list for each other node, as long as its arc's count.
    for other in range(ground + 1):
        j, k = (v, other) if forward else (other, v)
        if other != v and arcs[j, k] > 0 and (_has_room(s, k) if forward else _gives(s, j)):
            at[other] = total
            total += arcs[j, k]
            tolls[other] = _tolls(s, j, k)
    clients, others, worths = np.empty(total, dtype=np.int64), np.empty(total, dtype=np.int64), np.empty(total)
    # Second pass: one reading of the clients fills all ranges.
    for i in range(n):
        if status[i, v] != (HELD if forward else FREE):
            continue
        for other in range(ground + 1):
            if at[other] < 0 or (other < ground and status[i, other] != (FREE if forward else HELD)):
                continue
            j, k = (v, other) if forward else (other, v)
            if not _row_lets(rows, group, i, j, k):
                continue
            t = at[other]
            at[other] += 1
            clients[t], others[t] = i, other
            worths[t] = _worth(value, i, j, k, tolls[other, 0], tolls[other, 1])
    return clients, others, worths


@kernel
def find_path(s: State, arcs: Any, v: int, forward: bool) -> Any:
    """Search breadth first from expert v, along the arcs (forward) or against them.

    Returns
    -------
    path
        Nodes in the direction of the arcs, v first or last; empty if there is none.
    reached
        (num_experts + 1,) bool: the nodes that were reached.
    """
    size = arcs.shape[0]
    parent = np.full(size, -1, dtype=np.int64)
    reached = np.zeros(size, dtype=np.bool_)
    queue = np.empty(size, dtype=np.int64)
    queue[0], reached[v] = v, True
    head, tail = 0, 1
    while head < tail:
        node = queue[head]
        head += 1
        if node != v and (_has_room(s, node) if forward else _gives(s, node)):
            return _trace(parent, node, forward), reached
        for step in range(size):
            other = size - 1 - step if step == 0 else step - 1  # the ground first: it needs no expert to give way
            found = arcs[node, other] > 0 if forward else arcs[other, node] > 0
            if found and not reached[other]:
                reached[other] = True
                parent[other] = node
                queue[tail] = other
                tail += 1
    return queue[:0].copy(), reached


@inner
def _trace(parent: Any, end: int, forward: bool) -> Any:
    """Follow the parents from the end of the path back to its start; return the path in the direction of the arcs."""
    nodes = [end]
    while parent[nodes[-1]] >= 0:
        nodes.append(parent[nodes[-1]])
    path = np.array(nodes)
    return path[::-1].copy() if forward else path


@kernel
def push(s: State, arcs: Any, path: Any, forward: bool) -> None:
    """Send units along the path, best clients first: at least one, then as many as its ends and rows allow."""
    last = len(path) - 1
    queues = []
    # Sort the clients of each arc by gain.
    for t in range(last):
        movers = _movers(s, path[t], path[t + 1])
        order = falling_order(_worths(s, movers, path[t], path[t + 1]))
        for u in range(len(order)):
            order[u] = movers[order[u]]
        queues.append(order)
    start, end = path[0], path[last]
    clients = np.empty(last, dtype=np.int64)
    # Send one unit after the other. Only the first is known to be possible: later ones are checked, and undone if they
    # fail.
    for unit in range(min([len(queue) for queue in queues])):
        for t in range(last):
            clients[t] = queues[t][unit]
        if unit > 0:
            needed = _wrong(s, start if forward else end, forward)
            if not (needed and _gives(s, start) and _has_room(s, end) and _all_can(s, clients, path)):
                return
        for t in range(last):
            _relocate(s, arcs, clients[t], path[t], path[t + 1])
        if unit > 0 and not _rows_hold(s, clients):
            for t in range(last - 1, -1, -1):
                _relocate(s, arcs, clients[t], path[t + 1], path[t])
            return


@inner
def _all_can(s: State, clients: Any, path: Any) -> bool:
    """Whether every client can still make its move of the path."""
    for t in range(len(clients)):
        if not _can(s, clients[t], path[t], path[t + 1]):
            return False
    return True


@inner
def _rows_hold(s: State, clients: Any) -> bool:
    """Whether the rows of the clients that moved are complete and within their bounds."""
    for i in clients:
        if not s.rows[i, DEMAND] <= s.rows[i, COUNT] <= s.rows[i, CAPACITY] or s.rows[i, OWED] > 0:
            return False
        for g in range(GROUPS, s.rows.shape[1], PER_GROUP):
            if s.rows[i, g + IN_GROUP] > s.rows[i, g + GROUP_CAPACITY]:
                return False
    return True

"""Moves of the local search: shift a client, swap two, or eject one and let a chain of others fill the hole.

Loads may exceed capacities. Each unit beyond has a penalty, which differs from expert to expert and changes as the
search goes on.

An ejection chain takes a client out of its expert. The hole is filled by the client that costs least there by reduced
cost (and fits); its hole is filled in turn. At each step the first client is tried at its good experts, and the best
end of the chain is kept.

Source: M. Yagiura, T. Ibaraki and F. Glover, An ejection chain approach for the generalized assignment problem,
INFORMS J. Computing 16 (2004).
"""

from typing import Any, NamedTuple

import numpy as np

from alignsolve.numerics import FloatArray, IntArray
from alignsolve.runtime.jit import inner, kernel

LONGEST_CHAIN = 6
"""Most clients that move in a chain, besides the first."""


class Terms(NamedTuple):
    """The data of the instance.

    Attributes
    ----------
    cost, load, reduced
        (num_clients, num_experts); the reduced cost under the experts' prices, 0 at each client's best expert.
    capacity
        (num_experts,).
    experts_of
        (num_clients, some) each client's experts of least reduced cost.
    clients_of
        (num_experts, some) each expert's clients of least reduced cost.
    least
        (1,) a gain below this is rounding.
    """

    cost: FloatArray
    load: FloatArray
    reduced: FloatArray
    capacity: FloatArray
    experts_of: IntArray
    clients_of: IntArray
    least: FloatArray


class Plan(NamedTuple):
    """An alignment, changed in place.

    Attributes
    ----------
    expert, place
        (num_clients,) each client's expert, and its place in the list of that expert's clients.
    members, size
        (num_experts, num_clients) and (num_experts,): each expert's clients, and their number.
    carried
        (num_experts,) loads.
    mark
        (num_clients + 1,) the number of the last chain that each client was in; the last entry is the present
        chain's.
    chain
        (2, LONGEST_CHAIN) the clients that move, and their new experts.
    stirred
        (num_experts,) 1 where clients came or left since the expert's clients were last put into the queue.
    queue, waiting, line
        (num_clients,) the clients to be improved next, in a ring; 1 for clients in it; (2,) its first place and
        length.
    """

    expert: IntArray
    place: IntArray
    members: IntArray
    size: IntArray
    carried: FloatArray
    mark: IntArray
    chain: IntArray
    stirred: IntArray
    queue: IntArray
    waiting: IntArray
    line: IntArray


def empty_plan(num_clients: int, num_experts: int) -> Plan:
    """Make room for an alignment."""
    n, e = num_clients, num_experts
    shapes = [(n,), (n,), (e, n), (e,), (n + 1,), (2, LONGEST_CHAIN), (e,), (n,), (n,), (2,)]
    expert, place, members, size, *rest = (np.zeros(shape, dtype=np.int64) for shape in shapes)
    return Plan(expert, place, members, size, np.zeros(e), *rest)


@inner
def over(load: float, capacity: float) -> float:
    """Load beyond the capacity."""
    return load - capacity if load > capacity else 0.0


@kernel
def settle(plan: Any, load: Any) -> None:
    """Compute members and loads from ``plan.expert``."""
    plan.size[:] = 0
    plan.carried[:] = 0.0
    for i in range(len(plan.expert)):
        j = plan.expert[i]
        plan.carried[j] += load[i, j]
        plan.members[j, plan.size[j]] = i
        plan.place[i] = plan.size[j]
        plan.size[j] += 1


@kernel
def shift(plan: Any, load: Any, i: int, to: int) -> None:
    """Move one client."""
    j = plan.expert[i]
    plan.size[j] -= 1
    last = plan.members[j, plan.size[j]]
    plan.members[j, plan.place[i]] = last
    plan.place[last] = plan.place[i]
    plan.members[to, plan.size[to]] = i
    plan.place[i] = plan.size[to]
    plan.size[to] += 1
    plan.carried[j] -= load[i, j]
    plan.carried[to] += load[i, to]
    plan.expert[i] = to
    plan.stirred[j] = 1
    plan.stirred[to] = 1


@inner
def shift_change(terms: Any, plan: Any, penalty: Any, i: int, to: int) -> float:
    """Change of the penalised cost if one client moves."""
    j = plan.expert[i]
    left = over(plan.carried[j] - terms.load[i, j], terms.capacity[j]) - over(plan.carried[j], terms.capacity[j])
    come = over(plan.carried[to] + terms.load[i, to], terms.capacity[to]) - over(plan.carried[to], terms.capacity[to])
    return terms.cost[i, to] - terms.cost[i, j] + penalty[j] * left + penalty[to] * come


@kernel
def descend(terms: Any, plan: Any, penalty: Any) -> None:
    """Improve until no shift, swap or chain of a client in the queue does.

    After a move, the clients of the experts that it touched are put into the queue.

    Parameters
    ----------
    terms, plan
        The instance and the alignment.
    penalty
        (num_experts,) cost of each unit of load beyond the capacity.
    """
    num_clients = len(plan.queue)
    while plan.line[1] > 0:
        i = plan.queue[plan.line[0]]
        plan.line[0] = plan.line[0] + 1 if plan.line[0] + 1 < num_clients else 0
        plan.line[1] -= 1
        plan.waiting[i] = 0
        if (
            _best_shift(terms, plan, penalty, i)
            or _best_swap(terms, plan, penalty, i)
            or eject(terms, plan, penalty, i)
        ):
            ask_stirred(plan)


@inner
def ask(plan: Any, i: int) -> None:
    """Put a client into the queue."""
    if plan.waiting[i] == 0:
        plan.waiting[i] = 1
        at = plan.line[0] + plan.line[1]
        plan.queue[at if at < len(plan.queue) else at - len(plan.queue)] = i
        plan.line[1] += 1


@inner
def ask_stirred(plan: Any) -> None:
    """Put all clients of experts that have changed into the queue."""
    for j in range(len(plan.stirred)):
        if plan.stirred[j]:
            plan.stirred[j] = 0
            for z in range(plan.size[j]):
                ask(plan, plan.members[j, z])


@inner
def _best_shift(terms: Any, plan: Any, penalty: Any, i: int) -> bool:
    """Make the client's best shift; False if none improves."""
    best, to = -terms.least[0], -1
    for j in terms.experts_of[i]:
        if j != plan.expert[i]:
            change = shift_change(terms, plan, penalty, i, j)
            if change < best:
                best, to = change, j
    if to >= 0:
        shift(plan, terms.load, i, to)
    return to >= 0


@inner
def _best_swap(terms: Any, plan: Any, penalty: Any, i: int) -> bool:
    """Make the client's best swap with a client of one of its good experts; False if none improves."""
    cost, load, capacity = terms.cost, terms.load, terms.capacity
    j = plan.expert[i]
    left = plan.carried[j] - load[i, j]
    best, to, other = -terms.least[0], -1, -1
    for t in terms.experts_of[i]:
        if t == j:
            continue
        come = plan.carried[t] + load[i, t]
        now_j, now_t = over(plan.carried[j], capacity[j]), over(plan.carried[t], capacity[t])
        relief = penalty[j] * now_j + penalty[t] * now_t
        moved = cost[i, t] - cost[i, j]
        for z in range(plan.size[t]):
            k = plan.members[t, z]
            change = moved + cost[k, j] - cost[k, t]
            # A swap saves no more penalty than there is now.
            if change - relief >= best:
                continue
            change += penalty[j] * (over(left + load[k, j], capacity[j]) - now_j)
            change += penalty[t] * (over(come - load[k, t], capacity[t]) - now_t)
            if change < best:
                best, to, other = change, t, k
    if to < 0:
        return False
    shift(plan, load, i, to)
    shift(plan, load, other, j)
    return True


@inner
def eject(terms: Any, plan: Any, penalty: Any, i: int) -> bool:
    """Make the client's best ejection chain; False if none improves."""
    cost, load, capacity = terms.cost, terms.load, terms.capacity
    clients, experts = plan.chain[0], plan.chain[1]
    plan.mark[-1] += 1
    plan.mark[i] = plan.mark[-1]
    # Take the client out.
    hole = plan.expert[i]
    inside = plan.carried[hole] - load[i, hole]
    change = penalty[hole] * (over(inside, capacity[hole]) - over(plan.carried[hole], capacity[hole])) - cost[i, hole]
    best, length, to = -terms.least[0], 0, -1
    for step in range(LONGEST_CHAIN):
        # Fill the hole, which opens the next one.
        k = _filler(terms, plan, penalty, hole, capacity[hole] - inside)
        if k < 0:
            break
        start = plan.expert[k]
        if start == plan.expert[i] or _visited(experts, step, start):
            break
        plan.mark[k] = plan.mark[-1]
        clients[step], experts[step] = k, hole
        filled = inside + load[k, hole]
        change += penalty[hole] * (over(filled, capacity[hole]) - over(inside, capacity[hole]))
        inside = plan.carried[start] - load[k, start]
        change += penalty[start] * (over(inside, capacity[start]) - over(plan.carried[start], capacity[start]))
        change += cost[k, hole] - cost[k, start]
        hole = start
        # Try to end the chain here: the client goes to one of its good experts, or into the last hole.
        for t in terms.experts_of[i]:
            if t != hole and _visited(experts, step + 1, t):
                continue
            before = inside if t == hole else plan.carried[t]
            grown = over(before + load[i, t], capacity[t]) - over(before, capacity[t])
            landed = change + cost[i, t] + penalty[t] * grown
            if landed < best:
                best, length, to = landed, step + 1, t
    if to < 0:
        return False
    shift(plan, load, i, to)
    for step in range(length):
        shift(plan, load, clients[step], experts[step])
    return True


@inner
def _filler(terms: Any, plan: Any, penalty: Any, hole: int, room: float) -> int:
    """Find the client that fills a hole: least rise of reduced cost, plus the penalty if it is too heavy."""
    best, found = np.inf, -1
    for k in terms.clients_of[hole]:
        if plan.mark[k] == plan.mark[-1] or plan.expert[k] == hole:
            continue
        heavy = terms.load[k, hole]
        extra = terms.reduced[k, hole] - terms.reduced[k, plan.expert[k]]
        if heavy > room:
            extra += penalty[hole] * (heavy - max(room, 0.0))
        if extra < best:
            best, found = extra, k
    return found


@inner
def _visited(experts: Any, length: int, j: int) -> bool:
    """Whether expert j is among the first experts of the chain."""
    for step in range(length):
        if experts[step] == j:
            return True
    return False

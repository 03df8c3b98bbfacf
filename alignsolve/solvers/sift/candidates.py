"""Which pairs the network holds: those on which an estimate of the prices leaves doubt; compiled.

Most pairs are out, or held outside the network: both sides agree on them. Where all take few, no estimate is needed:
the best few of each client and of each expert are fewer still. After each flow a pass over all pairs finds those that
were sorted wrongly: under the potentials of the solved network they would improve it.
"""

from typing import Any

import numpy as np

from alignsolve.runtime.jit import kernel, present
from alignsolve.subproblem.reduced_compiled import subtract_price

OUT, IN, HELD, GIVEN_UP = 0, 1, 2, 3
"""What becomes of a pair: not chosen, in the network, chosen outside of it, or on its way from there into it."""


@kernel
def sort_pairs(value: Any, allowed: Any, group: Any, estimate: Any, role: Any) -> int:
    """Write the role of each pair; return how many are in the network.

    A pair is out if both sides turn it down, and held if both take it, with places to spare.

    Parameters
    ----------
    value, allowed
        (num_clients, num_experts) float64 and bools; ``allowed`` may be absent.
    group
        (num_experts,) the group of each expert.
    estimate
        The :class:`~alignsolve.solvers.sift.estimate.Estimate`.
    role
        (num_clients, num_experts) uint8, filled.
    """
    num_clients, num_experts = value.shape
    clients, experts, asked = estimate.clients, estimate.experts, estimate.asked
    number = 0
    for i in range(num_clients):
        for j in range(num_experts):
            if present(allowed) and not allowed[i, j]:
                role[i, j] = OUT
                continue
            g = group[j]
            gain = subtract_price(value[i, j], asked[j], 1.0)
            worth = value[i, j] - clients.middle[i, g]
            low, high = gain < clients.low[i, g], gain > clients.high[i, g]
            if low and worth < experts.low[j]:
                role[i, j] = OUT
            elif high and worth > experts.high[j]:
                role[i, j] = HELD
            else:
                role[i, j] = IN
                number += 1
    return number


@kernel
def pairs_in(value: Any, group: Any, estimate: Any, role: Any, number: int, room: Any, most: Any, places: Any) -> Any:
    """List the pairs of the network, and choose those that are worth it while there is room.

    Parameters
    ----------
    value, group, estimate, role
        As in :func:`sort_pairs`.
    number
        How many pairs there are.
    room, most, places
        (num_clients,), (num_clients, num_groups) and (num_experts,) what each can take; reduced by what is taken.

    Returns
    -------
    clients, experts, chosen
        (number,) each.
    """
    num_clients, num_experts = value.shape
    clients, experts = np.empty(number, dtype=np.int64), np.empty(number, dtype=np.int64)
    chosen = np.zeros(number, dtype=np.bool_)
    for i in range(num_clients):
        for j in range(num_experts):
            if role[i, j] == HELD:
                room[i] -= 1
                most[i, group[j]] -= 1
                places[j] -= 1
    found = 0
    for i in range(num_clients):
        for j in range(num_experts):
            if role[i, j] != IN:
                continue
            g = group[j]
            clients[found], experts[found] = i, j
            gain = subtract_price(value[i, j], estimate.experts.middle[j], 1.0) - estimate.clients.middle[i, g]
            if gain > 0.0 and room[i] > 0 and most[i, g] > 0 and places[j] > 0:
                chosen[found] = True
                room[i] -= 1
                most[i, g] -= 1
                places[j] -= 1
            found += 1
    return clients, experts, chosen


@kernel
def misplaced(
    value: Any, allowed: Any, role: Any, group: Any, prices: Any, threshold: Any, most: int, least: float
) -> Any:
    """Find pairs outside the network that would improve the flow, and put them in.

    Those held that cost something come in all; of those out, each client's best in each group.

    Parameters
    ----------
    value, allowed, role, group
        As in :func:`sort_pairs`; ``role`` is changed.
    prices
        (num_experts,)
    threshold
        (num_clients, num_groups) what a client gives up for a pair of this group.
    most
        Pairs out that come in, for each client and group.
    least
        Only what improves the flow by more than this counts.

    Returns
    -------
    clients, experts, held
        The pairs found, and whether they were held.
    """
    num_clients, num_experts = value.shape
    num_groups = threshold.shape[1]
    kept, who = np.empty((num_groups, most)), np.empty((num_groups, most), dtype=np.int64)
    size = np.empty(num_groups, dtype=np.int64)
    clients, experts = np.empty(1024, dtype=np.int64), np.empty(1024, dtype=np.int64)
    held = np.zeros(1024, dtype=np.bool_)
    found = 0
    for i in range(num_clients):
        size[:] = 0
        given_up = 0
        for j in range(num_experts):
            g = group[j]
            gain = subtract_price(value[i, j], prices[j], 1.0) - threshold[i, g]
            if role[i, j] == HELD:
                if gain < -least:
                    role[i, j] = GIVEN_UP
                    given_up += 1
                continue
            n = size[g]
            if not gain > least or (n == most and gain <= kept[g, n - 1]):
                continue
            if role[i, j] == IN or (present(allowed) and not allowed[i, j]):
                continue
            # Insert into the group's descending list; the last one falls out when it is full.
            place = n if n < most else n - 1
            while place > 0 and kept[g, place - 1] < gain:
                kept[g, place], who[g, place] = kept[g, place - 1], who[g, place - 1]
                place -= 1
            kept[g, place], who[g, place] = gain, j
            size[g] = min(n + 1, most)
        more = given_up
        for g in range(num_groups):
            more += size[g]
        if more == 0:
            continue
        while found + more > len(clients):
            clients = np.concatenate((clients, np.empty(len(clients) + more, dtype=np.int64)))
            experts = np.concatenate((experts, np.empty(len(experts) + more, dtype=np.int64)))
            held = np.concatenate((held, np.zeros(len(held) + more, dtype=np.bool_)))
        for g in range(num_groups):
            for z in range(size[g]):
                role[i, who[g, z]] = IN
                clients[found], experts[found] = i, who[g, z]
                found += 1
        if given_up > 0:
            for j in range(num_experts):
                if role[i, j] == GIVEN_UP:
                    role[i, j] = IN
                    clients[found], experts[found], held[found] = i, j, True
                    found += 1
    return clients[:found], experts[:found], held[:found]


@kernel
def best_of_experts(value: Any, allowed: Any, role: Any, count: Any) -> Any:
    """Find each expert's best clients, ``count`` of them, and put those pairs in that are out.

    Arguments as in :func:`sort_pairs`; ``count`` is (num_experts,).

    Returns
    -------
    clients, experts
        The pairs put in.
    """
    num_clients, num_experts = value.shape
    start = np.zeros(num_experts + 1, dtype=np.int64)
    for j in range(num_experts):
        start[j + 1] = start[j] + min(count[j], num_clients)
    key, who = np.empty(start[-1]), np.empty(start[-1], dtype=np.int64)
    size, root = np.zeros(num_experts, dtype=np.int64), np.full(num_experts, -np.inf)
    # A heap for each expert, its least on top; rows are read in order.
    for i in range(num_clients):
        for j in range(num_experts):
            gain, s, room = value[i, j], start[j], start[j + 1] - start[j]
            full = size[j] == room
            if (full and gain <= root[j]) or room == 0 or (present(allowed) and not allowed[i, j]):
                continue
            if full:
                # Replace the top and let it sink.
                place = 0
                while True:
                    child = 2 * place + 1
                    if child >= room:
                        break
                    if child + 1 < room and key[s + child + 1] < key[s + child]:
                        child += 1
                    if key[s + child] >= gain:
                        break
                    key[s + place], who[s + place] = key[s + child], who[s + child]
                    place = child
            else:
                # Append and let it rise.
                place = size[j]
                size[j] += 1
                while place > 0 and key[s + ((place - 1) >> 1)] > gain:
                    parent = (place - 1) >> 1
                    key[s + place], who[s + place] = key[s + parent], who[s + parent]
                    place = parent
            key[s + place], who[s + place] = gain, i
            root[j] = key[s]
    clients, experts = np.empty(start[-1], dtype=np.int64), np.empty(start[-1], dtype=np.int64)
    found = 0
    for j in range(num_experts):
        for z in range(start[j], start[j] + size[j]):
            i = who[z]
            if role[i, j] == OUT:
                role[i, j] = IN
                clients[found], experts[found] = i, j
                found += 1
    return clients[:found], experts[:found]


@kernel
def best_out(value: Any, allowed: Any, role: Any, group: Any, prices: Any, rows: Any, groups: Any, most: int) -> Any:
    """Find the best pairs that are out, ``most`` for each of some clients and groups.

    Parameters
    ----------
    value, allowed, role, group, prices
        As in :func:`misplaced`.
    rows, groups
        (number,) the clients and groups.

    Returns
    -------
    clients, experts
        The pairs found.
    """
    num_experts = value.shape[1]
    clients, experts = np.empty(most * len(rows), dtype=np.int64), np.empty(most * len(rows), dtype=np.int64)
    kept, found = np.empty(most), 0
    for t in range(len(rows)):
        i, size = rows[t], 0
        for j in range(num_experts):
            if group[j] != groups[t] or role[i, j] != OUT or (present(allowed) and not allowed[i, j]):
                continue
            gain = subtract_price(value[i, j], prices[j], 1.0)
            if size == most and not gain > kept[size - 1]:
                continue
            # Insert into the descending list; the last one falls out when it is full.
            place = size if size < most else size - 1
            while place > 0 and kept[place - 1] < gain:
                kept[place], experts[found + place] = kept[place - 1], experts[found + place - 1]
                place -= 1
            kept[place], experts[found + place] = gain, j
            size = min(size + 1, most)
        clients[found : found + size] = i
        found += size
    return clients[:found], experts[:found]

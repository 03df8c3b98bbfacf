"""Which pairs the network holds: the most promising ones of each client and of each expert; compiled.

A client's best experts are looked for in each of its groups, so that no layer is left without. The same pass finds what
was left out: under the potentials of a solved network, a pair outside it that would improve the flow.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from alignsolve.numerics import IntArray
from alignsolve.runtime.jit import kernel, present
from alignsolve.solvers.sift.network import Terms
from alignsolve.subproblem.grouped_rows import to_front
from alignsolve.subproblem.reduced_compiled import subtract_price

BESIDE = 3
"""Experts on either side of a client's place."""


@kernel
def best_of_groups(
    value: Any, allowed: Any, inside: Any, group: Any, prices: Any, threshold: Any, count: Any, least: float
) -> Any:
    """Find each client's best pairs outside the network, group by group, and put them inside.

    Parameters
    ----------
    value
        (num_clients, num_experts) float64.
    allowed
        The same shape, bools; may be absent.
    inside
        The same shape, bools: pairs of the network; changed in place.
    group
        (num_experts,) the group of each expert.
    prices
        (num_experts,)
    threshold
        (num_clients, num_groups) what a client gives up for a pair of this group.
    count
        (num_clients,) pairs wanted in each group, at most.
    least
        Only pairs whose value − price − threshold exceeds this count.

    Returns
    -------
    clients, experts
        The pairs found.
    """
    num_clients, num_experts = value.shape
    num_groups = threshold.shape[1]
    widest = 0
    for i in range(num_clients):
        widest = max(widest, count[i])
    kept, who = np.empty((num_groups, widest)), np.empty((num_groups, widest), dtype=np.int64)
    size = np.empty(num_groups, dtype=np.int64)
    clients, experts = np.empty(1024, dtype=np.int64), np.empty(1024, dtype=np.int64)
    found = 0
    for i in range(num_clients):
        size[:] = 0
        most = count[i]
        for j in range(num_experts):
            g = group[j]
            gain = subtract_price(value[i, j], prices[j], 1.0) - threshold[i, g]
            n = size[g]
            if not gain > least or (n == most and (most == 0 or gain <= kept[g, n - 1])):
                continue
            if inside[i, j] or (present(allowed) and not allowed[i, j]):
                continue
            # Insert into the group's descending list; the last one falls out when it is full.
            place = n if n < most else n - 1
            while place > 0 and kept[g, place - 1] < gain:
                kept[g, place], who[g, place] = kept[g, place - 1], who[g, place - 1]
                place -= 1
            kept[g, place], who[g, place] = gain, j
            size[g] = min(n + 1, most)
        for g in range(num_groups):
            if found + size[g] > len(clients):
                clients = np.concatenate((clients, np.empty(len(clients) + widest, dtype=np.int64)))
                experts = np.concatenate((experts, np.empty(len(experts) + widest, dtype=np.int64)))
            for z in range(size[g]):
                inside[i, who[g, z]] = True
                clients[found], experts[found] = i, who[g, z]
                found += 1
    return clients[:found], experts[:found]


@kernel
def best_of_experts(value: Any, allowed: Any, inside: Any, count: Any) -> Any:
    """Find each expert's best clients, ``count`` of them, and put the pairs inside that are not yet.

    Arguments and result as in :func:`best_of_groups`; ``count`` is (num_experts,).
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
            if not inside[i, j]:
                inside[i, j] = True
                clients[found], experts[found] = i, j
                found += 1
    return clients[:found], experts[:found]


@kernel
def beyond_capacity(value: Any, allowed: Any, prices: Any, capacity: Any) -> Any:
    """Each client's first value − price beyond its capacity, (num_clients,): what one more expert would bring; ≥ 0."""
    num_clients, num_experts = value.shape
    asked, row = np.zeros(num_clients), np.empty(num_experts)
    for i in range(num_clients):
        worthwhile = 0
        for j in range(num_experts):
            gain = subtract_price(value[i, j], prices[j], 1.0)
            if gain > 0.0 and (not present(allowed) or allowed[i, j]):
                row[worthwhile] = gain
                worthwhile += 1
        if worthwhile > capacity[i]:
            to_front(row, 0, worthwhile, capacity[i])
            for q in range(capacity[i], worthwhile):
                asked[i] = max(asked[i], row[q])
    return asked


def bands(terms: Terms, wanted: IntArray) -> Iterator[tuple[IntArray, IntArray]]:
    """Pairs of like rank: clients and experts in the order of their mean values, side by side.

    Where fitness is nearly a product, the best alignment pairs the strong with the strong. The experts fill up either
    one after the other, the best first, or all in the same proportion: there is a band of pairs for both.

    Parameters
    ----------
    terms
        The problem's.
    wanted
        (num_clients,) pairs that each client can take.

    Yields
    ------
    clients, experts
        Pairs, each once in a band.
    """
    value = terms.value if terms.allowed is None else np.where(terms.allowed, terms.value, 0.0)
    clients, experts = np.argsort(-value.mean(axis=1), kind="stable"), np.argsort(-value.mean(axis=0), kind="stable")
    room = np.minimum(terms.expert_room, len(clients))[experts]
    begin = np.cumsum(wanted[clients]) - wanted[clients]
    total = max(int(wanted.sum()), 1)
    for scale in (1.0, total / max(int(room.sum()), 1)):
        ends = np.cumsum(room) * scale
        first = np.searchsorted(ends, begin, side="right") - BESIDE
        last = np.searchsorted(ends, begin + wanted[clients], side="left") + BESIDE
        first, last = np.clip(first, 0, len(experts)), np.clip(last + 1, 0, len(experts))
        width = np.maximum(last - first, 0)
        who = np.repeat(np.arange(len(clients)), width)
        place = np.arange(len(who)) - np.repeat(np.cumsum(width) - width, width) + first[who]
        yield clients[who], experts[place]

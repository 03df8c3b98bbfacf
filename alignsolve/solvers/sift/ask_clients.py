"""The clients' turn: each one's own problem under prices, and where its decisions change; compiled."""

from typing import Any

import numpy as np

from alignsolve.runtime.jit import inner, kernel, present
from alignsolve.solvers.sift.places import around, between, edge, few_beside, look_nearby, suffices
from alignsolve.subproblem.grouped_rows import to_front
from alignsolve.subproblem.reduced_compiled import subtract_price


@kernel
def ask_clients(
    value: Any, allowed: Any, order: Any, first: Any, least: Any, most: Any, room: Any, prices: Any, band: Any,
    near: Any, balanced: bool, final: bool, begin: int, end: int,
) -> Any:  # fmt: skip
    """Solve the own problems of clients begin..end − 1 under prices, and write where their decisions change.

    Parameters
    ----------
    value, allowed
        (num_clients, num_experts) float64 and bools; ``allowed`` may be absent.
    order, first
        (num_experts,) the experts group by group, and (num_groups + 1,) where each group begins.
    least, most
        (num_clients, num_groups)
    room
        (num_clients,)
    prices
        (num_experts,)
    band, near
        The :class:`Band` and the :class:`Near` of the clients, filled.
    balanced
        Whether all clients together could take more than there are places.
    final
        Whether the bands must be whole.

    Returns
    -------
    pool, beyond
        The values near 0 that clients would take if they had to be full, and how many they would take beside these;
        nothing unless balanced.
    """
    num_experts = value.shape[1]
    row, rest, edges = np.empty(num_experts), np.empty(num_experts + 1), np.empty((4, len(first) - 1))
    size = 0
    for i in range(begin, end):
        size += min(room[i], num_experts)
    pool, pooled, beyond = np.empty(size if balanced else 0), 0, 0
    for i in range(begin, end):
        bottom, top = near.bottom[i], near.top[i]
        sure = balanced and bottom > near.margin[0]
        if balanced and not sure:
            bottom, top = min(bottom, -near.margin[0]), max(top, near.margin[0])
        while True:
            taken, above, left = _keep_nearby(
                value, allowed, order, first, least, most, prices, i, bottom, top, row, rest, edges
            )
            # The best of the rest, while there is room and they are worth something.
            spare, worthwhile = max(room[i] - taken, 0), above
            for q in range(left):
                worthwhile += rest[q] > 0.0
            place = min(spare, worthwhile)
            few = few_beside(place, above, left, final)
            if suffices(above, left, place, few, bottom):
                break
            bottom, top = -np.inf, np.inf
        last, next_, low, high = around(rest, left, place - above, few)
        middle = max(between(last, next_), 0.0) if place == spare else 0.0
        look_nearby(near, i, middle, last, next_, low, high)
        _write_bands(band, i, least, edges, middle, low, high)
        if sure:
            beyond += spare + taken
        elif balanced:
            # All that the client would take if it had to be full; what groups demand is taken in any case.
            number = min(max(spare - above, 0), left)
            beyond += taken + min(spare, above)
            to_front(rest, 0, left, number)
            for q in range(number):
                pool[pooled] = rest[q]
                pooled += 1
    return pool[:pooled], beyond


@inner
def _keep_nearby(
    value: Any, allowed: Any, order: Any, first: Any, least: Any, most: Any, prices: Any, i: int, bottom: float,
    top: float, row: Any, rest: Any, edges: Any,
) -> Any:  # fmt: skip
    """Take what groups demand, and keep those values near the threshold that their capacities leave open.

    ``edges`` says for each group the last value that its demand takes and the best other one, and the same of its
    capacity. Return how many are taken, how many are above, and how many are kept.
    """
    taken = above = left = 0
    for g in range(len(first) - 1):
        begin, end = first[g], first[g + 1]
        need = min(least[i, g], end - begin)
        number = min(max(most[i, g], need), end - begin)
        taken += need
        if need > 1 or number < end - begin:
            # Bounds that take selection.
            for q in range(begin, end):
                j = order[q]
                possible = not present(allowed) or allowed[i, j]
                row[q] = subtract_price(value[i, j], prices[j], 1.0) if possible else -np.inf
            to_front(row, begin, end, need)
            to_front(row, begin + need, end, number - need)
            edges[0, g], edges[1, g] = edge(row, begin, end, need)
            edges[2, g], edges[3, g] = edge(row, begin, end, number)
            for q in range(begin + need, begin + number):
                rest[left] = row[q]
                left += (row[q] > bottom) & (row[q] <= top)
                above += row[q] > top
            continue
        # The usual case in one pass: the best two of the group are found on the way.
        best = second = -np.inf if need == 1 else np.inf
        for q in range(begin, end):
            j = order[q]
            if present(allowed) and not allowed[i, j]:
                continue
            gain = subtract_price(value[i, j], prices[j], 1.0)
            if need == 1:
                gain, best = min(gain, best), max(gain, best)
                second = max(second, gain)
            rest[left] = gain
            left += (gain > bottom) & (gain <= top)
            above += gain > top
        edges[0, g], edges[1, g], edges[2, g], edges[3, g] = best, second, np.inf, -np.inf
    return taken, above, left


@inner
def _write_bands(band: Any, i: int, least: Any, edges: Any, middle: float, low: float, high: float) -> None:
    """Write a client's bands: that of its total, but where a group's own bounds bind or nearly do."""
    for g in range(edges.shape[1]):
        band.middle[i, g], band.low[i, g], band.high[i, g] = middle, low, high
        last, next_ = edges[0, g], edges[1, g]
        if least[i, g] > 0 and last < high:
            # Near the group's demand: what is taken for its sake, and what would be taken instead.
            band.low[i, g], band.high[i, g] = min(low, next_), max(high, last)
            if last < middle:
                band.middle[i, g] = between(last, next_)
        last, next_ = edges[2, g], edges[3, g]
        if next_ > middle:
            # Its capacity binds: all others of the group are out.
            band.low[i, g], band.high[i, g], band.middle[i, g] = next_, max(high, last), between(last, next_)

"""The experts' turn: each one's best clients under their thresholds, and where its decisions change; compiled."""

from typing import Any

import numpy as np

from alignsolve.runtime.jit import inner, kernel, present
from alignsolve.solvers.sift.places import BY_INSERTION, beside, between, few_beside, look_nearby, sort_best, suffices

AT_ONCE = 16
"""Experts whose columns are gathered together: a cache line holds the values of several."""


@kernel
def ask_experts(
    value: Any, allowed: Any, group: Any, threshold: Any, ends: Any, cost: Any, edges: Any, band: Any, near: Any,
    balanced: bool, final: bool, begin: int, end: int,
) -> Any:  # fmt: skip
    """Let experts begin..end − 1 choose their best clients, and write where their decisions change.

    Parameters
    ----------
    value, allowed
        (num_clients, num_experts) float64 and bools; ``allowed`` may be absent.
    group
        (num_experts,)
    ends, cost
        (num_pieces, num_experts) the load at which each piece of an expert's bounds ends, at most num_clients, and what
        a unit in it costs.
    threshold
        (num_clients, num_groups) what a pair must bring a client.
    edges
        (2, num_pieces, num_experts) the last value taken in each piece, and the best one after it; filled.
    band, near
        The :class:`Band` and the :class:`Near` of the experts, filled.
    balanced
        Whether all experts together could take more than clients would.
    final
        Whether the bands must be whole.

    Returns
    -------
    pool, beyond
        As of the clients.
    """
    num_clients, num_experts = value.shape
    column, left, above = np.empty((AT_ONCE, num_clients)), np.zeros(AT_ONCE, np.int64), np.zeros(AT_ONCE, np.int64)
    size = 0
    for j in range(begin, end):
        size += ends[-1, j]
    pool, pooled, beyond = np.empty(size if balanced else 0), 0, 0
    bottom, top, sure = near.bottom.copy(), near.top.copy(), np.empty(num_experts, dtype=np.bool_)
    for j in range(begin, end):
        sure[j] = bottom[j] > near.margin[0]
        if balanced and not sure[j]:
            bottom[j], top[j] = min(bottom[j], -near.margin[0]), max(top[j], near.margin[0])
        if ends[-1, j] <= BY_INSERTION:
            top[j] = np.inf
    for first in range(begin, end, AT_ONCE):
        after = min(first + AT_ONCE, end)
        _gather(value, allowed, group, threshold, bottom, top, first, after, column, left, above)
        for j in range(first, after):
            c = j - first
            own, last = column[c], ends[-1, j]
            kept, over = left[c], above[c]
            while True:
                # All places that are asked for lie among the best.
                most = few_beside(last, over, kept, True)
                sort_best(own, kept, max(last - over, 0) + most)
                place = _settle(own, kept, over, ends, cost, j, edges)
                few = few_beside(place, over, kept, final)
                if suffices(over, kept, place, few, bottom[j]):
                    break
                bottom[j], top[j] = -np.inf, np.inf
                _gather(value, allowed, group, threshold, bottom, top, j, j + 1, column[c:], left[c:], above[c:])
                kept, over = left[c], above[c]
            if balanced and sure[j]:
                beyond += last
            elif balanced:
                # All that the expert would take if it had to be full; what it demands is taken in any case.
                number = min(max(last - over, 0), kept)
                need = min(max(ends[0, j] - over, 0), number) if cost[0, j] < 0.0 else 0
                beyond += need + min(last, over)
                for q in range(need, number):
                    pool[pooled] = own[q]
                    pooled += 1
            inside, outside, band.low[j], band.high[j] = beside(own, kept, place - over, few)
            look_nearby(near, j, _price(edges, ends, cost, j, 0.0), inside, outside, band.low[j], band.high[j])
    return pool[:pooled], beyond


@kernel
def prices_after(edges: Any, ends: Any, cost: Any, shift: float, prices: Any) -> None:
    """Write the price of each expert, (num_experts,), when all thresholds have risen by ``shift``."""
    for j in range(len(prices)):
        prices[j] = _price(edges, ends, cost, j, shift)


@inner
def _gather(
    value: Any, allowed: Any, group: Any, threshold: Any, bottom: Any, top: Any, begin: int, end: int, column: Any,
    left: Any, above: Any,
) -> None:  # fmt: skip
    """Collect the columns' values near the prices of some experts, and count those above."""
    for i in range(len(value)):
        for j in range(begin, end):
            possible = not present(allowed) or allowed[i, j]
            column[j - begin, i] = value[i, j] - threshold[i, group[j]] if possible else -np.inf
    for j in range(begin, end):
        own, kept, more = column[j - begin], 0, 0
        for i in range(len(value)):
            worth = own[i]
            own[kept] = worth
            kept += (worth > bottom[j]) & (worth <= top[j])
            more += worth > top[j]
        left[j - begin], above[j - begin] = kept, more


@inner
def _settle(own: Any, left: int, above: int, ends: Any, cost: Any, j: int, edges: Any) -> int:
    """Write the values at the ends of an expert's pieces; return how many clients it takes at its price.

    The best values stand first in falling order, beyond the last end.
    """
    for k in range(len(ends)):
        edges[0, k, j] = edges[1, k, j] = np.inf
    for k in range(len(ends) - 1, -1, -1):
        if ends[k, j] >= above and (ends[k, j] > 0 or k == len(ends) - 1):
            place = min(ends[k, j] - above, left)
            edges[0, k, j] = own[place - 1] if place > 0 else np.inf
            edges[1, k, j] = own[place] if place < left else -np.inf
            if edges[0, k, j] > cost[k, j]:
                break  # the piece is full, and so are those before it
    price, last = _price(edges, ends, cost, j, 0.0), min(ends[-1, j] - above, left)
    place = 0
    while place < last and own[place] > price:
        place += 1
    return min(above + place, ends[-1, j])


@inner
def _price(edges: Any, ends: Any, cost: Any, j: int, shift: float) -> float:
    """The price at which an expert's load is what its clients want, when all thresholds have risen by ``shift``."""
    for k in range(len(ends)):
        above = cost[k + 1, j] if k + 1 < len(ends) else np.inf
        if ends[k, j] > 0 and edges[1, k, j] - shift <= above:
            return min(max(between(edges[0, k, j], edges[1, k, j]) - shift, cost[k, j]), above)
    return max(edges[1, -1, j] - shift, 0.0)

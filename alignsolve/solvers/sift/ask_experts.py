"""The experts' turn: each one's best clients under their thresholds, and where its decisions change; compiled."""

from typing import Any

import numpy as np

from alignsolve.runtime.jit import inner, kernel, present
from alignsolve.solvers.sift.places import around, between, few_beside, look_nearby, suffices
from alignsolve.subproblem.grouped_rows import to_front

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
    for first in range(begin, end, AT_ONCE):
        after = min(first + AT_ONCE, end)
        _gather(value, allowed, group, threshold, bottom, top, first, after, column, left, above)
        for j in range(first, after):
            c = j - first
            while True:
                place = _settle(column[c], left[c], above[c], ends, cost, j, edges)
                few = few_beside(place, above[c], left[c], final)
                if suffices(above[c], left[c], place, few, bottom[j]):
                    break
                bottom[j], top[j] = -np.inf, np.inf
                _gather(value, allowed, group, threshold, bottom, top, j, j + 1, column[c:], left[c:], above[c:])
            if balanced and sure[j]:
                beyond += ends[-1, j]
            elif balanced:
                # All that the expert would take if it had to be full; what it demands is taken in any case.
                number = min(max(ends[-1, j] - above[c], 0), left[c])
                need = min(max(ends[0, j] - above[c], 0), number) if cost[0, j] < 0.0 else 0
                beyond += need + min(ends[-1, j], above[c])
                to_front(column[c], 0, left[c], number)
                to_front(column[c], 0, number, need)
                for q in range(need, number):
                    pool[pooled] = column[c, q]
                    pooled += 1
            inside, outside, band.low[j], band.high[j] = around(column[c], left[c], place - above[c], few)
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
    """Write the values at the ends of an expert's pieces; return how many clients it takes at its price."""
    few = few_beside(ends[-1, j], above, left, True)
    for k in range(len(ends)):
        edges[0, k, j] = edges[1, k, j] = np.inf
    for k in range(len(ends) - 1, -1, -1):
        if ends[k, j] >= above and (ends[k, j] > 0 or k == len(ends) - 1):
            edges[0, k, j], edges[1, k, j], _, _ = around(own, left, min(ends[k, j] - above, left), few)
            if edges[0, k, j] > cost[k, j]:
                break  # the piece is full, and so are those before it
    price, place = _price(edges, ends, cost, j, 0.0), above
    for q in range(left):
        place += own[q] > price
    return min(place, ends[-1, j])


@inner
def _price(edges: Any, ends: Any, cost: Any, j: int, shift: float) -> float:
    """The price at which an expert's load is what its clients want, when all thresholds have risen by ``shift``."""
    for k in range(len(ends)):
        above = cost[k + 1, j] if k + 1 < len(ends) else np.inf
        if ends[k, j] > 0 and edges[1, k, j] - shift <= above:
            return min(max(between(edges[0, k, j], edges[1, k, j]) - shift, cost[k, j]), above)
    return max(edges[1, -1, j] - shift, 0.0)

"""The experts' turn: each one's best clients under their thresholds, and where its decisions change; compiled."""

from typing import Any

import numpy as np

from alignsolve.runtime.jit import inner, kernel, present
from alignsolve.solvers.sift.places import around, between, common_amount, few_beside, look_nearby, suffices
from alignsolve.subproblem.grouped_rows import to_front

AT_ONCE = 16
"""Experts whose columns are gathered together: a cache line holds the values of several."""


@kernel
def ask_experts(
    value: Any, allowed: Any, group: Any, ends: Any, cost: Any, wanted: int, clients: Any, near_clients: Any,
    band: Any, near: Any, final: bool,
) -> None:  # fmt: skip
    """Let each expert choose its best clients under their thresholds, and write where its decisions change.

    Parameters
    ----------
    value, allowed
        (num_clients, num_experts) float64 and bools; ``allowed`` may be absent.
    group
        (num_experts,)
    ends, cost
        (num_pieces, num_experts) the load at which each piece of an expert's bounds ends, at most num_clients, and what
        a unit in it costs.
    wanted
        What all clients can take. Where all experts could take more, thresholds are raised by a common amount.
    clients, near_clients
        The :class:`Band` and the :class:`Near` of the clients; thresholds are changed by the common amount.
    band, near
        The :class:`Band` and the :class:`Near` of the experts, filled.
    final
        Whether the bands must be whole.
    """
    num_clients, num_experts = value.shape
    column, left, above = np.empty((AT_ONCE, num_clients)), np.zeros(AT_ONCE, np.int64), np.zeros(AT_ONCE, np.int64)
    last, next_ = np.empty((len(ends), num_experts)), np.empty((len(ends), num_experts))
    places = 0
    for j in range(num_experts):
        places += ends[-1, j]
    balanced = places > wanted
    pool, pooled, beyond = np.empty(places if balanced else 0), 0, 0
    bottom, top, sure = near.bottom.copy(), near.top.copy(), np.empty(num_experts, dtype=np.bool_)
    for j in range(num_experts):
        sure[j] = bottom[j] > near.margin[0]
        if balanced and not sure[j]:
            bottom[j], top[j] = min(bottom[j], -near.margin[0]), max(top[j], near.margin[0])
    for begin in range(0, num_experts, AT_ONCE):
        end = min(begin + AT_ONCE, num_experts)
        _gather(value, allowed, group, clients.middle, bottom, top, begin, end, column, left, above)
        for j in range(begin, end):
            c = j - begin
            while True:
                place = _settle(column[c], left[c], above[c], ends, cost, j, last, next_)
                few = few_beside(place, above[c], left[c], final)
                if suffices(above[c], left[c], place, few, bottom[j]):
                    break
                bottom[j], top[j] = -np.inf, np.inf
                _gather(value, allowed, group, clients.middle, bottom, top, j, j + 1, column[c:], left[c:], above[c:])
            if balanced and sure[j]:
                beyond += ends[-1, j]
            elif balanced:
                number = min(max(ends[-1, j] - above[c], 0), left[c])
                beyond += min(ends[-1, j], above[c])
                to_front(column[c], 0, left[c], number)
                for q in range(number):
                    pool[pooled] = column[c, q]
                    pooled += 1
            inside, outside, band.low[j], band.high[j] = around(column[c], left[c], place - above[c], few)
            look_nearby(near, j, _price(last, next_, ends, cost, j, 0.0), inside, outside, band.low[j], band.high[j])
    shift = common_amount(pool, pooled, wanted - beyond, near)
    for j in range(num_experts):
        band.middle[j] = near.middle[j] = _price(last, next_, ends, cost, j, shift)
        band.low[j] -= shift
        band.high[j] -= shift
        near.bottom[j] -= shift
        near.top[j] -= shift
    for i in range(num_clients):
        near_clients.middle[i] += shift
        near_clients.bottom[i] += shift
        near_clients.top[i] += shift
        for g in range(clients.middle.shape[1]):
            clients.middle[i, g] += shift


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
def _settle(own: Any, left: int, above: int, ends: Any, cost: Any, j: int, last: Any, next_: Any) -> int:
    """Write the values at the ends of an expert's pieces; return how many clients it takes at its price."""
    few = few_beside(ends[-1, j], above, left, True)
    for k in range(len(ends)):
        last[k, j] = next_[k, j] = np.inf
        if ends[k, j] >= above and (ends[k, j] > 0 or k == len(ends) - 1):
            last[k, j], next_[k, j], _, _ = around(own, left, min(ends[k, j] - above, left), few)
    price, place = _price(last, next_, ends, cost, j, 0.0), above
    for q in range(left):
        place += own[q] > price
    return min(place, ends[-1, j])


@inner
def _price(last: Any, next_: Any, ends: Any, cost: Any, j: int, shift: float) -> float:
    """The price at which an expert's load is what its clients want, when all thresholds have risen by ``shift``."""
    for k in range(len(ends)):
        above = cost[k + 1, j] if k + 1 < len(ends) else np.inf
        if ends[k, j] > 0 and next_[k, j] - shift <= above:
            return min(max(between(last[k, j], next_[k, j]) - shift, cost[k, j]), above)
    return max(next_[-1, j] - shift, 0.0)

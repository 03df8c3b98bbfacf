"""Nearly right prices before any flow is known: clients and experts answer each other by turns; compiled.

Given the experts' prices, a client's own problem says what one more expert must bring it: its threshold. Given the
clients' thresholds, an expert's price is where its best clients end. Each turn is one pass over all pairs.

By turns alone this is slow: all prices could rise and all thresholds fall by the same amount, and hardly anyone would
notice. So in each turn that common amount is settled at once: those who together can take less, clients or experts,
take all that they can.

From the second turn on, a pass sorts only the values near the last threshold; of the others it is enough to count those
above. Where that was too narrow, the row or the column is looked at once more, as a whole.

The same passes tell, for each client and each expert, between which values a pair is uncertain: a few places above and
below the threshold. All other pairs are as good as decided.
"""

from typing import Any, NamedTuple

import numpy as np

from alignsolve.numerics import FloatArray
from alignsolve.runtime.jit import absent, inner, kernel, present
from alignsolve.solvers.sift.network import Terms
from alignsolve.subproblem.grouped_rows import to_front
from alignsolve.subproblem.reduced_compiled import subtract_price

AT_LEAST, SPREAD = 3.0, 0.5
"""Uncertain places on either side of a threshold: so many, and so many times the root of the number taken."""
REACH, WIDER = 2.0, 1.0
"""How far values are sorted beyond the last band: so many times its last change, and such a share of its width."""
FIRST_CHANGE = 0.1
"""What the second turn is expected to change, as a share of what the first one found."""
SETTLING = 0.25
"""The next common amount is expected to be at most this many times the last one; more is cut off."""
AT_ONCE = 16
"""Experts whose columns are gathered together: a cache line holds the values of several."""


class Band(NamedTuple):
    """Where decisions change, (num_clients, num_groups) or (num_experts,) each.

    Attributes
    ----------
    middle
        The threshold, or the price.
    low, high
        A pair below ``low`` is out, a pair above ``high`` is in, as far as this side tells.
    """

    middle: FloatArray
    low: FloatArray
    high: FloatArray


class Near(NamedTuple):
    """Which values the next pass sorts, (num_clients,) or (num_experts,) each.

    Attributes
    ----------
    middle
        The threshold of a client in groups whose own bounds do not bind, or the price.
    bottom, top
        Values up to ``bottom`` are left out, those above ``top`` are counted.
    margin
        (1,) how large a common amount the next pass can find.
    """

    middle: FloatArray
    bottom: FloatArray
    top: FloatArray
    margin: FloatArray


class Estimate(NamedTuple):
    """The bands of both sides: thresholds of clients by group, and prices of experts.

    Attributes
    ----------
    clients, experts
        Those of clients say where value − ``asked`` changes, those of experts where value − threshold does.
    total
        (num_clients,) what one more expert in all must bring: the threshold in groups whose own bounds do not bind.
    asked
        (num_experts,) the prices that clients answered last.
    """

    clients: Band
    experts: Band
    total: FloatArray
    asked: FloatArray


def by_turns(terms: Terms, prices: FloatArray, turns: int, reward: float) -> Estimate:
    """Estimate thresholds and prices.

    Parameters
    ----------
    terms
        The problem's.
    prices
        (num_experts,) to begin from.
    turns
        How often both sides answer.
    reward
        For a unit of a hard demand of an expert.
    """
    n, e = terms.value.shape
    num_groups = terms.group_demand.shape[1]
    allowed = absent(np.bool_) if terms.allowed is None else terms.allowed
    order = np.argsort(terms.group, kind="stable")
    first = np.concatenate([[0], np.cumsum(np.bincount(terms.group, minlength=num_groups))])
    least = np.maximum(terms.group_demand - terms.fixed_inside, 0)
    most = np.maximum(terms.group_capacity - terms.fixed_inside, 0)
    room = np.maximum(terms.client_capacity - terms.fixed_inside.sum(axis=1), 0)
    pieces = terms.expert_pieces(reward)
    ends = np.clip(np.cumsum(pieces.width, axis=0) - terms.fixed_loads, 0, n)
    clients, experts = Band(*np.zeros((3, n, num_groups))), Band(*np.zeros((3, e)))
    near_clients, near_experts = (
        Near(np.full(m, np.nan), np.full(m, -np.inf), np.full(m, np.inf), np.full(1, np.inf)) for m in (n, e)
    )
    experts.middle[:] = prices
    asked = experts.middle
    for turn in range(turns):
        final = turn == turns - 1
        asked = experts.middle.copy()
        ask_clients(
            terms.value, allowed, order, first, least, most, room, int(ends[-1].sum()), asked, clients, near_clients,
            final,
        )  # fmt: skip
        ask_experts(
            terms.value, allowed, terms.group, ends, pieces.cost, int(np.minimum(room, e).sum()), clients, near_clients,
            experts, near_experts, final,
        )  # fmt: skip
    return Estimate(clients, experts, near_clients.middle, asked)


@kernel
def ask_clients(
    value: Any, allowed: Any, order: Any, first: Any, least: Any, most: Any, room: Any, places: int, prices: Any,
    band: Any, near: Any, final: bool,
) -> None:  # fmt: skip
    """Solve each client's own problem under prices, and write where its decisions change.

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
    places
        What all experts can take. Where all clients could take more, prices are raised by a common amount first.
    prices
        (num_experts,) changed by the common amount.
    band, near
        The :class:`Band` and the :class:`Near` of the clients, filled.
    final
        Whether the bands must be whole.
    """
    num_clients, num_experts = value.shape
    num_groups = len(first) - 1
    row, rest = np.empty(num_experts), np.empty(num_experts + 1)
    edge = np.empty((4, num_groups))
    wanted = demanded = 0
    for i in range(num_clients):
        wanted += min(room[i], num_experts)
        for g in range(num_groups):
            demanded += min(least[i, g], first[g + 1] - first[g])
    balanced = wanted > places
    pool, pooled, beyond = np.empty(wanted + demanded if balanced else 0), 0, 0
    for i in range(num_clients):
        bottom, top = near.bottom[i], near.top[i]
        sure = balanced and bottom > near.margin[0]
        if balanced and not sure:
            bottom, top = min(bottom, -near.margin[0]), max(top, near.margin[0])
        while True:
            # What groups demand is taken; of what their capacities leave open, the values near the threshold are kept.
            taken = above = left = 0
            for g in range(num_groups):
                begin, end = first[g], first[g + 1]
                need = min(least[i, g], end - begin)
                number = min(max(most[i, g], need), end - begin)
                taken += need
                if need > 1 or number < end - begin:
                    for q in range(begin, end):
                        j = order[q]
                        possible = not present(allowed) or allowed[i, j]
                        row[q] = subtract_price(value[i, j], prices[j], 1.0) if possible else -np.inf
                    to_front(row, begin, end, need)
                    to_front(row, begin + need, end, number - need)
                    edge[0, g], edge[1, g] = _edge(row, begin, end, need)
                    edge[2, g], edge[3, g] = _edge(row, begin, end, number)
                    for q in range(begin + need, begin + number):
                        if row[q] > top:
                            above += 1
                        elif row[q] > bottom:
                            rest[left] = row[q]
                            left += 1
                    continue
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
                edge[0, g], edge[1, g], edge[2, g], edge[3, g] = best, second, np.inf, -np.inf
            # The best of them, while there is room and they are worth something.
            spare, worthwhile = max(room[i] - taken, 0), above
            for q in range(left):
                worthwhile += rest[q] > 0.0
            place = min(spare, worthwhile)
            few = _few(place, above, left, final)
            if _suffices(above, left, place, few, bottom):
                break
            bottom, top = -np.inf, np.inf
        last, next_, low, high = _uncertain(rest, left, place - above, few)
        middle = max(_between(last, next_), 0.0) if place == spare else 0.0
        _look_nearby(near, i, middle, last, next_, low, high)
        for g in range(num_groups):
            band.middle[i, g], band.low[i, g], band.high[i, g] = middle, low, high
            last, next_ = edge[0, g], edge[1, g]
            if least[i, g] > 0 and last < high:
                # Near the group's demand: what is taken for its sake, and what would be taken instead.
                band.low[i, g], band.high[i, g] = min(low, next_), max(high, last)
                if last < middle:
                    band.middle[i, g] = _between(last, next_)
            last, next_ = edge[2, g], edge[3, g]
            if next_ > middle:
                # Its capacity binds: all others of the group are out.
                band.low[i, g], band.high[i, g], band.middle[i, g] = next_, max(high, last), _between(last, next_)
        if sure:
            beyond += spare + taken
        elif balanced:
            # All that the client would take if it had to be full.
            number = min(max(spare - above, 0), left)
            beyond += min(spare, above)
            to_front(rest, 0, left, number)
            for q in range(number):
                pool[pooled] = rest[q]
                pooled += 1
            for g in range(num_groups):
                for _ in range(min(least[i, g], first[g + 1] - first[g])):
                    pool[pooled] = edge[0, g]
                    pooled += 1
    shift = max(min(_common(pool, pooled, places - beyond), near.margin[0]), -near.margin[0])
    near.margin[0] = SETTLING * (max(abs(shift), near.margin[0]) if near.margin[0] < np.inf else abs(shift))
    for j in range(num_experts):
        prices[j] += shift
    for i in range(num_clients):
        near.middle[i] = max(near.middle[i] - shift, 0.0)
        near.bottom[i] -= shift
        near.top[i] -= shift
        for g in range(num_groups):
            band.middle[i, g] = max(band.middle[i, g] - shift, min(band.middle[i, g], 0.0))
            band.low[i, g] -= shift
            band.high[i, g] -= shift


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
    num_pieces = len(ends)
    column, left, above = np.empty((AT_ONCE, num_clients)), np.zeros(AT_ONCE, np.int64), np.zeros(AT_ONCE, np.int64)
    last, next_ = np.empty((num_pieces, num_experts)), np.empty((num_pieces, num_experts))
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
                few = _few(ends[-1, j], above[c], left[c], True)
                for k in range(num_pieces):
                    last[k, j] = next_[k, j] = np.inf
                    if ends[k, j] >= above[c] and (ends[k, j] > 0 or k == num_pieces - 1):
                        number = min(ends[k, j] - above[c], left[c])
                        last[k, j], next_[k, j], _, _ = _uncertain(column[c], left[c], number, few)
                price, place = _price(last, next_, ends, cost, j, 0.0), above[c]
                for q in range(left[c]):
                    place += column[c, q] > price
                place = min(place, ends[-1, j])
                few = _few(place, above[c], left[c], final)
                if _suffices(above[c], left[c], place, few, bottom[j]):
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
            inside, outside, band.low[j], band.high[j] = _uncertain(column[c], left[c], place - above[c], few)
            _look_nearby(near, j, price, inside, outside, band.low[j], band.high[j])
    shift = max(min(_common(pool, pooled, wanted - beyond), near.margin[0]), -near.margin[0])
    near.margin[0] = SETTLING * (max(abs(shift), near.margin[0]) if near.margin[0] < np.inf else abs(shift))
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
def _price(last: Any, next_: Any, ends: Any, cost: Any, j: int, shift: float) -> float:
    """The price at which an expert's load is what its clients want, when all thresholds have risen by ``shift``."""
    for k in range(len(ends)):
        above = cost[k + 1, j] if k + 1 < len(ends) else np.inf
        if ends[k, j] > 0 and next_[k, j] - shift <= above:
            return min(max(_between(last[k, j], next_[k, j]) - shift, cost[k, j]), above)
    return max(next_[-1, j] - shift, 0.0)


@inner
def _common(pool: Any, size: int, number: int) -> float:
    """The amount by which all values must fall so that only the ``number`` largest stay above 0; 0 if fewer are."""
    if size <= number or number < 0:
        return 0.0
    to_front(pool, 0, size, number)
    last, next_ = _edge(pool, 0, size, number)
    return _between(last, next_)


@inner
def _suffices(above: int, left: int, place: int, few: int, bottom: float) -> bool:
    """Whether the values kept reach a few places beyond the place on both sides, or are all that there are."""
    return bottom == -np.inf or ((above == 0 or few < place - above) and place - above + few < left)


@inner
def _look_nearby(near: Any, v: int, middle: float, last: float, next_: float, low: float, high: float) -> None:
    """Decide which values the next pass sorts: those of the band, and as many more as the threshold may move."""
    change = FIRST_CHANGE * abs(middle) if np.isnan(near.middle[v]) else abs(middle - near.middle[v])
    width = min(high, last) - max(low, next_)
    more = REACH * change + (WIDER * width if width < np.inf else 0.0)
    near.middle[v], near.bottom[v], near.top[v] = middle, low - more, high + more


@inner
def _uncertain(values: Any, size: int, place: int, few: int) -> Any:
    """The values on both sides of a place, and those a few places further down and up; the largest come first."""
    end, begin = min(place + few, size), max(place - few, 0)
    to_front(values, 0, size, end)
    to_front(values, 0, end, place)
    to_front(values, 0, place, begin)
    last, next_ = _edge(values, begin, end, place - begin)
    low = _edge(values, place, end, end - place)[0] if size - place > few else -np.inf
    high = _edge(values, begin, place, 0)[1] if place > few else np.inf
    return last, next_, low, high


@inner
def _few(place: int, above: int, left: int, final: bool) -> int:
    """How many places beside a threshold are uncertain; before the last turn at most those that are at hand."""
    few = int(AT_LEAST + SPREAD * np.sqrt(place))
    return few if final else max(min(few, place - above - 1, left - (place - above) - 1), 1)


@inner
def _edge(values: Any, begin: int, end: int, number: int) -> Any:
    """The smallest of the first ``number`` values, and the largest of the others up to ``end``."""
    last, next_ = np.inf, -np.inf
    for q in range(begin, begin + number):
        last = min(last, values[q])
    for q in range(begin + number, end):
        next_ = max(next_, values[q])
    return last, next_


@inner
def _between(last: float, next_: float) -> float:
    """The middle of two values, or the finite one."""
    if last == np.inf:
        return next_
    return last if next_ == -np.inf else 0.5 * (last + next_)

"""Where the decisions of a client or an expert change among its many values: selection around a place; compiled.

A side takes its largest values, up to some place. The values on both sides of that place tell its threshold, and those
a few places further up and down tell which pairs are uncertain. Selection finds them in linear time. From the second
turn on only the values near the last threshold are kept; of the others it is enough to count those above.
"""

from typing import Any, NamedTuple

import numpy as np

from alignsolve.numerics import FloatArray
from alignsolve.runtime.jit import inner, kernel
from alignsolve.subproblem.grouped_rows import to_front

AT_LEAST, SPREAD = 3.0, 0.5
"""Uncertain places on either side of a threshold: so many, and so many times the root of the number taken."""
REACH, WIDER = 2.0, 1.0
"""How far values are kept beyond the last band: so many times its last change, and so many times its width."""
FIRST_CHANGE = 0.1
"""What the second turn is expected to change, as a share of what the first one found."""
BY_INSERTION = 16
"""Values that are sorted among all others; of more, the best are selected first."""
SETTLING = 0.25
"""The next common amount is expected to be at most this many times the last one; more is cut off."""


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

    @classmethod
    def unknown(cls, size: int) -> "Near":
        """Keep everything, before the first turn."""
        return cls(np.full(size, np.nan), np.full(size, -np.inf), np.full(size, np.inf), np.full(1, np.inf))

    def rise(self, amount: float) -> None:
        """All values and thresholds have risen by an amount."""
        self.middle[:] += amount
        self.bottom[:] += amount
        self.top[:] += amount


@kernel
def common_amount(pool: Any, number: int, margin: Any) -> float:
    """Find the amount by which all values must fall so that only the ``number`` largest stay above 0; 0 if fewer are.

    Parameters
    ----------
    pool
        The values; reordered.
    number
        How many there is room for.
    margin
        (1,) the amount is cut off there, either way; the next margin follows from it.
    """
    shift, most, size = 0.0, margin[0], len(pool)
    if 0 <= number < size:
        to_front(pool, 0, size, number)
        last, next_ = edge(pool, 0, size, number)
        shift = max(min(between(last, next_), most), -most)
    margin[0] = SETTLING * (max(abs(shift), most) if most < np.inf else abs(shift))
    return shift


@inner
def suffices(above: int, left: int, place: int, few: int, bottom: float) -> bool:
    """Whether the values kept reach a few places beyond the place on both sides, or are all that there are."""
    return (above == 0 or few < place - above) and (bottom == -np.inf or place - above + few < left)


@inner
def look_nearby(near: Any, v: int, middle: float, last: float, next_: float, low: float, high: float) -> None:
    """Decide which values the next pass sorts: those of the band, and as many more as the threshold may move."""
    change = FIRST_CHANGE * abs(middle) if np.isnan(near.middle[v]) else abs(middle - near.middle[v])
    width = min(high, last) - max(low, next_)
    more = REACH * change + (WIDER * width if width < np.inf else 0.0)
    near.middle[v], near.bottom[v], near.top[v] = middle, low - more, high + more


@inner
def sort_best(values: Any, size: int, number: int) -> None:
    """Put the ``number`` largest values first, in falling order; others may be lost."""
    number = min(number, size)
    if number > BY_INSERTION:
        to_front(values, 0, size, number)
        size = number
    found = 0
    for q in range(size):
        value = values[q]
        if found < number:
            found += 1
        elif value <= values[number - 1]:
            continue
        place = found - 1
        while place > 0 and values[place - 1] < value:
            values[place] = values[place - 1]
            place -= 1
        values[place] = value


@inner
def beside(values: Any, size: int, place: int, few: int) -> Any:
    """What :func:`around` tells, of values in falling order."""
    last = values[place - 1] if place > 0 else np.inf
    next_ = values[place] if place < size else -np.inf
    low = values[place + few - 1] if size - place > few else -np.inf
    high = values[place - few] if place > few else np.inf
    return last, next_, low, high


@inner
def around(values: Any, size: int, place: int, few: int) -> Any:
    """The values on both sides of a place, and those a few places further down and up; the largest come first."""
    end, begin = min(place + few, size), max(place - few, 0)
    to_front(values, 0, size, end)
    to_front(values, 0, end, place)
    to_front(values, 0, place, begin)
    last, next_ = edge(values, begin, end, place - begin)
    low = edge(values, place, end, end - place)[0] if size - place > few else -np.inf
    high = edge(values, begin, place, 0)[1] if place > few else np.inf
    return last, next_, low, high


@inner
def few_beside(place: int, above: int, left: int, final: bool) -> int:
    """How many places beside a threshold are uncertain; before the last turn at most those that are at hand."""
    few = int(AT_LEAST + SPREAD * np.sqrt(place))
    if final:
        return few
    at_hand = left - (place - above) - 1
    if above > 0:
        at_hand = min(at_hand, place - above - 1)
    return max(min(few, at_hand), 1)


@inner
def edge(values: Any, begin: int, end: int, number: int) -> Any:
    """The smallest of the first ``number`` values, and the largest of the others up to ``end``."""
    last, next_ = np.inf, -np.inf
    for q in range(begin, begin + number):
        last = min(last, values[q])
    for q in range(begin + number, end):
        next_ = max(next_, values[q])
    return last, next_


@inner
def between(last: float, next_: float) -> float:
    """The middle of two values, or the finite one."""
    if last == np.inf:
        return next_
    return last if next_ == -np.inf else 0.5 * (last + next_)

"""The clients' own problems with groups, compiled: the three steps of :mod:`.row`, without sorting whole rows.

A step asks for the largest few of many numbers, and only for their sum. Selection finds them in linear time (C. A. R.
Hoare, Algorithm 65: Find, Communications of the ACM 4, 1961).
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from alignsolve.runtime.jit import inner, kernel, present
from alignsolve.subproblem.reduced_compiled import subtract_price

Matrix = npt.NDArray[Any]


@kernel
def grouped_rows(
    value: Matrix, prices: Matrix, allowed: Matrix, required: Matrix, demand: Matrix, capacity: Matrix,
    order: Matrix, first: Matrix, group_demand: Matrix, group_capacity: Matrix, best: Matrix, size: Matrix,
    feasible: Matrix,
) -> None:  # fmt: skip
    """Take the required experts, then what each group demands, then the best others while there is room.

    Parameters
    ----------
    value, prices
        (n, num_experts) and (num_experts,) of the types that are computed in.
    allowed, required
        (n, num_experts) bools; may be absent.
    demand, capacity
        (n,)
    order, first
        (num_experts,) the experts group by group, and (num_groups + 1,) where each group begins.
    group_demand, group_capacity
        (n, num_groups)
    best, size, feasible
        (n,) the optimum, the sum of the sizes of its terms, and whether there is one; filled.
    """
    n, num_experts = value.shape
    has_allowed, has_required = present(allowed), present(required)
    num_groups = len(first) - 1
    rest = np.empty(num_experts, dtype=prices.dtype)
    sums, sizes = np.zeros(1, dtype=prices.dtype), np.zeros(1)
    dearest = largest_size(prices)
    for i in range(n):
        possible = True
        taken, left = 0, 0
        sums[0], sizes[0] = 0, 0.0
        for g in range(num_groups):
            # Step 1: the open pairs of a group stand at the end of the rest; the required ones are taken.
            begin, own = left, 0
            for q in range(first[g], first[g + 1]):
                j = order[q]
                open_ = not has_allowed or allowed[i, j]
                if has_required and required[i, j]:
                    possible = possible and open_
                    gain = subtract_price(value[i, j], prices[j], 1)
                    sums[0] += gain
                    sizes[0] += abs(gain)
                    own += 1
                elif open_:
                    rest[left] = subtract_price(value[i, j], prices[j], 1)
                    left += 1
            # Step 2: the group's demand is met by its best; what its capacity leaves no room for is dropped.
            need, room = max(group_demand[i, g] - own, 0), group_capacity[i, g] - own
            if need > left - begin or room < need:
                possible = False
                continue
            if need > 0:
                to_front(rest, begin, left, need)
                _add(rest, begin, begin + need, sums, sizes)
                left -= need
                for q in range(begin, left):
                    rest[q] = rest[q + need]
            if room - need < left - begin:
                to_front(rest, begin, left, room - need)
                left = begin + room - need
            taken += own + need
        # Step 3: the best of the rest, while the client's demand asks for them or they are worth something.
        need, room = max(demand[i] - taken, 0), capacity[i] - taken
        worthwhile = 0
        for q in range(left):
            if rest[q] > 0:
                rest[worthwhile], rest[q] = rest[q], rest[worthwhile]
                worthwhile += 1
        number = max(need, min(worthwhile, room))
        if not possible or need > left or room < number:
            best[i], size[i], feasible[i] = 0, 0.0, False
            continue
        among = worthwhile if number <= worthwhile else left
        to_front(rest, 0, among, number)
        _add(rest, 0, number, sums, sizes)
        best[i] = sums[0]
        size[i] = sizes[0] + 2.0 * (taken + number) * dearest
        feasible[i] = True


@inner
def largest_size(values: Matrix) -> float:
    """The largest |value|; numba's own max and sum take seconds to compile."""
    largest = 0.0
    for j in range(len(values)):
        largest = max(largest, abs(float(values[j])))
    return largest


@inner
def _add(values: Matrix, begin: int, end: int, sums: Matrix, sizes: Matrix) -> None:
    """Add some values to a sum, and their sizes to another."""
    for q in range(begin, end):
        sums[0] += values[q]
        sizes[0] += abs(values[q])


@inner
def to_front(values: Matrix, begin: int, end: int, number: int) -> None:
    """Exchange values until the ``number`` largest of begin..end − 1 stand first."""
    low, high, last = begin, end - 1, begin + number - 1
    if number == 1:
        top = begin
        for q in range(begin + 1, end):
            if values[q] > values[top]:
                top = q
        values[begin], values[top] = values[top], values[begin]
        return
    if number <= 0 or number >= end - begin:
        return
    while low < high:
        # The median of three is the pivot.
        pivot, other, third = values[(low + high) >> 1], values[low], values[high]
        pivot = max(min(pivot, other), min(max(pivot, other), third))
        a, b = low, high
        while a <= b:
            while values[a] > pivot:
                a += 1
            while values[b] < pivot:
                b -= 1
            if a <= b:
                values[a], values[b] = values[b], values[a]
                a += 1
                b -= 1
        if last <= b:
            high = b
        elif last >= a:
            low = a
        else:
            return

# mypy: allow-untyped-decorators
"""A client's knapsack whose demands do not bind, solved in the core that its relaxation leaves open; compiled.

1. Only experts worth having count, and every limit of the row: budgets, places, groups' places.
2. The dual simplex method gives each limit a rate λ. They make a bound, root = Σ λ·limit + Σ max(0, weight), in which
   weight = worth − Σ λ·use; every basis does, so that it matters little where the method stops.
3. Taking what fits, largest weight first, gives a choice; so does an earlier one, where there is one.
4. A better choice than that, worth v, holds every expert with weight ≥ root − v and none with weight ≤ v − root. What
   is left, usually a handful, is searched depth first (the core: Balas and Zemel, Operations Research 28, 1980). In a
   branch only what still fits counts; it is cut by the fractional knapsack in which all limits are merged by their
   rates (Dantzig), and by the number that could fit if each were worth the dearest and used what the cheapest uses.

Where the best choice leaves a demand of the row unmet, the caller searches with demands (:mod:`.knapsack_search`).
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from alignsolve.runtime.jit import inner
from alignsolve.subproblem.knapsack_relaxation import rates

Matrix = npt.NDArray[Any]

UNMET, SOLVED, GIVEN_UP = 0, 1, 2
"""How a row ends. UNMET: its demands or required experts need the search with demands. SOLVED: the value is optimal.
GIVEN_UP: the value is the bound of the root."""
CLOSE = 4.0 * np.finfo(np.float64).eps
"""A choice within this relative distance of the bound is the best: the rest is rounding."""

EXTREME, MOST_DIGITS = 1e60, 1000
"""Numbers beyond this size, or below its inverse, are scaled; and by at most so many binary digits."""


@inner
def workspace(num_experts: int, num_resources: int, num_groups: int) -> Any:
    """Allocate what one row after the other needs: numbers per expert, uses and limits, and whole numbers."""
    limits = num_resources + 1 + num_groups
    size = num_experts + 2
    rows = np.empty((2, size)), np.empty((size, limits)), np.empty((3, limits))
    whole = np.empty((4, max(size, num_groups)), dtype=np.int64)
    table = np.empty((limits + 2, num_experts + limits + 1))
    stack = np.empty((3, size), dtype=np.int64)
    tree = (
        np.empty((size, size), dtype=np.int32), stack[0], stack[1], stack[2],
        np.empty((size, limits)), np.empty(size), np.empty(size), np.empty(limits),
    )  # fmt: skip
    return rows, whole, table, tree


@inner
def solve_by_deviations(
    reduced: Matrix, allowed: Matrix, required: Matrix, cost: Matrix, budget: Matrix, demand: int, capacity: int,
    group: Matrix, group_demand: Matrix, group_capacity: Matrix, space: Any, steps: int, best: Matrix,
) -> Any:  # fmt: skip
    """Solve one row; ``best`` holds a choice to begin with, possible or empty, and the best one afterwards.

    Returns
    -------
    value, status
        The optimum or the bound of a search given up, and UNMET (then nothing is known), SOLVED or GIVEN_UP.
    """
    (per_expert, use, per_limit), whole, table, tree = space
    worth, weight = per_expert[0], per_expert[1]
    limit, rate = per_limit[0], per_limit[1]
    expert, in_group = whole[0], whole[1]
    fixed, m = _gather(
        reduced, allowed, required, cost, budget, capacity, group, group_capacity, worth, use, limit, expert, in_group
    )
    if m < 0:
        return 0.0, UNMET
    unit = _tame(worth, use, limit, cost.shape[1], m)
    # The relaxation: rates of the limits, the weights of the experts, and the bound of the root.
    num_limits = len(limit)
    rates(worth, use, limit, rate, weight, table, m)
    root = 0.0
    for k in range(num_limits):
        root += rate[k] * limit[k]
    for t in range(m):
        weight[t] = worth[t]
        for k in range(num_limits):
            weight[t] -= rate[k] * use[t, k]
        root += max(weight[t], 0.0)

    # A first choice: the given one, or what fits by falling weight.
    chosen = whole[2]
    value = 0.0
    for t in range(m):
        chosen[t] = best[expert[t]]
        value += worth[t] * chosen[t]
    filled = _fill(worth, weight, use, limit, per_limit[2], whole[3], m)
    if filled > value:
        value = filled
        for t in range(m):
            chosen[t] = whole[3, t]
    # The core, unless the first choice reaches the bound.
    status = SOLVED
    if value < root * (1.0 - CLOSE):
        value, status = _search(worth, weight, use, limit, rate, chosen, tree, root, value, m, steps)

    # The choice, required experts included; does it meet the demands?
    total = fixed
    count = 0
    for j in range(len(reduced)):
        best[j] = required[j]
        count += required[j]
    for t in range(m):
        if chosen[t]:
            best[expert[t]] = True
            total += reduced[expert[t]]
            count += 1
            in_group[group[expert[t]]] += 1
    if count < demand:
        return 0.0, UNMET
    for g in range(len(group_demand)):
        if in_group[g] < group_demand[g]:
            return 0.0, UNMET
    return (total if status == SOLVED else fixed + root / unit), status


@inner
def _gather(
    reduced: Matrix, allowed: Matrix, required: Matrix, cost: Matrix, budget: Matrix, capacity: int, group: Matrix,
    group_capacity: Matrix, worth: Matrix, use: Matrix, limit: Matrix, expert: Matrix, in_group: Matrix,
) -> Any:  # fmt: skip
    """List what is worth having and fits; returns what the required experts are worth, and how many; −1: none fit."""
    num_experts, num_resources = cost.shape
    num_groups = len(group_capacity)
    fixed = 0.0
    places = capacity
    for r in range(num_resources):
        limit[r] = budget[r]
    for g in range(num_groups):
        in_group[g] = 0
    for j in range(num_experts):
        if required[j]:
            if not allowed[j]:
                return fixed, -1
            fixed += reduced[j]
            places -= 1
            in_group[group[j]] += 1
            for r in range(num_resources):
                limit[r] -= cost[j, r]
    for r in range(num_resources):
        if limit[r] < 0.0:
            return fixed, -1
    for g in range(num_groups):
        limit[num_resources + 1 + g] = group_capacity[g] - in_group[g]
        if limit[num_resources + 1 + g] < 0.0:
            return fixed, -1
    if places < 0:
        return fixed, -1
    m = 0
    for j in range(num_experts):
        if reduced[j] <= 0.0 or not allowed[j] or required[j] or limit[num_resources + 1 + group[j]] < 1.0:
            continue
        fits = True
        for r in range(num_resources):
            fits = fits and cost[j, r] <= limit[r]
        if not fits:
            continue
        expert[m] = j
        worth[m] = reduced[j]
        for r in range(num_resources):
            use[m, r] = cost[j, r]
        use[m, num_resources] = 1.0
        for g in range(num_groups):
            use[m, num_resources + 1 + g] = 1.0 if group[j] == g else 0.0
        m += 1
    # No more experts fit than if all cost what the cheapest does. This settles rows whose experts all cost the same.
    most = min(places, m)
    for r in range(num_resources):
        least = np.inf
        for t in range(m):
            least = min(least, use[t, r])
        if 0.0 < least < np.inf and limit[r] < np.inf:
            most = int(limit[r] / least) if limit[r] < most * least else most
    limit[num_resources] = most
    return fixed, m


@inner
def _tame(worth: Matrix, use: Matrix, limit: Matrix, num_resources: int, m: int) -> float:
    """Bring extreme worths and budgets to a size of about 1, by powers of two; return what worths were multiplied with.

    The search multiplies worths with worths and divides by limits. Both would leave the range of floats.
    """
    largest = 0.0
    for t in range(m):
        largest = max(largest, worth[t])
    unit = _power(largest)
    if unit != 1.0:
        for t in range(m):
            worth[t] *= unit
    for k in range(num_resources):
        factor = _power(limit[k])
        if factor != 1.0:
            limit[k] *= factor
            for t in range(m):
                use[t, k] *= factor
    return unit


@inner
def _power(size: float) -> float:
    """The power of two that brings a number to a size of about 1; 1 where it is not extreme."""
    if not 0.0 < size < np.inf or 1.0 / EXTREME < size < EXTREME:
        return 1.0
    return math.ldexp(1.0, max(-MOST_DIGITS, min(MOST_DIGITS, -math.frexp(size)[1])))


@inner
def _fill(worth: Matrix, weight: Matrix, use: Matrix, limit: Matrix, used: Matrix, chosen: Matrix, m: int) -> float:
    """Take what fits, by falling weight; returns its worth."""
    num_limits = len(limit)
    used[:] = 0.0
    chosen[:m] = 0
    total = 0.0
    while True:
        found = -1
        for t in range(m):
            if chosen[t] == 0 and (found < 0 or weight[t] > weight[found]):
                fits = True
                for k in range(num_limits):
                    fits = fits and used[k] + use[t, k] <= limit[k]
                if fits:
                    found = t
                else:
                    chosen[t] = 2  # it never will
        if found < 0:
            break
        chosen[found] = 1
        total += worth[found]
        for k in range(num_limits):
            used[k] += use[found, k]
    for t in range(m):
        chosen[t] = chosen[t] == 1
    return total


@inner
def _search(
    worth: Matrix, weight: Matrix, use: Matrix, limit: Matrix, rate: Matrix, chosen: Matrix, tree: Any,
    root: float, value: float, m: int, steps: int,
) -> Any:  # fmt: skip
    """Try every choice that could beat ``value``, experts in order of weight; improves ``chosen``."""
    lists, length, place, path, left, held, merged, least = tree
    slack = CLOSE * root
    margin = root - value
    # What every better choice holds, and the candidates that the core leaves open.
    first = _fix_what_must_be(worth, weight, use, limit, margin, path, left, held, m)
    if first < 0:
        return value, SOLVED
    if held[0] > value:
        value = _keep(chosen, path, first, m, held[0])
    _list_candidates(worth, weight, use, rate, margin, lists, length, left, merged, m)
    place[0] = 0
    d = 0
    done = 0
    while d >= 0:
        if done > steps:
            return value, GIVEN_UP
        if place[d] >= length[d]:
            d -= 1
            continue
        # Cut the branch where the fractional knapsack over what is left cannot beat the best value.
        if _most(worth, rate, merged, lists, left, held, d, place[d], length[d]) <= value + slack:
            d -= 1
            continue
        # Take the next candidate.
        t = lists[d, place[d]]
        place[d] += 1
        path[first + d] = t
        now = held[d] + worth[t]
        if now > value:
            value = _keep(chosen, path, first + d + 1, m, now)
        done += 1 + length[d] - place[d]
        # List what still fits beside it, and go down where that can help.
        c, dearest, after = _descend(worth, use, lists, left, least, t, d, place[d], length[d])
        if c == 0:
            continue
        if now + after * worth[dearest] <= value + slack:
            continue
        if after == 1:
            path[first + d + 1] = dearest
            value = _keep(chosen, path, first + d + 2, m, now + worth[dearest])
            continue
        d += 1
        held[d], length[d], place[d] = now, c, 0
    return value, SOLVED


@inner
def _fix_what_must_be(
    worth: Matrix, weight: Matrix, use: Matrix, limit: Matrix, margin: float, path: Matrix, left: Matrix,
    held: Matrix, m: int,
) -> int:  # fmt: skip
    """Take the experts that no better choice can do without; returns how many, −1 if they break a limit."""
    num_limits = len(limit)
    left[0] = limit
    held[0] = 0.0
    first = 0
    for t in range(m):
        if weight[t] >= margin:
            path[first] = t
            first += 1
            held[0] += worth[t]
            for k in range(num_limits):
                left[0, k] -= use[t, k]
    for k in range(num_limits):
        if left[0, k] < 0.0:
            return -1
    return first


@inner
def _list_candidates(
    worth: Matrix, weight: Matrix, use: Matrix, rate: Matrix, margin: float, lists: Matrix, length: Matrix,
    left: Matrix, merged: Matrix, m: int,
) -> None:  # fmt: skip
    """List the open experts that fit, by falling worth per merged use: the order of the fractional knapsack."""
    num_limits = len(rate)
    for t in range(m):
        merged[t] = 0.0
        for k in range(num_limits):
            merged[t] += rate[k] * use[t, k]
    c = 0
    for t in range(m):
        fits = -margin < weight[t] < margin
        for k in range(num_limits):
            fits = fits and use[t, k] <= left[0, k]
        if fits:
            at = c
            while at > 0 and worth[lists[0, at - 1]] * merged[t] < worth[t] * merged[lists[0, at - 1]]:
                lists[0, at] = lists[0, at - 1]
                at -= 1
            lists[0, at] = t
            c += 1
    length[0] = c


@inner
def _most(
    worth: Matrix, rate: Matrix, merged: Matrix, lists: Matrix, left: Matrix, held: Matrix, d: int, start: int,
    stop: int,
) -> float:  # fmt: skip
    """The most that depth d can still reach: the fractional knapsack with all limits merged by their rates."""
    most, room = held[d], 0.0
    for k in range(len(rate)):
        room += rate[k] * left[d, k]
    for at in range(start, stop):
        s = lists[d, at]
        if merged[s] > room:
            most += worth[s] * room / merged[s]
            break
        most += worth[s]
        room -= merged[s]
    return most


@inner
def _descend(worth: Matrix, use: Matrix, lists: Matrix, left: Matrix, least: Matrix,
             t: int, d: int, start: int, stop: int) -> Any:  # fmt: skip
    """List what still fits after expert t was taken at depth d: how many, the one worth most, how many at most fit."""
    num_limits = left.shape[1]
    for k in range(num_limits):
        left[d + 1, k] = left[d, k] - use[t, k]
        least[k] = np.inf
    c, dearest = 0, -1
    for at in range(start, stop):
        s = lists[d, at]
        fits = True
        for k in range(num_limits):
            fits = fits and use[s, k] <= left[d + 1, k]
        if fits:
            lists[d + 1, c] = s
            c += 1
            for k in range(num_limits):
                least[k] = min(least[k], use[s, k])
            if dearest < 0 or worth[s] > worth[dearest]:
                dearest = s
    most = c
    for k in range(num_limits):
        if 0.0 < least[k] < np.inf and left[d + 1, k] < most * least[k]:
            most = int(left[d + 1, k] / least[k])
    return c, dearest, most


@inner
def _keep(chosen: Matrix, path: Matrix, length: int, m: int, value: float) -> float:
    chosen[:m] = 0
    for at in range(length):
        chosen[path[at]] = 1
    return value

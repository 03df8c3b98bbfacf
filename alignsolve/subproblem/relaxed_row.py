# mypy: allow-untyped-decorators
"""A client with budgets and very many experts: its problem without whole numbers, by rates on budgets; compiled.

A unit of each budget has a rate. Under rates the client's problem has no budgets any more: take what groups demand,
then what is worth more than it costs. The sum of that and of rate · budget is a bound, whatever the rates are; it is
convex in them, and the least one is the relaxation's optimum.

1. *One budget* (:func:`_line`). The bound is a chain of straight lines. Where the lines at both ends of an interval
   cross is the next rate to try, or the interval's middle when that is slow.
2. *Two budgets.* For each rate of the second the best rate of the first is found so. The choices at both ends of the
   last interval are mixed such that the first budget is spent exactly; the mixture says whether the second one is.
3. *More budgets.* One after the other, a few times over. It ends at a bound that need not be the least.

All choices met on the way that keep the budgets are candidates; the best one is kept. Thousands of experts make the
table of :mod:`.knapsack_relaxation` too large, and with one limit for each of dozens of groups far too slow.
"""

from typing import Any

import numpy as np

from alignsolve.numerics import EPSILON
from alignsolve.runtime.jit import inner
from alignsolve.subproblem.row_choice import BEST, HIGH, LOW, NOW, Desk, Row, choose, copied

TRIES, NESTED, SWEEPS = 60, 40, 4
"""Rates tried on a line; on the outer of two lines; and turns around three budgets or more."""
HALVED = 4
"""Every so many tries the middle of the interval is next."""
SAME, NEARLY = 1e-13, 1e-10
"""Two bounds are the same, on one line and on the outer of two, if they differ by less than this share."""
FIRST = 0.125
"""The first rate to try where nothing is known: this share of the best worth for a unit."""
HIGHEST = 1e15
"""Rates are raised up to so many times the best worth for a unit: by then a choice costs as little as any."""
ROUNDINGS = 8
"""Each charge passes through at most so many roundings, and one more for each expert of the choice."""
RAISED, RAISES = 1.02, 400
"""All rates are raised by this factor, and so often at most, to find a choice that keeps all budgets."""


@inner
def relax(row: Row, desk: Desk, rate: Any) -> float:
    """Find rates that make a low bound on a row's optimum; return it, −inf where no choice keeps each budget alone.

    ``rate``, (num_resources,), holds rates to begin with, or zeros, and the ones found afterwards. ``desk.best`` is
    filled if ``desk.top`` is finite then.
    """
    desk.top[0] = -np.inf
    number, bound = len(rate), np.inf
    if number == 2:
        bound = _two_lines(row, desk, rate)
    else:
        for sweep in range(1 if number == 1 else SWEEPS):
            before = bound
            for k in range(number):
                bound = min(bound, _line(row, desk, rate, k))
            if bound == -np.inf or (sweep > 0 and bound > before - NEARLY * abs(before)):
                break
    if bound == -np.inf or desk.top[0] > -np.inf:
        return bound
    # No choice on the way kept all budgets. Is there none? Else raise all rates until one does.
    for k in range(number):
        if _cannot_pay(row, desk, k):
            return -np.inf
    tries, factor = 0, 1.0
    while desk.top[0] == -np.inf and tries < RAISES:
        for k in range(number):
            rate[k] *= RAISED
        bound_at(row, desk, rate)
        tries, factor = tries + 1, factor * RAISED
    for k in range(number):
        rate[k] /= factor
    return bound


@inner
def _two_lines(row: Row, desk: Desk, rate: Any) -> float:
    """Step 2: the best rates of two budgets."""
    line, start, bound = np.zeros(8), rate[1], np.inf
    following, most = 0.0, _best_for_a_unit(row, 1)
    for _ in range(NESTED):
        rate[1] = following
        now = _line(row, desk, rate, 0)
        bound = min(bound, now)
        following = _advance(line, rate[1], now, row.budget[1] - desk.mixed[1], start, most, NEARLY)
        if following < 0.0:
            break
    return bound


@inner
def _line(row: Row, desk: Desk, rate: Any, k: int) -> float:
    """Step 1: the best rate of budget k beside the other rates; writes what the optimum uses to ``desk.mixed``."""
    line, start, bound = np.zeros(8), rate[k], np.inf
    following, most = 0.0, _best_for_a_unit(row, k)
    for _ in range(TRIES):
        rate[k] = following
        now = bound_at(row, desk, rate)
        bound = min(bound, now)
        slope = row.budget[k] - desk.use[NOW, k]
        copied(desk.use[NOW], desk.use[LOW if slope < 0.0 else HIGH])
        following = _advance(line, rate[k], now, slope, start, most, SAME)
        if following < 0.0:
            break
    # Mix the choices at both ends such that budget k is spent exactly; at rate 0 it need not be.
    part = 0.0
    if line[FALLS] < 0.0:
        rate[k] = line[TOP] if line[RISES] >= 0.0 and line[TOP] > 0.0 else line[BOTTOM]
        part = line[RISES] / (line[RISES] - line[FALLS]) if line[TOP] > 0.0 else 1.0
    for other in range(len(rate)):
        high = desk.use[HIGH, other] if part < 1.0 else 0.0
        low = desk.use[LOW, other] if part > 0.0 else 0.0
        desk.mixed[other] = part * low + (1.0 - part) * high
    return bound


BOTTOM, AT_BOTTOM, FALLS, TOP, AT_TOP, RISES, EXPECTED, LOOKS = range(8)
"""What is known of a line: an interval of rates, the bounds at its ends and their slopes there, negative and not; the
bound that is expected next, and how many rates were tried."""


@inner
def _advance(line: Any, rate: float, bound: float, slope: float, start: float, most: float, same: float) -> float:
    """Learn the bound at a rate, and its slope there; return the rate to try next, −1 where there is none.

    The first rate is 0, the second ``start`` or a share of ``most``, the best worth for a unit.
    """
    first = line[LOOKS] == 0.0
    line[LOOKS] += 1.0
    if bound == -np.inf or (first and slope >= 0.0):
        return -1.0
    if slope < 0.0:
        line[BOTTOM], line[AT_BOTTOM], line[FALLS] = rate, bound, slope
    else:
        line[TOP], line[AT_TOP], line[RISES] = rate, bound, slope
    if first:
        return start if start > 0.0 else FIRST * most
    if line[TOP] == 0.0:
        # Still too much is spent.
        line[EXPECTED] = -np.inf
        return 2.0 * rate if 2.0 * rate <= HIGHEST * most else -1.0
    halve = int(line[LOOKS]) % HALVED == 0
    if line[RISES] == 0.0 or (bound <= line[EXPECTED] + same * abs(bound) and line[EXPECTED] != -np.inf):
        return -1.0
    low, high = line[BOTTOM], line[TOP]
    middle = (line[AT_TOP] - line[AT_BOTTOM] - line[RISES] * high + line[FALLS] * low) / (line[FALLS] - line[RISES])
    line[EXPECTED] = max(line[AT_BOTTOM] + line[FALLS] * (middle - low), -np.inf)
    if halve:
        middle, line[EXPECTED] = 0.5 * (low + high), -np.inf
    return middle if low < middle < high else -1.0


@inner
def _best_for_a_unit(row: Row, k: int) -> float:
    """The most that an expert is worth for a unit of budget k; 1 where none is worth anything."""
    most = 0.0
    for j in range(len(row.worth)):
        if row.allowed[j] and row.cost[j, k] > 0.0:
            most = max(most, abs(row.worth[j]) / row.cost[j, k])
    return most if 0.0 < most < np.inf else 1.0


@inner
def _cannot_pay(row: Row, desk: Desk, k: int) -> bool:
    """Whether the cheapest choice that meets all demands exceeds budget k."""
    for j in range(len(row.worth)):
        desk.weight[j] = -row.cost[j, k]
    return -choose(row, desk) > row.budget[k]


@inner
def bound_at(row: Row, desk: Desk, rate: Any) -> float:
    """The bound at some rates; keeps the choice if it is the best one so far within all budgets."""
    charged, chosen = 0.0, 0
    for j in range(len(row.worth)):
        weight = row.worth[j]
        for k in range(len(rate)):
            if rate[k] > 0.0:
                weight -= rate[k] * row.cost[j, k]
                charged += rate[k] * row.cost[j, k] if row.allowed[j] else 0.0
        desk.weight[j] = weight
    bound = choose(row, desk)
    if bound == -np.inf:
        return bound
    worth = 0.0
    for k in range(len(rate)):
        desk.use[NOW, k] = 0.0
    for j in range(len(row.worth)):
        if desk.chosen[j]:
            worth += row.worth[j]
            chosen += 1
            for k in range(len(rate)):
                desk.use[NOW, k] += row.cost[j, k]
    kept = True
    for k in range(len(rate)):
        if rate[k] > 0.0:
            bound += rate[k] * row.budget[k]
            charged += rate[k] * row.budget[k]
        kept = kept and desk.use[NOW, k] <= row.budget[k]
    if kept and worth > desk.top[0]:
        desk.top[0] = worth
        copied(desk.chosen, desk.best)
        copied(desk.use[NOW], desk.use[BEST])
    # Charges cancel against the budgets. They may be far larger than the worth, and so may their rounding.
    return bound + EPSILON * (ROUNDINGS + chosen) * charged

# mypy: allow-untyped-decorators
"""Clients with budgets whose experts are of few sizes: their own problems, solved exactly by numbers; compiled.

The layers of a model differ in size, and the experts of a layer do not. Experts of one size cost the same, so that a
choice within the budgets is a number for each size: of each size the client takes what its groups demand, and then the
best. With rates on the budgets, a client would take of each size those that are worth more than they cost. That spends
not exactly the budgets, so it takes some more of one size and some less of another. A depth-first search over the
sizes finds the numbers that lose least. Numbers far from the first ones lose too much by themselves, so the search is
short, also where experts tie: they tie in order.
"""

from typing import Any, NamedTuple

import numpy as np

from alignsolve.numerics import BoolArray, FloatArray, IntArray, fixed
from alignsolve.runtime.jit import inner, kernel
from alignsolve.subproblem.falling_order import falling_order
from alignsolve.subproblem.relaxed_rows import BudgetRows
from alignsolve.subproblem.row_choice import copied

MOST_SIZES = 16
"""Sizes up to which the search is short."""
STEPS = 200_000
"""Steps of one client's search."""


class Sizes(NamedTuple):
    """The sizes of experts, each group's experts being of one size.

    Attributes
    ----------
    of
        (num_experts,) the size of each expert.
    cost
        (num_sizes, num_resources)
    """

    of: IntArray
    cost: FloatArray

    @property
    def number(self) -> int:
        """How many sizes there are."""
        return len(self.cost)


class SizedRows(NamedTuple):
    """The clients' own problems, solved by numbers.

    Attributes
    ----------
    numbers
        (n, num_sizes) how many experts of each size a client takes.
    chosen, worth
        (n, num_experts) these experts, the best of each size, and (n,) what they are worth.
    proven
        (n,) whether that is the optimum: the search came to its end, and the row's own demand is met.
    """

    numbers: IntArray
    chosen: BoolArray
    worth: FloatArray
    proven: BoolArray


def sizes_of(rows: BudgetRows) -> Sizes | None:
    """Find the sizes; None where costs differ between clients or within a group, are too many, or there are none."""
    if len(rows.cost) != 1 or not rows.cost.shape[1] or rows.required.any():
        return None
    cost, of = np.unique(rows.cost[0], axis=0, return_inverse=True)
    sizes = Sizes(of.ravel(), np.ascontiguousarray(cost))
    if sizes.number > MOST_SIZES:
        return None
    if rows.least.any() or (rows.most < np.diff(rows.first)).any():  # else groups bound nothing
        firsts = sizes.of[rows.order[np.minimum(rows.first[:-1], len(sizes.of) - 1)]]
        if (sizes.of != firsts[rows.group]).any():
            return None
    return sizes


def size_rows(rows: BudgetRows, worth: FloatArray, rate: FloatArray, sizes: Sizes) -> SizedRows:
    """Find how many experts of each size each client takes under given prices, and which.

    Parameters
    ----------
    rows
        The clients.
    worth
        (n, num_experts) reduced fitness.
    rate
        (n, num_resources) what a unit of each budget is worth; good ones make the search short.
    sizes
        The experts' sizes.
    """
    n, num_experts = worth.shape
    numbers = np.zeros((n, sizes.number), np.int64)
    result = SizedRows(numbers, np.zeros((n, num_experts), np.bool_), np.zeros(n), np.zeros(n, np.bool_))
    # A client's capacity is one more budget: each expert costs 1.
    cost = np.column_stack([sizes.cost, np.ones(sizes.number)])
    budget = np.column_stack([rows.budget, rows.room.astype(np.float64)])
    rates = np.column_stack([rate, np.zeros(len(rate))])
    _size_rows(
        fixed(worth), rows.allowed, rows.group, rows.least, rows.most, rows.demand, fixed(sizes.of), cost, budget,
        rates, *result,
    )  # fmt: skip
    return result


@kernel
def _size_rows(
    worth: Any, allowed: Any, group: Any, least: Any, most: Any, demand: Any, of: Any, cost: Any, budget: Any,
    rate: Any, numbers: Any, chosen: Any, total: Any, proven: Any,
) -> None:  # fmt: skip
    """Solve one client after the other."""
    num_experts, num_sizes = worth.shape[1], len(cost)
    ranked, who = np.empty((num_sizes, num_experts)), np.empty((num_sizes, num_experts), np.int64)
    size, forced, charge = np.zeros(num_sizes, np.int64), np.zeros(num_sizes, np.int64), np.zeros(num_sizes)
    room, guide = np.zeros(cost.shape[1]), np.zeros(cost.shape[1])
    in_group = np.zeros(least.shape[1], np.int64)
    for i in range(len(worth)):
        # Phase 1: take what the groups demand, and rank by size what may follow.
        total[i] = _rank(
            worth[i], allowed[i], group, least[i], most[i], of, ranked, who, size, forced, in_group, chosen[i]
        )
        # Phase 2: what is left of the budgets, and what an expert of each size costs at the rates.
        copied(budget[i], room)
        for s in range(num_sizes):
            for k in range(len(room)):
                room[k] -= forced[s] * cost[s, k]
        copied(rate[i], guide)
        _charge(ranked, size, cost, room, guide, charge)
        # Phase 3: the numbers, and the experts that they mean.
        proven[i] = _search(ranked, size, charge, room, cost, guide, numbers[i])
        count = 0
        for s in range(num_sizes):
            for q in range(numbers[i, s]):
                chosen[i, who[s, q]] = True
                total[i] += ranked[s, q]
            numbers[i, s] += forced[s]
            count += numbers[i, s]
        proven[i] = proven[i] and count >= demand[i]


@inner
def _rank(
    worth: Any, allowed: Any, group: Any, least: Any, most: Any, of: Any, ranked: Any, who: Any, size: Any,
    forced: Any, in_group: Any, chosen: Any,
) -> float:  # fmt: skip
    """Choose the best that each group demands; list what is worth something beyond, by size, the best first."""
    for s in range(len(size)):
        size[s] = forced[s] = 0
    for g in range(len(in_group)):
        in_group[g] = 0
    value = 0.0
    for j in falling_order(worth):
        g, s = group[j], of[j]
        if not allowed[j] or in_group[g] >= most[g]:
            continue
        if in_group[g] < least[g]:
            chosen[j] = True
            value += worth[j]
            forced[s] += 1
        elif worth[j] > 0.0:
            ranked[s, size[s]] = worth[j]
            who[s, size[s]] = j
            size[s] += 1
        in_group[g] += 1
    return value


@inner
def _charge(ranked: Any, size: Any, cost: Any, room: Any, rate: Any, charge: Any) -> None:
    """Charge each size at the rates; rates that are too high for exact comparisons are lowered.

    Any rates lead to the best numbers, and good ones lead there fast. What is compared must not be far larger than what
    a choice is worth, or its rounding would hide a better one.
    """
    most = 0.0
    for s in range(len(size)):
        for k in range(len(room)):
            if cost[s, k] > room[k]:
                size[s] = 0  # not one of them can be paid
        if size[s] > 0:
            most = max(most, ranked[s, 0])
    for k in range(len(room)):
        needed = 0.0
        for s in range(len(size)):
            needed += size[s] * cost[s, k]
        if needed <= room[k]:
            rate[k] = 0.0
    highest = 0.0
    for s in range(len(size)):
        charge[s] = 0.0
        for k in range(len(room)):
            charge[s] += rate[k] * cost[s, k]
        if size[s] > 0:
            highest = max(highest, charge[s])
    if highest > most:
        for k in range(len(room)):
            rate[k] *= most / highest
        for s in range(len(size)):
            charge[s] *= most / highest


@inner
def _search(ranked: Any, size: Any, charge: Any, room: Any, cost: Any, rate: Any, best: Any) -> bool:
    """Search depth first, a size at each level; numbers at a level come in the order of what they lose.

    Returns whether ``best`` holds numbers, and none are better.
    """
    num_sizes = len(size)
    left = np.zeros((num_sizes + 1, len(room)))
    copied(room, left[0])
    lost = np.zeros(num_sizes + 1)
    now = np.zeros(num_sizes, np.int64)
    # The next larger and the next smaller number at each level, and what each loses.
    up, down = np.zeros(num_sizes, np.int64), np.zeros(num_sizes, np.int64)
    up_lost, down_lost = np.zeros(num_sizes), np.zeros(num_sizes)
    least = np.inf
    level = 0
    _begin(ranked, size, charge, 0, up, down, up_lost, down_lost)
    for _ in range(STEPS):
        s = level
        if up_lost[s] <= down_lost[s]:
            number, own = up[s], up_lost[s]
            up[s] += 1
            up_lost[s] = own + (charge[s] - ranked[s, number]) if number < size[s] else np.inf
        else:
            number, own = down[s], down_lost[s]
            down[s] -= 1
            down_lost[s] = own + (ranked[s, number - 1] - charge[s]) if number > 0 else np.inf
        if lost[s] + own >= least or own == np.inf:
            if level == 0:
                return least < np.inf
            level -= 1
            continue
        now[s] = number
        fits, unspent = True, 0.0
        for k in range(len(room)):
            left[s + 1, k] = left[s, k] - number * cost[s, k]
            fits = fits and left[s + 1, k] >= 0.0
            if rate[k] > 0.0:
                unspent += rate[k] * left[s + 1, k]
        if not fits:
            continue
        if s == num_sizes - 1:
            if lost[s] + own + unspent < least:
                least = lost[s] + own + unspent
                copied(now, best)
            continue
        lost[s + 1] = lost[s] + own
        level += 1
        _begin(ranked, size, charge, level, up, down, up_lost, down_lost)
    return False


@inner
def _begin(
    ranked: Any, size: Any, charge: Any, s: int, up: Any, down: Any, up_lost: Any, down_lost: Any
) -> None:  # fmt: skip
    """Begin a level at the number that loses nothing: of the experts that are worth more than they cost."""
    number = 0
    while number < size[s] and ranked[s, number] > charge[s]:
        number += 1
    up[s], up_lost[s] = number, 0.0
    down[s] = number - 1
    down_lost[s] = ranked[s, number - 1] - charge[s] if number > 0 else np.inf

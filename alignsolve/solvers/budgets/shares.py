# mypy: allow-untyped-decorators
"""How many experts of each size a client takes: its own problem by sizes, solved exactly; compiled.

Experts of a size cost the same, so that a choice within the budgets is a number for each size. Of each size the client
takes the best, and what its groups demand in any case. With rates on the budgets, a client would take of each size
those that are worth more than they cost. That spends not exactly the budgets, so it takes some more of one size and
some less of another. A depth-first search over the sizes finds the numbers that lose least. Numbers far from the first
ones lose too much by themselves, so the search is short.
"""

from typing import Any, NamedTuple

import numpy as np

from alignsolve.numerics import FloatArray, IntArray, fixed
from alignsolve.runtime.jit import inner, kernel
from alignsolve.subproblem.falling_order import falling_order
from alignsolve.subproblem.grouped_rows import to_front
from alignsolve.subproblem.relaxed_rows import BudgetRows
from alignsolve.subproblem.row_choice import copied

MOST_SIZES = 16
"""Sizes up to which the search is short."""
STEPS = 200_000
"""Steps of one client's search; the best numbers by then are used."""


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


def sizes_of(rows: BudgetRows, grouped: bool) -> Sizes | None:
    """Find the sizes; None where costs differ between clients or within a group, or are too many."""
    if len(rows.cost) != 1 or rows.required.any():
        return None
    cost, of = np.unique(rows.cost[0], axis=0, return_inverse=True)
    sizes = Sizes(of.ravel(), np.ascontiguousarray(cost))
    if sizes.number > MOST_SIZES:
        return None
    if grouped:
        firsts = sizes.of[rows.order[np.minimum(rows.first[:-1], len(sizes.of) - 1)]]
        if (sizes.of != firsts[rows.group]).any():
            return None
    return sizes


def best_numbers(
    rows: BudgetRows, worth: FloatArray, rate: FloatArray, sizes: Sizes, grouped: bool
) -> IntArray:  # fmt: skip
    """Find how many experts of each size each client takes under given prices, (n, num_sizes).

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
    grouped
        Whether the problem has groups.
    """
    numbers = np.zeros((len(worth), sizes.number), dtype=np.int64)
    # A client's capacity is one more budget: each expert costs 1.
    cost = np.column_stack([sizes.cost, np.ones(sizes.number)])
    budget = np.column_stack([rows.budget, rows.room.astype(np.float64)])
    rates = np.column_stack([rate, np.zeros(len(rate))])
    _best_numbers(
        fixed(worth), rows.allowed, rows.group, rows.order, rows.first, rows.least, rows.most, fixed(sizes.of),
        cost, budget, rates, grouped, numbers,
    )  # fmt: skip
    return numbers


@kernel
def _best_numbers(
    worth: Any, allowed: Any, group: Any, order: Any, first: Any, least: Any, most: Any, of: Any, cost: Any,
    budget: Any, rate: Any, grouped: bool, numbers: Any,
) -> None:  # fmt: skip
    """Solve one client after the other."""
    num_experts, num_sizes = worth.shape[1], len(cost)
    ranked, size = np.empty((num_sizes, num_experts)), np.zeros(num_sizes, np.int64)
    forced, charge, room = np.zeros(num_sizes, np.int64), np.zeros(num_sizes), np.zeros(cost.shape[1])
    for i in range(len(worth)):
        _rank(worth[i], allowed[i], order, first, least[i], most[i], of, grouped, ranked, size, forced)
        copied(budget[i], room)
        for s in range(num_sizes):
            charge[s] = 0.0
            for k in range(len(room)):
                room[k] -= forced[s] * cost[s, k]
                charge[s] += rate[i, k] * cost[s, k]
        _search(ranked, size, charge, room, cost, rate[i], numbers[i])
        for s in range(num_sizes):
            numbers[i, s] += forced[s]


@inner
def _rank(
    worth: Any, allowed: Any, order: Any, first: Any, least: Any, most: Any, of: Any, grouped: bool, ranked: Any,
    size: Any, forced: Any,
) -> None:  # fmt: skip
    """Sort what a client may take of each size beyond its groups' demands, the best first, and count the demands."""
    for s in range(len(size)):
        size[s] = forced[s] = 0
    buffer = np.empty(len(worth))
    for g in range(len(least)):
        left = 0
        s = of[order[first[g]]] if first[g] < first[g + 1] else 0
        for q in range(first[g], first[g + 1]):
            j = order[q]
            if not allowed[j]:
                continue
            if grouped:
                buffer[left] = worth[j]
                left += 1
            elif worth[j] > 0.0:
                ranked[of[j], size[of[j]]] = worth[j]
                size[of[j]] += 1
        if grouped:
            need = min(least[g], left)
            keep = max(min(most[g], left), need)
            to_front(buffer, 0, left, need)
            to_front(buffer, need, left, keep - need)
            forced[s] += need
            for q in range(need, keep):
                if buffer[q] > 0.0:
                    ranked[s, size[s]] = buffer[q]
                    size[s] += 1
    for s in range(len(size)):
        copied(ranked[s], buffer)
        by_worth = falling_order(buffer[: size[s]])
        for q in range(size[s]):
            ranked[s, q] = buffer[by_worth[q]]


@inner
def _search(ranked: Any, size: Any, charge: Any, room: Any, cost: Any, rate: Any, best: Any) -> None:
    """Search depth first, a size at each level; numbers at a level come in the order of what they lose."""
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
                return
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

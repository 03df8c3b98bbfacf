"""A client's knapsack with demands, searched depth first over all its experts; compiled.

1. The required experts are put in.
2. The open experts are ranked by reduced fitness, and bounds are prepared for every position in that order.
3. From a position on, what fits is taken, expert by expert. A branch is cut where its value so far, plus the most that
   the remaining experts could add, does not exceed the best value found. "The most" is the smaller of two bounds: the
   best experts for which the client's capacity still has room; and for each resource the Lagrangian bound
   value − λ·cost, with the λ of that resource's own fractional knapsack.
4. Then the last expert taken is left out, and the search goes on behind it.

Twins are experts of one group with the same costs, such as the experts of one layer. The better of two twins is taken
first: an expert is taken only if its better twin is.

A search that takes more than ``STEPS`` steps (thirty experts whose costs equal their values, say) is given up. Then
the row counts with the bound of its root: that is not exact, but still a bound.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from alignsolve.runtime.jit import inner
from alignsolve.subproblem.falling_order import falling_order

STEPS = 1_000_000
"""Steps of one row's search, about 0.1 s; rows with up to 16 experts never need as many."""

Matrix = npt.NDArray[Any]  # inside compiled code, where numba knows the types


@inner
def search_row(
    reduced: Matrix, allowed: Matrix, required: Matrix, cost: Matrix, budget: Matrix, demand: int, capacity: int,
    group: Matrix, group_demand: Matrix, group_capacity: Matrix, best: Matrix,
) -> Any:  # fmt: skip
    """Branch and bound over one client's experts; writes the best choice and returns its value and feasibility."""
    # Phase 1: put the required experts in. What is left of each limit is what the search may use.
    in_group = np.zeros(len(group_demand), dtype=np.int64)
    spent = np.zeros(cost.shape[1])
    value, count, possible = _take_required(
        reduced, allowed, required, cost, budget, capacity, group, group_capacity, in_group, spent, best
    )
    if not possible:
        return 0.0, False
    # Phase 2: rank the open experts by reduced fitness, and prepare the bounds of every position in that order.
    open_ = _ranked(reduced, allowed, required)
    rate, tail = _resource_bounds(reduced, cost, budget, spent, open_)
    after, cheapest = _left_from(cost, group, len(group_demand), open_)
    ordered, twin = reduced[open_], _better_twins(cost, group, open_)
    positive = 0  # open experts that are worth something
    for t in range(len(open_)):
        if ordered[t] > 0.0:
            positive = t + 1
    # Phase 3: the bound of the root, for a search that is given up.
    root = value
    for s in range(min(max(positive, demand - count), capacity - count, len(open_))):
        root += ordered[s]
    for r in range(len(rate)):
        if rate[r] > 0.0:
            root = min(root, value + rate[r] * (budget[r] - spent[r]) + tail[r, 0])
    # Phase 4: search depth first.
    return _search(
        reduced, required, cost, budget, demand, capacity, group, group_demand, group_capacity, best, in_group, spent,
        value, count, open_, ordered, twin, positive, rate, tail, after, cheapest, root,
    )  # fmt: skip


@inner
def _take_required(
    reduced: Matrix, allowed: Matrix, required: Matrix, cost: Matrix, budget: Matrix, capacity: int, group: Matrix,
    group_capacity: Matrix, in_group: Matrix, spent: Matrix, best: Matrix,
) -> Any:  # fmt: skip
    """Put the required experts in; returns their value, their number, and whether they keep every limit."""
    value = 0.0
    count = 0
    for j in range(len(reduced)):
        if required[j]:
            if not allowed[j]:
                return value, count, False
            best[j] = True
            value += reduced[j]
            count += 1
            in_group[group[j]] += 1
            for r in range(len(spent)):
                spent[r] += cost[j, r]
    for g in range(len(in_group)):
        if in_group[g] > group_capacity[g]:
            return value, count, False
    for r in range(len(spent)):
        if spent[r] > budget[r]:
            return value, count, False
    return value, count, count <= capacity


@inner
def _ranked(reduced: Matrix, allowed: Matrix, required: Matrix) -> Matrix:
    """The open experts, those that are allowed and not required, in falling order of reduced fitness."""
    open_ = np.empty(len(reduced), dtype=np.int64)
    m = 0
    for j in falling_order(reduced):
        if allowed[j] and not required[j]:
            open_[m] = j
            m += 1
    return open_[:m]


@inner
def _better_twins(cost: Matrix, group: Matrix, open_: Matrix) -> Matrix:
    """For each position, the nearest one before it with an expert of the same group and the same costs, or −1."""
    twin = np.full(len(open_), -1, dtype=np.int64)
    for t in range(len(open_)):
        for s in range(t - 1, -1, -1):
            if group[open_[s]] == group[open_[t]] and np.array_equal(cost[open_[s]], cost[open_[t]]):
                twin[t] = s
                break
    return twin


@inner
def _resource_bounds(reduced: Matrix, cost: Matrix, budget: Matrix, spent: Matrix, open_: Matrix) -> Any:
    """Prepare the Lagrangian bound of each resource.

    Returns
    -------
    rate, tail
        λ of each resource, and tail[r, t] = Σ max(0, value − λ·cost) over the open experts from position t on.
    """
    m, num_resources = len(open_), len(budget)
    rate = np.empty(num_resources)
    tail = np.zeros((num_resources, m + 1))
    for r in range(num_resources):
        rate[r] = _fractional_rate(reduced, cost[:, r], open_, budget[r] - spent[r])
        for t in range(m - 1, -1, -1):
            worth = reduced[open_[t]] - rate[r] * cost[open_[t], r]
            tail[r, t] = tail[r, t + 1] + max(worth, 0.0)
    return rate, tail


@inner
def _left_from(cost: Matrix, group: Matrix, num_groups: int, open_: Matrix) -> Any:
    """Count what is left from each position on: the open experts of each group, and the least that one costs."""
    m, num_resources = len(open_), cost.shape[1]
    after = np.zeros((m + 1, num_groups), dtype=np.int64)
    cheapest = np.full((m + 1, num_resources), np.inf)
    for t in range(m - 1, -1, -1):
        for g in range(num_groups):
            after[t, g] = after[t + 1, g]
        after[t, group[open_[t]]] += 1
        for r in range(num_resources):
            cheapest[t, r] = min(cheapest[t + 1, r], cost[open_[t], r])
    return after, cheapest


@inner
def _search(
    reduced: Matrix, required: Matrix, cost: Matrix, budget: Matrix, demand: int, capacity: int, group: Matrix,
    group_demand: Matrix, group_capacity: Matrix, best: Matrix, in_group: Matrix, spent: Matrix, value: float,
    count: int, open_: Matrix, ordered: Matrix, twin: Matrix, positive: int, rate: Matrix, tail: Matrix,
    after: Matrix, cheapest: Matrix, root: float,
) -> Any:  # fmt: skip
    """Search depth first with what is taken in ``taken``; returns the best value and whether there is a choice.

    A search that takes too many steps returns the bound of its root instead.
    """
    m, num_resources = len(open_), len(budget)
    found = False
    best_value = 0.0
    steps = 0
    taken = np.zeros(m, dtype=np.bool_)
    t = 0
    while True:
        steps += 1
        if steps > STEPS:
            return root, True
        # Descend from position t, taking whatever fits, until the branch is complete or cut.
        cut, short = _look_ahead(
            t, m, count, value, demand, capacity, positive, ordered, rate, tail, budget, spent, in_group, group_demand,
            after, cheapest, found, best_value,
        )  # fmt: skip
        if not cut and (t < positive or short):
            j = open_[t]
            fits = count < capacity and in_group[group[j]] < group_capacity[group[j]]
            fits = fits and (twin[t] < 0 or taken[twin[t]])
            for r in range(num_resources):
                fits = fits and spent[r] + cost[j, r] <= budget[r]
            taken[t] = fits
            if fits:
                value += reduced[j]
                count += 1
                in_group[group[j]] += 1
                for r in range(num_resources):
                    spent[r] += cost[j, r]
            t += 1
            continue
        if not cut:
            found = True
            best_value = value
            for s in range(m):
                best[open_[s]] = s < t and taken[s]
        # Go back to the last expert that was taken and leave it out instead.
        t -= 1
        while t >= 0 and not taken[t]:
            t -= 1
        if t < 0:
            return best_value, found
        taken[t] = False
        count -= 1
        in_group[group[open_[t]]] -= 1
        value = _retaken(reduced, required, cost, open_, taken, t, spent)
        t += 1


@inner
def _retaken(
    reduced: Matrix, required: Matrix, cost: Matrix, open_: Matrix, taken: Matrix, t: int, spent: Matrix
) -> float:
    """Sum value and costs of what is still taken before position t.

    They are summed anew and not subtracted: no rounding is carried from one branch into the next.
    """
    value = 0.0
    spent[:] = 0.0
    for i in range(len(reduced)):
        if required[i]:
            value += reduced[i]
            for r in range(len(spent)):
                spent[r] += cost[i, r]
    for s in range(t):
        if taken[s]:
            value += reduced[open_[s]]
            for r in range(len(spent)):
                spent[r] += cost[open_[s], r]
    return value


@inner
def _look_ahead(
    t: int, m: int, count: int, value: float, demand: int, capacity: int, positive: int, ordered: Matrix, rate: Matrix,
    tail: Matrix, budget: Matrix, spent: Matrix, in_group: Matrix, group_demand: Matrix, after: Matrix,
    cheapest: Matrix, found: bool, best_value: float,
) -> Any:  # fmt: skip
    """Whether no completion of this branch is feasible and beats the best; whether demands are still short."""
    need = max(demand - count, 0)
    groups_need = 0
    for g in range(len(group_demand)):
        short = group_demand[g] - in_group[g]
        if short > after[t, g]:
            return True, True
        groups_need += max(short, 0)
    need = max(need, groups_need)
    if need > m - t or need > capacity - count:
        return True, True
    if need > 0:
        for r in range(len(rate)):
            if spent[r] + need * cheapest[t, r] > budget[r]:
                return True, True
    if not found:
        return False, need > 0
    more = min(max(positive - t, need), capacity - count, m - t)
    most = value
    for s in range(t, t + more):  # summed anew: a difference of prefix sums would drown small values in a large one
        most += ordered[s]
    if most <= best_value:
        return True, need > 0
    for r in range(len(rate)):
        if rate[r] > 0.0 and value + rate[r] * (budget[r] - spent[r]) + tail[r, t] <= best_value:
            return True, need > 0
    return False, need > 0


@inner
def _fractional_rate(reduced: Matrix, cost: Matrix, open_: Matrix, room: float) -> float:
    """Value per cost at which the fractional knapsack of one resource breaks; 0 where everything worth having fits."""
    ratio = np.full(len(open_), -1.0)
    for t in range(len(open_)):
        j = open_[t]
        if reduced[j] > 0.0 and cost[j] > 0.0:
            ratio[t] = reduced[j] / cost[j]
    for t in falling_order(ratio):
        if ratio[t] < 0.0:
            break
        room -= cost[open_[t]]
        if room < 0.0:
            return float(ratio[t])
    return 0.0

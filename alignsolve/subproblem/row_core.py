# mypy: allow-untyped-decorators
"""A client's choice within budgets made better: a few experts at a time come in or go, while that gains; compiled.

A choice from rates (:mod:`.relaxed_row`) leaves something of the budgets unspent. Whatever changes loses its distance
from the threshold, worth less what it costs at the rates, and can win no more than the unspent is worth. So the best
change is made of experts near the threshold: the choice's core. A depth-first search tries sets of up to ``AT_ONCE``
experts, the nearest first. A branch ends where it has lost too much. The best set is changed, and the search begins
again from the new choice: with pairs, then with larger sets, which are many but for little that is unspent.
"""

from typing import Any

import numpy as np

from alignsolve.runtime.jit import inner
from alignsolve.subproblem.row_choice import BEST, Desk, Row, copied

NEAREST = 64
"""Experts of the core, at most."""
AT_ONCE = 4
"""Experts that change at once, at most: two come in for two."""
STEPS, CHANGES = 40_000, 32
"""Steps of one search, less than a millisecond, and how many sets are changed, at most."""
CLOSE = 1e-12
"""A gain below this share of the choice's worth is rounding."""


@inner
def search_core(row: Row, desk: Desk, rate: Any) -> None:
    """Improve ``desk.best``, with (num_resources,) rates; ``desk.use`` and ``desk.top`` follow it."""
    if desk.top[0] == -np.inf:
        return
    near, loss, path = np.empty(NEAREST, np.int64), np.empty(NEAREST), np.empty(AT_ONCE, np.int64)
    copied(desk.best, desk.chosen)
    use, count, total = np.empty(len(rate)), np.zeros(len(row.least), np.int64), 0
    copied(desk.use[BEST], use)
    for j in range(len(row.worth)):
        count[row.group[j]] += desk.chosen[j]
        total += desk.chosen[j]
        desk.weight[j] = row.worth[j]
        for k in range(len(rate)):
            if rate[k] > 0.0:
                desk.weight[j] -= rate[k] * row.cost[j, k]
    changes, most = 0, 2
    while changes < CHANGES and most <= AT_ONCE:
        unspent = _unspent(row, rate, use)
        size = _list_nearest(row, desk, count, near, loss, unspent)
        number = _best_set(row, desk, rate, near, loss, size, most, use, count, total, unspent, path)
        if number == 0:
            most += 1
            continue
        changes, most = changes + 1, 2
        for at in range(number):
            j = near[path[at]]
            desk.top[0] += -row.worth[j] if desk.chosen[j] else row.worth[j]
            total += -1 if desk.chosen[j] else 1
            _turn(row, desk, j, use, count)
    copied(desk.chosen, desk.best)
    copied(use, desk.use[BEST])


@inner
def _best_set(
    row: Row, desk: Desk, rate: Any, near: Any, loss: Any, size: int, most: int, use: Any, count: Any, total: int,
    unspent: float, best: Any,
) -> int:  # fmt: skip
    """Find the set of experts whose change gains most, as places in ``near``; return how many they are."""
    lost, path = np.zeros(AT_ONCE + 1), np.empty(AT_ONCE, np.int64)
    # What is lost at least: by the changes themselves, and by what is unspent after them.
    least, depth, found, t = unspent - CLOSE * abs(desk.top[0]), 0, 0, 0
    for _ in range(STEPS):
        if t < size and depth < most and (loss[t] < 0.0 or lost[depth] + loss[t] < least):
            _turn(row, desk, near[t], use, count)
            total += 1 if desk.chosen[near[t]] else -1
            path[depth] = t
            depth += 1
            lost[depth] = lost[depth - 1] + loss[t]
            after = lost[depth] + _unspent(row, rate, use)
            if after < least and _possible(row, near, path, depth, count, total):
                least, found = after, depth
                copied(path, best)
            t += 1
            continue
        if depth == 0:
            break
        # Change the last one back, and try the next one for it.
        depth -= 1
        t = path[depth]
        _turn(row, desk, near[t], use, count)
        total += 1 if desk.chosen[near[t]] else -1
        t += 1
    while depth > 0:
        depth -= 1
        _turn(row, desk, near[path[depth]], use, count)
    return found


@inner
def _list_nearest(row: Row, desk: Desk, count: Any, near: Any, loss: Any, most: float) -> int:
    """List the experts whose change loses least, by what it loses; return how many."""
    size = 0
    for j in range(len(row.worth)):
        if row.required[j] or not row.allowed[j]:
            continue
        lost = desk.weight[j] if desk.chosen[j] else -desk.weight[j]
        needed = desk.chosen[j] and count[row.group[j]] <= row.least[row.group[j]]
        if lost >= most or (needed and lost < 0.0) or (size == NEAREST and lost >= loss[size - 1]):
            continue
        q = min(size, NEAREST - 1)
        while q > 0 and loss[q - 1] > lost:
            loss[q], near[q] = loss[q - 1], near[q - 1]
            q -= 1
        loss[q], near[q] = lost, j
        size = min(size + 1, NEAREST)
    return size


@inner
def _turn(row: Row, desk: Desk, j: int, use: Any, count: Any) -> None:
    """Change whether expert j is chosen."""
    sign = -1 if desk.chosen[j] else 1
    desk.chosen[j] = not desk.chosen[j]
    count[row.group[j]] += sign
    for k in range(len(use)):
        use[k] += sign * row.cost[j, k]


@inner
def _unspent(row: Row, rate: Any, use: Any) -> float:
    """What the unspent budgets are worth at the rates; inf where one is exceeded."""
    unspent = 0.0
    for k in range(len(rate)):
        if use[k] > row.budget[k]:
            return np.inf
        if rate[k] > 0.0:
            unspent += rate[k] * (row.budget[k] - use[k])
    return unspent


@inner
def _possible(row: Row, near: Any, path: Any, depth: int, count: Any, total: int) -> bool:
    """Whether a choice keeps the numbers of the row and of the groups in which something was changed."""
    if total < row.demand or total > row.room:
        return False
    for at in range(depth):
        g = row.group[near[path[at]]]
        if count[g] < row.least[g] or count[g] > row.most[g]:
            return False
    return True

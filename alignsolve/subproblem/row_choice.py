# mypy: allow-untyped-decorators
"""A client's best choice under weights, within the bounds on numbers of experts: the step that relaxations repeat.

It is the greed of :mod:`.row` for one client, compiled, and it tells which experts are chosen.
"""

from typing import Any, NamedTuple

import numpy as np

from alignsolve.runtime.jit import inner
from alignsolve.subproblem.grouped_rows import to_front


class Row(NamedTuple):
    """What a client may take.

    Attributes
    ----------
    worth
        (num_experts,) reduced fitness.
    allowed, required
        (num_experts,) bools.
    cost, budget
        (num_experts, num_resources) and (num_resources,)
    group
        (num_experts,) the group of each; there is one at least.
    order, first
        (num_experts,) the experts group by group, and (num_groups + 1,) where each group begins.
    least, most
        (num_groups,) the bounds of each group.
    demand, room
        The bounds of the whole row.
    """

    worth: Any
    allowed: Any
    required: Any
    cost: Any
    budget: Any
    group: Any
    order: Any
    first: Any
    least: Any
    most: Any
    demand: int
    room: int


class Desk(NamedTuple):
    """Where a row is worked on.

    Attributes
    ----------
    weight
        (num_experts,) worth less what the expert costs at the present rates.
    chosen, open_, buffer
        (num_experts,) the present choice, and what choosing needs.
    best
        (num_experts,) bools: the best choice so far that keeps all budgets.
    use
        (4, num_resources) what the present choice uses, what ``best`` uses, and the last ones of an interval's ends.
    mixed
        (num_resources,) what a mixture of choices uses that spends the last budget asked for exactly.
    top
        (1,) what ``best`` is worth; −inf if there is none.
    """

    weight: Any
    chosen: Any
    open_: Any
    buffer: Any
    best: Any
    use: Any
    mixed: Any
    top: Any


NOW, BEST, LOW, HIGH = 0, 1, 2, 3
"""Rows of :attr:`Desk.use`."""


@inner
def new_desk(num_experts: int, num_resources: int) -> Desk:
    """Allocate what one row after the other needs."""
    return Desk(
        np.empty(num_experts), np.zeros(num_experts, np.bool_), np.zeros(num_experts, np.bool_),
        np.empty(num_experts), np.zeros(num_experts, np.bool_), np.zeros((4, num_resources)), np.zeros(num_resources),
        np.empty(1),
    )  # fmt: skip


@inner
def copied(values: Any, into: Any) -> None:
    """Copy some numbers; to assign a slice takes seconds to compile."""
    for j in range(len(into)):
        into[j] = values[j]


@inner
def choose(row: Row, desk: Desk) -> float:
    """Choose the best by weight without budgets; return their weight, −inf if the row's bounds allow no choice."""
    total, taken = 0.0, 0
    for g in range(len(row.least)):
        begin, end = row.first[g], row.first[g + 1]
        own = size = 0
        for q in range(begin, end):
            j = row.order[q]
            if row.required[j] and not row.allowed[j]:
                return -np.inf
            desk.chosen[j] = row.required[j]
            desk.open_[j] = row.allowed[j] and not row.required[j]
            own += desk.chosen[j]
            size += desk.open_[j]
        need, room = max(row.least[g] - own, 0), row.most[g] - own
        if need > size or room < need:
            return -np.inf
        # What the group demands, its best; then its capacity shuts out the worst.
        if need > 0:
            _take(row, desk, begin, end, need, desk.chosen)
        if room < size:
            _shut(row, desk, begin, end, room)
        for q in range(begin, end):
            j = row.order[q]
            if desk.chosen[j]:
                desk.open_[j] = False
                total += desk.weight[j]
                taken += 1
    # The best of the rest, while the row demands them or they are worth something.
    positive = left = 0
    for j in range(len(row.worth)):
        if desk.open_[j]:
            left += 1
            positive += desk.weight[j] > 0.0
    need, room = max(row.demand - taken, 0), row.room - taken
    number = max(need, min(positive, room))
    if number > left or room < number:
        return -np.inf
    if number < positive or need > positive:
        _shut(row, desk, 0, len(row.order), number)
    for j in range(len(row.worth)):
        if desk.open_[j] and (desk.weight[j] > 0.0 or need > positive):
            desk.chosen[j] = True
            total += desk.weight[j]
    return total


@inner
def _take(row: Row, desk: Desk, begin: int, end: int, number: int, taken: Any) -> None:
    """Mark the best ``number`` open experts of a part of the order."""
    if number == 1:
        best = -1
        for q in range(begin, end):
            j = row.order[q]
            if desk.open_[j] and (best < 0 or desk.weight[j] > desk.weight[best]):
                best = j
        taken[best] = True
        return
    edge, ties = _edge(row, desk, begin, end, number)
    for q in range(begin, end):
        j = row.order[q]
        if desk.open_[j] and desk.weight[j] >= edge:
            if desk.weight[j] == edge:
                ties -= 1
            taken[j] = desk.weight[j] > edge or ties >= 0


@inner
def _shut(row: Row, desk: Desk, begin: int, end: int, number: int) -> None:
    """Leave only the best ``number`` experts of a part of the order open."""
    edge, ties = _edge(row, desk, begin, end, number)
    for q in range(begin, end):
        j = row.order[q]
        if desk.open_[j]:
            if desk.weight[j] == edge:
                ties -= 1
            desk.open_[j] = desk.weight[j] > edge or (desk.weight[j] == edge and ties >= 0)


@inner
def _edge(row: Row, desk: Desk, begin: int, end: int, number: int) -> Any:
    """The least weight of the best ``number`` open experts, and how many of that weight are among them."""
    size = 0
    for q in range(begin, end):
        j = row.order[q]
        if desk.open_[j]:
            desk.buffer[size] = desk.weight[j]
            size += 1
    if number <= 0:
        return np.inf, 0
    to_front(desk.buffer, 0, size, number)
    edge = np.inf
    for q in range(number):
        edge = min(edge, desk.buffer[q])
    above = 0
    for q in range(number):
        above += desk.buffer[q] > edge
    return edge, number - above

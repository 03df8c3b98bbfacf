"""One node of the tree: bound it by the Lagrangian relaxation, close pairs, and find where to branch.

:mod:`.tree` tells the whole algorithm; here are its steps 1 to 3 at a node, compiled.
"""

from typing import Any, NamedTuple

import numpy as np

from alignsolve.numerics import EPSILON, BoolArray, FloatArray, IntArray
from alignsolve.runtime.jit import inner
from alignsolve.solvers.generalised_assignment.knapsacks import Knapsacks, fill, force

STEPS = 30
"""Steps of the multipliers at a node."""
AGED = 0.9
"""Weight of older choices in the direction of a step, against the last choice."""
LENGTH, SHORTER, PATIENCE = 0.5, 0.6, 6
"""Share of Polyak's step towards the aim; the factor on it after ``PATIENCE`` steps without a better bound."""
NEAR = 0.05
"""The aim counts as at least so far away, so that steps do not vanish."""
MEMORY = 0.8
"""Weight of older choices in the shares at the next node."""
AGAIN = 0.05
"""The multipliers climb again at the same node if at least this share of the open pairs was closed."""

CLOSED, SOLVED, DIVIDED = 0, 1, 2
"""Kinds of nodes: nothing below the aim is there; one alignment; to be divided in two."""


class State(NamedTuple):
    """A tree under way, changed in place; levels come first.

    Attributes
    ----------
    cost, weight
        (num_experts, num_clients) as in :class:`Knapsacks`.
    open, room, multipliers, expert, spent
        (levels, num_experts, num_clients) open pairs, (levels, num_experts) capacity left, (levels, num_clients)
        multipliers, (levels, num_clients) experts, −1 where undecided, and (levels,) cost of the decided clients.
    branch
        (levels, 3) client, expert, and 0 while the client is put there, 1 once it is kept away.
    shares
        (num_clients, num_experts) how often the knapsacks chose a pair lately.
    at
        (2,) the level, −1 at the end, and the nodes so far.
    explored
        (1,) share of the tree that is done, where each branch counts as half of its node.
    among, many
        (num_experts, num_clients) the open, undecided clients of each expert at one node, first in a row, and
        (num_experts,) their number.
    inside, outside, away, table, back
        Room, see :func:`forced`; (num_clients,) for the sums of ``outside``.
    solution
        (num_clients,) the last alignment found.
    """

    cost: FloatArray
    weight: IntArray
    open: BoolArray
    room: IntArray
    multipliers: FloatArray
    expert: IntArray
    spent: FloatArray
    branch: IntArray
    shares: FloatArray
    at: IntArray
    explored: FloatArray
    among: IntArray
    many: IntArray
    inside: FloatArray
    outside: FloatArray
    away: FloatArray
    table: FloatArray
    back: FloatArray
    solution: IntArray


@inner
def look(tree: Any, level: int, aim: float) -> int:
    """Bound a node, close pairs and decide clients until little changes; return the kind of the node."""
    while True:
        # Clients with one expert left go there.
        left = _decide(tree, level)
        if left < 0:
            return CLOSED
        if left == 0:
            tree.solution[:] = tree.expert[level]
            return SOLVED if tree.spent[level] < aim else CLOSED
        # Step 1: climb.
        sacks = Knapsacks(tree.cost, tree.weight, tree.room[level])
        lower, whole = _climb(tree, level, sacks, aim)
        if np.ceil(lower) >= aim:
            return CLOSED
        if whole:
            return SOLVED
        # Step 2: close pairs, and climb again if that closed many.
        opened, closed = _close(tree, level, sacks, lower, aim)
        if closed <= AGAIN * opened and _divide(tree, level):
            return DIVIDED


@inner
def _decide(tree: Any, level: int) -> int:
    """Put clients with one expert left there, again and again; return the number undecided, −1 if a client has none."""
    opened, room, expert = tree.open[level], tree.room[level], tree.expert[level]
    changed, left = True, 0
    while changed:
        changed, left = False, 0
        for i in range(len(expert)):
            if expert[i] >= 0:
                continue
            count, only = 0, -1
            # Which experts still fit client i?
            for j in range(len(room)):
                if opened[j, i] and tree.weight[j, i] > room[j]:
                    opened[j, i] = False
                if opened[j, i]:
                    count += 1
                    only = j
            if count == 0:
                return -1
            left += 1
            # Only one: decide.
            if count == 1:
                expert[i] = only
                room[only] -= tree.weight[only, i]
                tree.spent[level] += tree.cost[only, i]
                tree.multipliers[level, i] = 0.0
                changed, left = True, left - 1
    # List the open, undecided clients of each expert.
    for j in range(len(room)):
        tree.many[j] = 0
        for i in range(len(expert)):
            if opened[j, i] and expert[i] < 0:
                tree.among[j, tree.many[j]] = i
                tree.many[j] += 1
    return left


@inner
def _climb(tree: Any, level: int, sacks: Any, aim: float) -> Any:
    """Climb on; return the best bound, whose multipliers are kept, and whether the choices are an alignment."""
    best, now, expert = -np.inf, tree.multipliers[level].copy(), tree.expert[level]
    choice, wanted = np.empty(len(now), dtype=np.int64), np.empty(len(now))
    items, direction = np.empty(len(now), dtype=np.int64), np.zeros(len(now))
    length, quiet, usual = LENGTH, 0, 0.0
    tree.shares[:] *= MEMORY
    for _ in range(STEPS):
        lower = tree.spent[level] + _choose(tree, sacks, now, expert, tree.spent[level], items, choice, wanted)
        quiet = 0 if lower > best + 1e-3 else quiet + 1
        if lower > best:
            best = lower
            tree.multipliers[level] = now
        if np.ceil(best) >= aim:
            return best, False
        # Choices that take every client once are an alignment.
        missed = _squared(wanted)
        if missed == 0.0:
            for i in range(len(now)):
                tree.solution[i] = expert[i] if expert[i] >= 0 else choice[i]
            return lower, True
        if quiet > PATIENCE:
            length, quiet = SHORTER * length, 0
        # A step along the mean of what the last choices missed, as long as Polyak's towards the aim.
        usual = AGED * usual + (1.0 - AGED) * missed
        step = length * max(aim - best, NEAR) / usual
        for i in range(len(now)):
            direction[i] = AGED * direction[i] + (1.0 - AGED) * wanted[i]
            now[i] += step * direction[i]
    return best, False


@inner
def _squared(wanted: Any) -> float:
    """The square of a vector's length."""
    total = 0.0
    for i in range(len(wanted)):
        total += wanted[i] * wanted[i]
    return total


@inner
def _choose(
    tree: Any, sacks: Any, multipliers: Any, expert: Any, spent: float, items: Any, choice: Any, wanted: Any
) -> float:
    """Solve all knapsacks; return a bound on the undecided clients' cost, lowered by all possible rounding.

    Parameters
    ----------
    tree, sacks
        The tree, and the knapsacks with the capacity left.
    multipliers
        (num_clients,).
    expert
        (num_clients,) −1 where undecided.
    spent
        Cost of the decided clients, for the size of the rounding.
    items
        Room.
    choice, wanted
        (num_clients,) are overwritten: the last expert that takes each client, and 1 minus the number of experts that
        do, 0 for decided clients.
    """
    worth, total, size = 0.0, 0.0, abs(spent)
    for i in range(len(multipliers)):
        wanted[i] = 1.0 if expert[i] < 0 else 0.0
        total += multipliers[i]
        size += abs(multipliers[i])
    for j in range(len(sacks.size)):
        count = fill(sacks, j, tree.among[j, : tree.many[j]], multipliers, tree.table, items)
        b = sacks.size[j]
        worth += tree.table[count, b]
        for q in range(count - 1, -1, -1):
            if tree.table[q + 1, b] != tree.table[q, b]:
                i = items[q]
                choice[i] = j
                wanted[i] -= 1.0
                tree.shares[i, j] += 1.0
                b -= sacks.weight[j, i]
    return total - worth - 4.0 * (len(multipliers) + 8) * EPSILON * (size + worth)


@inner
def _close(tree: Any, level: int, sacks: Any, lower: float, aim: float) -> Any:
    """Step 2: close pairs that the knapsacks lose too much with; return the numbers of open and of closed pairs."""
    multipliers, items, away = tree.multipliers[level], np.empty(len(tree.solution), dtype=np.int64), tree.away
    inside, outside, opened, closed = tree.inside, tree.outside, 0, 0
    away[:] = 0.0
    # Each knapsack's loss with and without each client.
    for j in range(len(sacks.size)):
        among = tree.among[j, : tree.many[j]]
        for i in among:
            outside[i, j] = 0.0
        force(sacks, j, among, multipliers, tree.table, tree.back, items, inside, outside)
        for i in among:
            away[i] += outside[i, j]
    # A client at expert j is at no other expert: all losses of that add up.
    for j in range(len(sacks.size)):
        for i in tree.among[j, : tree.many[j]]:
            opened += 1
            if np.ceil(lower + inside[i, j] + away[i] - outside[i, j]) >= aim:
                tree.open[level, j, i] = False
                closed += 1
    return opened, closed


@inner
def _divide(tree: Any, level: int) -> bool:
    """Step 3: find the client whose choices are most divided; False if no client has two experts left."""
    least = np.inf
    for i in range(len(tree.solution)):
        if tree.expert[level, i] >= 0:
            continue
        best, to, total, count = -1.0, -1, 1e-9, 0
        for j in range(len(tree.many)):
            if tree.open[level, j, i]:
                total += tree.shares[i, j]
                count += 1
                if tree.shares[i, j] > best:
                    best, to = tree.shares[i, j], j
        if count > 1 and best / total < least:
            least = best / total
            tree.branch[level, 0], tree.branch[level, 1] = i, to
    return least < np.inf

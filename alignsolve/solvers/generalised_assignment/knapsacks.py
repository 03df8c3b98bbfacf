"""Every expert's own knapsack, solved exactly: the clients it takes if each is worth its multiplier less its cost.

A table over clients and capacities (dynamic programming) solves a knapsack. Whole loads index the table. Loads that
are not whole, and loads of capacities too large for a table, are rounded down to a grid: the knapsack gets looser,
and its bound still holds.
"""

from typing import Any, NamedTuple

import numpy as np

from alignsolve.numerics import EPSILON, FloatArray, IntArray
from alignsolve.runtime.jit import inner, kernel
from alignsolve.solvers.generalised_assignment.instance import Instance

CELLS = 4_000_000
"""Most entries of one expert's table."""
WORK = 40_000_000
"""Most entries of all experts' tables."""
SAFELY = 1.0 - 1e-12
"""A factor on scaled loads: they are rounded down even if scaling rounded them up."""


class Knapsacks(NamedTuple):
    """The data of all knapsacks.

    Attributes
    ----------
    cost
        (num_experts, num_clients) float64, inf where closed.
    weight, size
        (num_experts, num_clients) and (num_experts,) int64: loads and capacities on the grid.
    """

    cost: FloatArray
    weight: IntArray
    size: IntArray


def knapsacks(instance: Instance) -> Knapsacks:
    """Put loads and capacities on whole numbers."""
    num_clients, num_experts = instance.shape
    finest = int(min(CELLS / num_clients, WORK / (num_clients * num_experts)))
    size = instance.most.astype(np.float64)
    weight = instance.load.T.copy()
    for j in range(num_experts):
        if not instance.whole_loads or size[j] > finest:
            scaled = weight[j] * (finest / size[j]) * SAFELY if size[j] > 0 else weight[j] * 0.0
            weight[j], size[j] = np.floor(scaled), finest
    cost = np.ascontiguousarray(instance.cost.T)
    return Knapsacks(cost, weight.astype(np.int64), size.astype(np.int64))


def new_table(sacks: Knapsacks) -> FloatArray:
    """Make room for the largest table."""
    return np.empty((sacks.cost.shape[1] + 1, int(sacks.size.max()) + 1))


def rigorous(sacks: Knapsacks, multipliers: FloatArray, best: FloatArray) -> float:
    """Σ multipliers − Σ best, lowered by the most that rounding may have added.

    Parameters
    ----------
    sacks
        The knapsacks.
    multipliers
        (num_clients,).
    best
        (num_experts,) the knapsacks' values, each summed in at most num_clients steps of differences.
    """
    terms = (sacks.cost.shape[1] + 8) * EPSILON * (np.abs(multipliers).sum() + np.abs(best).sum())
    return float(multipliers.sum() - best.sum() - 4.0 * terms)


@inner
def fill(sacks: Any, j: int, among: Any, multipliers: Any, table: Any, items: Any) -> int:
    """Fill expert j's table: row q holds the best value of the first q items at every size.

    Parameters
    ----------
    sacks, j
        The knapsacks, and the expert.
    among
        The clients that may be taken.
    multipliers
        (num_clients,).
    table
        Overwritten.
    items
        (num_clients,) overwritten: the clients that fit and are worth more than nothing.

    Returns
    -------
    int
        The number of items.
    """
    count = 0
    for i in among:
        if multipliers[i] > sacks.cost[j, i] and sacks.weight[j, i] <= sacks.size[j]:
            items[count] = i
            count += 1
    size = sacks.size[j]
    table[0, : size + 1] = 0.0
    for q in range(count):
        i = items[q]
        _add(table[q, : size + 1], sacks.weight[j, i], multipliers[i] - sacks.cost[j, i], table[q + 1, : size + 1])
    return count


@inner
def _add(old: Any, weight: int, worth: float, new: Any) -> None:
    """One more item: compute a row of a table from the row before.

    Slices are used because indices that cannot be negative let the loop be vectorised.
    """
    new[:weight] = old[:weight]
    without, within, best = old[weight:], old[: len(old) - weight], new[weight:]
    for b in range(len(best)):
        best[b] = max(without[b], within[b] + worth)


@kernel
def evaluate(sacks: Any, multipliers: Any, table: Any, best: Any, taken: Any) -> None:
    """Solve all knapsacks.

    Parameters
    ----------
    sacks, multipliers, table
        As in :func:`fill`.
    best
        (num_experts,) is overwritten by the knapsacks' values.
    taken
        (num_clients,) is overwritten: how many experts take each client.
    """
    everyone, items = np.arange(len(multipliers)), np.empty(len(multipliers), dtype=np.int64)
    taken[:] = 0
    for j in range(len(best)):
        count = fill(sacks, j, everyone, multipliers, table, items)
        # Walk back through the table to read off the items taken.
        b = sacks.size[j]
        best[j] = table[count, b]
        for q in range(count - 1, -1, -1):
            if table[q + 1, b] != table[q, b]:
                taken[items[q]] += 1
                b -= sacks.weight[j, items[q]]


@kernel
def mix(sacks: Any, multipliers: Any, table: Any, step: float, steps: int, taken: Any) -> float:
    """Take subgradient steps of one length, and count which expert takes which client on the way.

    Parameters
    ----------
    sacks, table
        As in :func:`fill`.
    multipliers
        (num_clients,), changed in place.
    step, steps
        Length and number of the steps.
    taken
        (num_clients, num_experts), to be added to.

    Returns
    -------
    float
        The squared length of the last subgradient: for each client 1 minus the number of experts that took it.
    """
    everyone, items = np.arange(len(multipliers)), np.empty(len(multipliers), dtype=np.int64)
    wanted = np.empty(len(multipliers))
    for _ in range(steps):
        # Solve all knapsacks, and count their choices.
        wanted[:] = 1.0
        for j in range(len(sacks.size)):
            count = fill(sacks, j, everyone, multipliers, table, items)
            b = sacks.size[j]
            for q in range(count - 1, -1, -1):
                if table[q + 1, b] != table[q, b]:
                    taken[items[q], j] += 1.0
                    wanted[items[q]] -= 1.0
                    b -= sacks.weight[j, items[q]]
        # Step along the subgradient.
        for i in range(len(multipliers)):
            multipliers[i] += step * wanted[i]
    unmet = 0.0
    for i in range(len(multipliers)):
        unmet += wanted[i] * wanted[i]
    return unmet


@kernel
def forced(sacks: Any, multipliers: Any, table: Any, back: Any, inside: Any, outside: Any) -> None:
    """Compute each knapsack's loss if a client must be in it, and its loss if the client must not.

    Parameters
    ----------
    sacks, multipliers, table
        As in :func:`fill`.
    back
        Room for a second table.
    inside, outside
        (num_clients, num_experts) are overwritten by the losses, 0 or more; inside is inf where a client does not
        fit.
    """
    everyone, items = np.arange(len(multipliers)), np.empty(len(multipliers), dtype=np.int64)
    inside[:] = np.inf
    outside[:] = 0.0
    for j in range(len(sacks.size)):
        force(sacks, j, everyone, multipliers, table, back, items, inside, outside)


@inner
def force(
    sacks: Any, j: int, among: Any, multipliers: Any, table: Any, back: Any, items: Any, inside: Any, outside: Any
) -> None:
    """One expert's losses, for the clients that may be taken and fit; see :func:`forced` and :func:`fill`.

    The first table holds the best of the items up to each one, the second the best of the items behind it. Joined,
    they give the best with or without an item.
    """
    count, size = fill(sacks, j, among, multipliers, table, items), sacks.size[j]
    best, at = table[count, size], size
    # Clients that are worth nothing: in the best choice they are out.
    for i in among:
        if sacks.weight[j, i] <= size:
            worth = multipliers[i] - sacks.cost[j, i]
            inside[i, j] = max(best - table[count, size - sacks.weight[j, i]] - worth, 0.0)
    # Go backwards over the items, and build the second table on the way.
    back[count, : size + 1] = 0.0
    for q in range(count - 1, -1, -1):
        i = items[q]
        worth, weight = multipliers[i] - sacks.cost[j, i], sacks.weight[j, i]
        if table[q + 1, at] != table[q, at]:
            at -= weight
            # It is in the best choice.
            inside[i, j] = 0.0
            outside[i, j] = max(best - _joined(table[q], back[q + 1], size), 0.0)
        else:
            inside[i, j] = max(best - _joined(table[q], back[q + 1], size - weight) - worth, 0.0)
        _add(back[q + 1, : size + 1], weight, worth, back[q, : size + 1])


@inner
def _joined(before: Any, behind: Any, size: int) -> float:
    """The best of the items before one and the items behind it together, for every split of the size."""
    front, rear, best, other = before[: size + 1], behind[: size + 1], 0.0, 0.0
    # Two maxima side by side: with a single one, each comparison would wait for the last.
    for b in range(len(front) // 2):
        best = max(best, front[2 * b] + rear[size - 2 * b])
        other = max(other, front[2 * b + 1] + rear[size - 2 * b - 1])
    if len(front) % 2:
        best = max(best, front[size] + rear[0])
    return max(best, other)

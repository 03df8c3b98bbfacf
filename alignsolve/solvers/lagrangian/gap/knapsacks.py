"""Every expert's own knapsack, exactly: which clients it would take if each were worth its multiplier less its cost.

Whole loads are the table's index. Loads that are not whole, or capacities too large for a table, are rounded down on a
grid: the knapsack only gets looser, and what it proves still holds.
"""

from typing import Any, NamedTuple

import numba
import numpy as np

from alignsolve.numerics import EPSILON, FloatArray, IntArray
from alignsolve.solvers.lagrangian.gap.instance import Instance

compiled = numba.njit(cache=True, nogil=True)
CELLS = 4_000_000
"""Entries of one expert's table at most."""
WORK = 40_000_000
"""Entries of all experts' tables at most."""
SAFELY = 1.0 - 1e-12
"""A load on the grid is rounded down even if scaling it rounded up."""


class Knapsacks(NamedTuple):
    """What does not change.

    Attributes
    ----------
    cost
        (num_experts, num_clients) float64, inf where closed.
    weight, size
        (num_experts, num_clients) and (num_experts,) int64.
    """

    cost: FloatArray
    weight: IntArray
    size: IntArray


def knapsacks(instance: Instance) -> Knapsacks:
    """Put the loads on whole numbers."""
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
    """Σ multipliers − Σ best, lowered by all that rounding may have added.

    Parameters
    ----------
    multipliers
        (num_clients,).
    best
        (num_experts,) the knapsacks' values, each summed in at most num_clients steps of differences.
    """
    terms = (sacks.cost.shape[1] + 8) * EPSILON * (np.abs(multipliers).sum() + np.abs(best).sum())
    return float(multipliers.sum() - best.sum() - 4.0 * terms)


@compiled
def fill(sacks: Any, j: int, multipliers: Any, table: Any, items: Any) -> int:
    """Fill expert j's table: row q holds the best of the first q items for every size; return how many there are.

    Parameters
    ----------
    items
        (num_clients,) is overwritten: the clients that are worth anything.
    """
    count = 0
    for i in range(len(multipliers)):
        if multipliers[i] > sacks.cost[j, i] and sacks.weight[j, i] <= sacks.size[j]:
            items[count] = i
            count += 1
    size = sacks.size[j]
    table[0, : size + 1] = 0.0
    for q in range(count):
        i = items[q]
        worth, weight = multipliers[i] - sacks.cost[j, i], sacks.weight[j, i]
        for b in range(weight):
            table[q + 1, b] = table[q, b]
        for b in range(weight, size + 1):
            table[q + 1, b] = max(table[q, b], table[q, b - weight] + worth)
    return count


@compiled
def evaluate(sacks: Any, multipliers: Any, table: Any, best: Any, taken: Any) -> None:
    """All knapsacks at once.

    Parameters
    ----------
    best
        (num_experts,) is overwritten by the knapsacks' values.
    taken
        (num_clients,) is overwritten: how many experts take each client.
    """
    items = np.empty(len(multipliers), dtype=np.int64)
    taken[:] = 0
    for j in range(len(best)):
        count = fill(sacks, j, multipliers, table, items)
        b = sacks.size[j]
        best[j] = table[count, b]
        for q in range(count - 1, -1, -1):
            if table[q + 1, b] != table[q, b]:
                taken[items[q]] += 1
                b -= sacks.weight[j, items[q]]


@compiled
def mix(sacks: Any, multipliers: Any, table: Any, step: float, steps: int, taken: Any) -> float:
    """Walk along the subgradients in steps of one length, and count which expert takes which client on the way.

    Parameters
    ----------
    multipliers
        (num_clients,), changed in place.
    taken
        (num_clients, num_experts), to be added to.

    Returns
    -------
    float
        How many clients the last choices missed or took once more than once, squared and summed up.
    """
    items = np.empty(len(multipliers), dtype=np.int64)
    wanted = np.empty(len(multipliers))
    for _ in range(steps):
        wanted[:] = 1.0
        for j in range(len(sacks.size)):
            count = fill(sacks, j, multipliers, table, items)
            b = sacks.size[j]
            for q in range(count - 1, -1, -1):
                if table[q + 1, b] != table[q, b]:
                    taken[items[q], j] += 1.0
                    wanted[items[q]] -= 1.0
                    b -= sacks.weight[j, items[q]]
        for i in range(len(multipliers)):
            multipliers[i] += step * wanted[i]
    unmet = 0.0
    for i in range(len(multipliers)):
        unmet += wanted[i] * wanted[i]
    return unmet


@compiled
def forced(sacks: Any, multipliers: Any, table: Any, back: Any, inside: Any, outside: Any) -> None:
    """What each knapsack loses if a client must be in it, and if it must not.

    Parameters
    ----------
    back
        Room for a second table.
    inside, outside
        (num_clients, num_experts) are overwritten by the losses, 0 or more; inside is inf where a client does not fit.
    """
    num_clients = len(multipliers)
    items = np.empty(num_clients, dtype=np.int64)
    inside[:] = np.inf
    outside[:] = 0.0
    for j in range(len(sacks.size)):
        count = fill(sacks, j, multipliers, table, items)
        size = sacks.size[j]
        best = table[count, size]
        for i in range(num_clients):
            if sacks.weight[j, i] <= size:
                worth = multipliers[i] - sacks.cost[j, i]
                inside[i, j] = max(best - table[count, size - sacks.weight[j, i]] - worth, 0.0)
        back[count, : size + 1] = 0.0
        for q in range(count - 1, -1, -1):
            i = items[q]
            worth, weight = multipliers[i] - sacks.cost[j, i], sacks.weight[j, i]
            without = _joined(table, back, q, size)
            within = _joined(table, back, q, size - weight) + worth
            outside[i, j] = max(best - without, 0.0)
            inside[i, j] = max(best - within, 0.0)
            for b in range(size + 1):
                back[q, b] = back[q + 1, b]
                if b >= weight:
                    back[q, b] = max(back[q, b], back[q + 1, b - weight] + worth)


@compiled
def _joined(table: Any, back: Any, q: int, size: int) -> float:
    """The best of the items before q and those after it together."""
    best = 0.0
    for b in range(size + 1):
        best = max(best, table[q, b] + back[q + 1, size - b])
    return best

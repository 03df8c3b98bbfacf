"""One client's own problem over the layers of a model, without budgets: for admissions, which have no time to lose.

The steps are those of :mod:`.row`: every layer's demand first, then the best of the others while they are worth
something. Layers stand side by side and have no capacity of their own. So each step is a pass over the whole row, and
nothing is sorted but the experts that are worth something.
"""

from collections.abc import Sequence

import numpy as np

from alignsolve.numerics import BoolArray, FloatArray, IntArray


def layered_row(
    reduced: FloatArray, open_: BoolArray, layers: Sequence[int], *, layer_demand: int, demand: int, capacity: int
) -> IntArray:
    """Return the best experts of one client, ascending; ties go to the lower index.

    Parameters
    ----------
    reduced
        (num_experts,) reduced fitness: fitness minus price.
    open_
        (num_experts,) which experts may be taken.
    layers
        Number of experts of each layer.
    layer_demand
        Fewest experts of each layer, or all of them where a layer has fewer. So many must be open in each layer.
    demand, capacity
        Fewest and most experts of all layers together. The capacity is at least what the layers demand; at least as
        many experts as are demanded must be open.
    """
    left = np.where(open_, reduced, -np.inf)
    starts = np.cumsum([0, *layers[:-1]])
    layer_of = np.repeat(np.arange(len(layers)), layers)
    taken = []
    for _ in range(layer_demand):
        # The best expert of each layer that is still open, the first one among equals.
        best = np.maximum.reduceat(left, starts)
        found = np.flatnonzero((left == best[layer_of]) & (left > -np.inf))
        first = found[np.diff(layer_of[found], prepend=-1) > 0]
        taken.append(first)
        left[first] = -np.inf
    number = sum(len(first) for first in taken)
    rest = np.flatnonzero(left > 0 if demand <= number else left > -np.inf)
    worthwhile = int(np.count_nonzero(left > 0))
    taken.append(rest[_first_largest(left[rest], max(demand - number, min(worthwhile, capacity - number)))])
    return np.sort(np.concatenate(taken))


def _first_largest(values: FloatArray, number: int) -> IntArray:
    """Return the positions of the ``number`` largest values; among equals those that come first."""
    if number >= len(values) or number == 0:
        return np.arange(min(number, len(values)))
    least = np.partition(values, len(values) - number)[len(values) - number]
    above = np.flatnonzero(values > least)
    return np.concatenate([above, np.flatnonzero(values == least)[: number - len(above)]])

"""From the current placement to a better one, in steps: how much moves against how fast the slowest GPU gets.

The steps are those of descents from the current placement. Each descent stops at another largest time, since changes
that just reach a modest one move less than the first changes on the way to a better one. The last point is the best
placement that is known, found from nothing or from here.
"""

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import numpy as np

from alignsolve.numerics import BoolArray, FloatArray, IntArray
from alignsolve.placement.layer_search import LayerSearch
from alignsolve.placement.matching import renamed
from alignsolve.placement.request import Fleet
from alignsolve.placement.start import completed

STOPS = (0.0, 0.003, 0.0099, 0.03)
"""Where descents stop, as shares above the best largest time that is known."""
PRICES = (0.01, 0.05)
"""Prices of a moved copy in the descents, as shares of that time: they decide between changes that do much the same."""


class Point(NamedTuple):
    """A placement of one layer, with the weight that it moves and its largest time."""

    moved: float
    largest: float
    copies: BoolArray


def points_of(search: LayerSearch, current: BoolArray, fresh: BoolArray, weight: FloatArray) -> list[Point]:
    """Return placements by rising weight and falling largest time, none of them worse than another in both.

    Parameters
    ----------
    search
        The layer.
    current
        (num_gpus, num_experts): the current placement.
    fresh
        (num_gpus, num_experts): the best placement found from nothing.
    weight
        (num_experts,): weight of a copy.
    """
    matrix = np.where(current, 0.0, weight)
    found = [_point(search, copies, matrix) for copies in _candidates(search, current, fresh, weight, matrix)]
    found.sort(key=lambda point: (point.moved, point.largest))
    front: list[Point] = []
    for point in found:
        if not front or point.largest < front[-1].largest:
            front.append(point)
    return front


def _point(search: LayerSearch, copies: BoolArray, matrix: FloatArray) -> Point:
    return Point(float(matrix[copies].sum()), search.largest(copies), copies)


def _candidates(
    search: LayerSearch, current: BoolArray, fresh: BoolArray, weight: FloatArray, matrix: FloatArray
) -> Iterator[BoolArray]:
    yield renamed(fresh, current, weight, search.fleet)
    here = search.at_home(_home_of(current, search.home, search.fleet))
    start = completed(current, here.loads, here.fleet, here.home)
    yield start
    lowest = here.largest(fresh)
    unit = lowest / (weight.mean() or 1.0)
    for stop, price in product(STOPS, PRICES):
        copies = start
        for copies in here.path(start, matrix, price * unit, max(lowest * (1 + stop), search.enough)):
            yield copies
        if stop == STOPS[0] and here.largest(copies) > lowest:
            yield here.improved(copies, matrix, price * unit)


def _home_of(current: BoolArray, home: IntArray, fleet: Fleet) -> IntArray:
    """Return the node where most copies of each expert's group are; ``home`` if they do not fit so, or none is held."""
    held = np.zeros((int(fleet.group.max()) + 1, fleet.num_nodes), dtype=np.int64)
    gpu, expert = np.nonzero(current)
    np.add.at(held, (fleet.group[expert], fleet.node[gpu]), 1)
    known = held.sum(axis=1) > 0
    node = np.where(known[fleet.group], held.argmax(axis=1)[fleet.group], home)
    fits = np.bincount(node, minlength=fleet.num_nodes) <= fleet.node_slots
    return node if fits.all() else home

"""The search within one layer: relieve the slowest GPU as long as that is possible, then disturb and repeat."""

from typing import Any

import numpy as np

from alignsolve.placement.moves import exchange, recount
from alignsolve.placement.state import NONE, refresh
from alignsolve.runtime.jit import inner, kernel

DISTURBANCES = 3
"""Random changes between two descents."""
TRIES = 20
"""Draws for each of them until one is allowed."""
WINDOW = DISTURBANCES * (4 * TRIES + 1)
"""Draws that a round can use."""
STRIDE = 61
"""Distance of the windows of two rounds."""


@kernel
def step(layer: Any, enough: float, price: float) -> bool:
    """Relieve the slowest GPU by the best change; say whether there was one and it was needed."""
    refresh(layer)
    g = _slowest(layer)
    if layer.time[g] <= enough:
        return False
    best = recount(layer, g, enough, price, np.inf)
    for size in range(1, 3):  # two slots at a time only where nothing else helps
        if size == 1 or best == np.inf:
            best = exchange(layer, g, size, enough, price, best)
    if best == np.inf:
        return False
    for row in range(len(layer.move)):
        if layer.move[row, 0] < 0:
            break
        layer.held[layer.move[row, 0], layer.move[row, 1]] = layer.move[row, 2]
    refresh(layer)
    return True


@inner
def _slowest(layer: Any) -> int:
    slowest = 0
    for g in range(1, len(layer.time)):
        if layer.time[g] > layer.time[slowest]:
            slowest = g
    return slowest


@inner
def _score(layer: Any, enough: float, price: float) -> float:
    """Return the largest time, and the price of all that is moved."""
    moved = 0.0
    num_gpus, most = layer.held.shape
    for g in range(num_gpus):
        for k in range(most):
            if layer.held[g, k] >= 0:
                moved += layer.weight[g, layer.held[g, k]]
    return max(layer.time[_slowest(layer)], enough) + price * moved


@inner
def _copy(source: Any, target: Any) -> None:
    for g in range(source.shape[0]):
        for k in range(source.shape[1]):
            target[g, k] = source[g, k]


@kernel
def improve(layer: Any, best: Any, enough: float, price: float, first: int, last: int, draws: Any) -> float:
    """Descend, then disturb and descend for some rounds; the best placement is in ``best`` and ``layer``.

    Parameters
    ----------
    layer
        A :class:`~alignsolve.placement.state.Layer`, changed.
    best
        Space of the form of ``layer.held``.
    enough
        The search stops when no GPU takes longer.
    price
        Of a unit of weight that is moved.
    first, last
        Rounds ``first`` to ``last − 1``; the number of a round decides which draws it uses.
    draws
        Random integers, more than WINDOW.

    Returns
    -------
    float
        The score: the largest time or ``enough``, and the price of what is moved.
    """
    while step(layer, enough, price):
        pass
    _copy(layer.held, best)
    lowest = _score(layer, enough, price)
    for turn in range(first, last):
        if layer.time[_slowest(layer)] <= enough:
            break
        _disturb(layer, draws, turn * STRIDE % (len(draws) - WINDOW))
        while step(layer, enough, price):
            pass
        score = _score(layer, enough, price)
        if score <= lowest:
            lowest = score
            _copy(layer.held, best)
        else:
            _copy(best, layer.held)
        refresh(layer)
    return lowest


@inner
def _disturb(layer: Any, draws: Any, at: int) -> None:
    """Change the slowest GPU and others at random."""
    num_gpus, most = layer.held.shape
    g = _slowest(layer)
    for _ in range(DISTURBANCES):
        for _ in range(TRIES):
            a, h, b, kind = draws[at] % most, draws[at + 1] % num_gpus, draws[at + 2] % most, draws[at + 3] % 4
            at += 4
            e, f = layer.held[g, a], layer.held[h, b]
            if e < 0 or f == NONE or layer.closed[h, e] or layer.closed[g, f]:
                continue
            if kind == 0 and (f < 0 or layer.copies[f] > 1):
                layer.held[h, b] = e  # one copy more
            elif kind == 1 and f >= 0 and layer.copies[e] > 1:
                layer.held[g, a] = f  # one copy less
            else:
                layer.held[g, a], layer.held[h, b] = f, e
            refresh(layer)
            break
        g = draws[at] % num_gpus
        at += 1

"""Changes of a placement that relieve its slowest GPU: two GPUs exchange experts, or a slot gets another expert.

Each function looks for the change with the lowest score and writes it to ``layer.move``. The score is the larger of two
times: the largest time after the change, among the GPUs that it changes, and the time below which nothing more is won.
To it comes a price for what the change moves. Only changes count after which all these GPUs are faster than the
slowest is now, so the sorted times fall with each change, and a search ends.
"""

from typing import Any

from alignsolve.placement.state import NONE
from alignsolve.runtime.jit import inner

DONE = -1
"""In place of a GPU: the change has no further row."""
FASTER = 1 - 1e-12
"""A time above this share of another is not faster: the difference may be rounding."""


@inner
def exchange(layer: Any, g: int, size: int, enough: float, price: float, best: float) -> float:
    """Exchange up to ``size`` slots, 1 or 2, of GPU ``g`` for as many of another. Return the lowest score so far."""
    num_gpus, most = layer.held.shape
    for h in range(num_gpus):
        reach = layer.speed[g] + layer.speed[h]
        reach = (layer.time[g] * layer.speed[g] + layer.time[h] * layer.speed[h]) / reach  # both equally slow
        if h == g or max(reach, enough) >= best:
            continue
        for a in range(most):
            for a2 in range(a, min(most, a + 1 + (size - 1) * most)):
                e, e2 = layer.held[g, a], layer.held[g, a2]
                if e2 == NONE or layer.closed[h, e] or layer.closed[h, e2]:
                    continue
                given = layer.piece[e] + (layer.piece[e2] if a2 > a else 0.0)
                for b in range(most):
                    for b2 in range(b, min(most, b + 1 + (size - 1) * most)):
                        f, f2 = layer.held[h, b], layer.held[h, b2]
                        if f2 == NONE or layer.closed[g, f] or layer.closed[g, f2] or (a2 > a) != (b2 > b):
                            continue
                        less = given - layer.piece[f] - (layer.piece[f2] if b2 > b else 0.0)
                        worst = max(layer.time[g] - less / layer.speed[g], layer.time[h] + less / layer.speed[h])
                        if worst >= best or worst >= layer.time[g] * FASTER:
                            continue
                        moved = layer.weight[h, e] - layer.weight[g, e] + layer.weight[g, f] - layer.weight[h, f]
                        if a2 > a:
                            moved += layer.weight[h, e2] - layer.weight[g, e2]
                            moved += layer.weight[g, f2] - layer.weight[h, f2]
                        score = max(worst, enough) + price * moved
                        if score < best:
                            best = score
                            _note(layer, 0, g, a, f)
                            _note(layer, 1, h, b, e)
                            _note(layer, 2, g if a2 > a else DONE, a2, f2)
                            _note(layer, 3, h, b2, e2)
    return best


@inner
def recount(layer: Any, g: int, enough: float, price: float, best: float) -> float:
    """Give a slot to another expert, so that copies change. Return the lowest score so far.

    Either an expert of GPU ``g`` gets one more copy elsewhere, or a slot of ``g`` gets any other expert or none. The
    expert that loses the copy has others.
    """
    num_gpus, most = layer.held.shape
    num_experts = len(layer.holders)
    for h in range(num_gpus):
        for b in range(most):
            f = layer.held[h, b]
            if f == NONE or (f >= 0 and layer.copies[f] < 2):
                continue
            for i in range(-1, num_experts if h == g else most):
                e = i if h == g or i < 0 else layer.held[g, i]
                if (e < 0 and h != g) or e == f or layer.closed[h, e]:
                    continue
                worst = _largest_after(layer, g, h, f, e)
                if worst >= best or worst >= layer.time[g] * FASTER:
                    continue
                score = max(worst, enough) + price * (layer.weight[h, e] - layer.weight[h, f])
                if score < best:
                    best = score
                    _note(layer, 0, h, b, e)
                    _note(layer, 1, DONE, b, e)
    return best


@inner
def _largest_after(layer: Any, g: int, h: int, f: int, e: int) -> float:
    """Return the largest time, among GPU ``g`` and those that get slower, if ``h`` holds ``e`` in place of ``f``."""
    piece = layer.loads[e] / (layer.copies[e] + 1)
    relief = layer.piece[e] - piece
    burden = layer.loads[f] / max(layer.copies[f] - 1, 1) - layer.piece[f]
    worst = layer.time[h] + (piece - layer.piece[f]) / layer.speed[h]
    for i in range(-1, layer.copies[f]):
        k = layer.holders[f, i] if i >= 0 else g
        if k != h:
            more = (burden if layer.closed[k, f] and f >= 0 else 0.0) - (relief if layer.closed[k, e] else 0.0)
            worst = max(worst, layer.time[k] + more / layer.speed[k])
    return worst


@inner
def _note(layer: Any, row: int, g: int, slot: int, expert: int) -> None:
    layer.move[row, 0], layer.move[row, 1], layer.move[row, 2] = g, slot, expert

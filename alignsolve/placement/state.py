"""The placement of one layer as compiled code sees it: what each slot holds, and what follows from that.

An empty slot holds EMPTY, which is −1. Used as an index it means the last entry, so every array over experts has one
entry more at its end: of load 0, with no copy, free to be anywhere.
"""

from typing import Any, NamedTuple

import numpy as np

from alignsolve.numerics import BoolArray, FloatArray, IntArray
from alignsolve.runtime.jit import inner

EMPTY, NONE = -1, -2
"""In place of an expert: an empty slot; no slot, since this GPU has fewer than others."""


class Layer(NamedTuple):
    """A placement of one layer. A search changes ``held``; :func:`refresh` derives the rest from it.

    Attributes
    ----------
    loads, speed
        (num_experts + 1,) and (num_gpus,): load per expert, and load that a GPU serves per unit of time.
    weight
        (num_gpus, num_experts + 1): what it costs to move an expert to a GPU, 0 where the current placement has it.
    shut
        (num_gpus, num_experts + 1): experts that must not be on a GPU, since their group is on another node.
    held
        (num_gpus, most slots): the expert in each slot, EMPTY or NONE.
    copies, holders
        (num_experts + 1,) and (num_experts, num_gpus): number of copies of each expert, and the GPUs that hold them,
        first in its row.
    closed
        (num_gpus, num_experts + 1): experts that a GPU cannot take: it holds them, or they are shut out.
    piece
        (num_experts + 1,): load of each copy.
    time
        (num_gpus,): load of each GPU over its speed.
    move
        (4, 3): the best change found, as up to four rows (GPU, slot, expert); the first −1 as a GPU ends it.
    """

    loads: FloatArray
    speed: FloatArray
    weight: FloatArray
    shut: BoolArray
    held: IntArray
    copies: IntArray
    holders: IntArray
    closed: BoolArray
    piece: FloatArray
    time: FloatArray
    move: IntArray


def layer_of(loads: FloatArray, speed: FloatArray, weight: FloatArray, shut: BoolArray, held: IntArray) -> Layer:
    """Make the state of a layer from arrays without the extra entry."""
    num_gpus, num_experts = shut.shape
    more = ((0, 0), (0, 1))
    return Layer(
        np.append(loads, 0.0),
        np.array(speed, dtype=float),
        np.pad(np.asarray(weight, dtype=float), more),
        np.pad(shut, more),
        np.array(held, dtype=np.int64),
        np.zeros(num_experts + 1, dtype=np.int64),
        np.zeros((num_experts, num_gpus), dtype=np.int64),
        np.zeros((num_gpus, num_experts + 1), dtype=bool),
        np.zeros(num_experts + 1),
        np.zeros(num_gpus),
        np.full((4, 3), -1, dtype=np.int64),
    )


@inner
def refresh(layer: Any) -> None:
    """Derive copies, holders and times from what the slots hold."""
    num_gpus, most = layer.held.shape
    for e in range(len(layer.copies)):
        layer.copies[e] = 0
    for g in range(num_gpus):
        for e in range(len(layer.copies)):
            layer.closed[g, e] = layer.shut[g, e]
        for k in range(most):
            e = layer.held[g, k]
            if e >= 0:
                layer.closed[g, e] = True
                layer.holders[e, layer.copies[e]] = g
                layer.copies[e] += 1
    for e in range(len(layer.copies)):
        layer.piece[e] = layer.loads[e] / max(layer.copies[e], 1)
    for g in range(num_gpus):
        carried = 0.0
        for k in range(most):
            if layer.held[g, k] >= 0:
                carried += layer.piece[layer.held[g, k]]
        layer.time[g] = carried / layer.speed[g]

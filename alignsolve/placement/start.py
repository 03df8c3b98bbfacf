"""Where a search begins: a greedy placement of all layers at once, or the current placement, completed.

The greedy one gives each further copy to the expert whose copies carry most. Then it takes the heaviest copy first,
each to the GPU that serves it soonest.

Source: the first step is the method of highest averages; the second is in R. L. Graham, Bounds on multiprocessing
timing anomalies, SIAM J. Applied Mathematics 17 (1969).
"""

import numpy as np

from alignsolve.numerics import BoolArray, FloatArray, IntArray
from alignsolve.placement.request import Fleet
from alignsolve.placement.state import EMPTY, NONE


def greedy_start(
    loads: FloatArray, fleet: Fleet, home: IntArray, *, twice: bool = False
) -> tuple[BoolArray, FloatArray]:
    """Return a placement of every layer, (num_layers, num_gpus, num_experts), and its times, (num_layers, num_gpus).

    Parameters
    ----------
    loads
        (num_layers, num_experts).
    fleet
        The GPUs.
    home
        (num_layers, num_experts): the node of each expert.
    twice
        Let a GPU take several copies of an expert, as simpler rules do; their times are a mark to reach.
    """
    count = _count_copies(loads, fleet, home)
    layers = np.arange(len(loads))
    order, piece = _heaviest_first(loads, count)
    copies = np.zeros((len(loads), fleet.num_gpus, loads.shape[1]), dtype=bool)
    free = np.tile(fleet.usable, (len(loads), 1))
    carried = np.zeros(free.shape)
    for expert, weight in zip(order.T, piece.T, strict=True):
        open_ = (free > 0) & (fleet.node == home[layers, expert][:, np.newaxis])
        open_ &= (weight >= 0)[:, np.newaxis]
        if not twice:
            open_ &= ~copies[layers, :, expert]
        until = np.where(open_, (carried + weight[:, np.newaxis]) / fleet.speed, np.inf)
        gpu = until.argmin(axis=1)
        placed = np.flatnonzero(open_[layers, gpu])  # else each GPU with room holds the expert: one copy less
        gpu = gpu[placed]
        copies[placed, gpu, expert[placed]] = True
        carried[placed, gpu] += weight[placed]
        free[placed, gpu] -= 1
    return copies, carried / fleet.speed


def _count_copies(loads: FloatArray, fleet: Fleet, home: IntArray) -> IntArray:
    """Give copies one by one to the expert with the largest load per copy, while its node has room."""
    layers = np.arange(len(loads))
    gpus = np.bincount(fleet.node, weights=fleet.slots > 0)[home]
    room = np.tile(fleet.node_slots, (len(loads), 1))
    np.subtract.at(room, (layers[:, np.newaxis], home), 1)
    count = np.ones(loads.shape, dtype=np.int64)
    while True:
        open_ = (count < gpus) & (room[layers[:, np.newaxis], home] > 0)
        expert = np.where(open_, loads / count, -1.0).argmax(axis=1)
        more = open_[layers, expert]
        if not more.any():
            return count
        count[layers, expert] += more
        room[layers, home[layers, expert]] -= more


def _heaviest_first(loads: FloatArray, count: IntArray) -> tuple[IntArray, FloatArray]:
    """Return the expert of each copy and its load, (num_layers, most copies); a load of −1 stands for no copy."""
    expert = np.zeros((len(loads), count.sum(axis=1).max()), dtype=np.int64)
    piece = np.full(expert.shape, -1.0)
    for layer, number in enumerate(count):
        expert[layer, : number.sum()] = np.repeat(np.arange(len(number)), number)
        piece[layer, : number.sum()] = np.repeat(loads[layer] / number, number)
    order = np.argsort(-piece, axis=1, kind="stable")
    return np.take_along_axis(expert, order, axis=1), np.take_along_axis(piece, order, axis=1)


def completed(current: BoolArray, loads: FloatArray, fleet: Fleet, home: IntArray) -> BoolArray:
    """Return the current placement of one layer with a copy of each expert that it lacks.

    Parameters
    ----------
    current
        (num_gpus, num_experts).
    loads, home
        (num_experts,).
    fleet
        The GPUs.
    """
    copies = current & (fleet.node[:, np.newaxis] == home)
    for expert in np.flatnonzero(~copies.any(axis=0))[np.argsort(-loads[~copies.any(axis=0)], kind="stable")]:
        piece = loads / np.maximum(copies.sum(axis=0), 1)
        time = copies @ piece / fleet.speed
        inside = fleet.node == home[expert]
        room = inside & (copies.sum(axis=1) < fleet.usable)
        if room.any():
            copies[np.where(room, time, np.inf).argmin(), expert] = True
            continue
        spare = copies & inside[:, np.newaxis] & (copies.sum(axis=0) > 1)
        gpu, victim = np.unravel_index(np.where(spare, piece, np.inf).argmin(), spare.shape)
        copies[gpu, victim], copies[gpu, expert] = False, True
    return copies


def slots_of(copies: BoolArray, slots: IntArray) -> IntArray:
    """Return the expert in each slot, (num_gpus, most slots), EMPTY and NONE elsewhere."""
    held = np.where(np.arange(slots.max()) < slots[:, np.newaxis], EMPTY, NONE)
    gpu, expert = np.nonzero(copies)
    held[gpu, np.cumsum(copies, axis=1)[gpu, expert] - 1] = expert
    return held

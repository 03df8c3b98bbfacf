"""A placement from nothing, with its GPUs renamed so that as much as can be is where it was.

GPUs of the same slots and speed are interchangeable within a node, and so are nodes with the same GPUs. Which becomes
which is a linear assignment: the most weight that stays.
"""

import numpy as np
from scipy.optimize import linear_sum_assignment

from alignsolve.numerics import BoolArray, FloatArray, IntArray
from alignsolve.placement.request import Fleet


def renamed(copies: BoolArray, current: BoolArray, weight: FloatArray, fleet: Fleet) -> BoolArray:
    """Return a placement with the same times, of which the least weight has to be moved.

    Parameters
    ----------
    copies, current
        (num_gpus, num_experts): the new placement and the current one.
    weight
        (num_experts,): weight of a copy.
    fleet
        The GPUs.
    """
    never = -(1.0 + weight.sum()) * fleet.num_gpus**2
    stays = (copies * weight) @ current.T.astype(float)  # of each GPU's experts, on each GPU
    stays[fleet.kind[:, np.newaxis] != fleet.kind] = never
    members = [np.flatnonzero(fleet.node == node) for node in range(fleet.num_nodes)]
    pairs = {}
    worth = np.full((fleet.num_nodes, fleet.num_nodes), never * fleet.num_gpus)
    for a, here in enumerate(members):
        for b, there in enumerate(members):
            if fleet.node_kind[a] == fleet.node_kind[b]:
                pairs[a, b] = _best(stays[np.ix_(here, there)])
                worth[a, b] = stays[here, there[pairs[a, b]]].sum()
    result = np.zeros_like(copies)
    for a, b in enumerate(_best(worth).tolist()):
        result[members[b][pairs[a, b]]] = copies[members[a]]
    return result


def _best(worth: FloatArray) -> IntArray:
    """Return the column of each row."""
    return np.asarray(linear_sum_assignment(worth, maximize=True)[1], dtype=np.int64)

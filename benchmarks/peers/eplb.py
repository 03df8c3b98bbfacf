"""EPLB's rule for placing experts on GPUs, from its published description.

Copies are given one by one to the expert with the largest load per copy. Then the heaviest copy comes first, each to
the GPU that carries least and has a free slot. With groups, these go to nodes first: heaviest first, each to the node
that carries least and has room for a further group; all nodes get equally many. Then the rule is used within each node.
Two copies of an expert may come to one GPU.

It solves no alignment problem, so it is not among ``PEERS``. :mod:`benchmarks.placement` calls it.

Source: the description in https://github.com/deepseek-ai/EPLB.
"""

from dataclasses import dataclass

import numpy as np

from alignsolve.numerics import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class RulePlacement:
    """What the rule says.

    Attributes
    ----------
    copies
        (num_gpus, num_experts): copies of each expert on each GPU, perhaps two or more.
    times
        (num_gpus,): load of each GPU over its speed.
    """

    copies: IntArray
    times: FloatArray

    @property
    def largest(self) -> float:
        """The largest time."""
        return float(self.times.max())

    @property
    def wasted(self) -> int:
        """Slots with a copy of an expert that the GPU holds already."""
        return int((self.copies - 1).clip(min=0).sum())


def eplb(
    loads: FloatArray, num_gpus: int, slots: int, *, speed: FloatArray | float = 1.0, num_nodes: int = 1,
    num_groups: int = 1,
) -> RulePlacement:  # fmt: skip
    """Place one layer by the rule.

    Parameters
    ----------
    loads
        (num_experts,).
    num_gpus, slots
        GPUs, and slots of each.
    speed
        Scalar or (num_gpus,). The rule does not know it; only the times do.
    num_nodes, num_groups
        Nodes of consecutive GPUs and groups of consecutive experts, all equally large.
    """
    loads = np.asarray(loads, dtype=float)
    groups = loads.reshape(num_groups, -1)
    node = _lightest_first(groups.sum(axis=1), num_nodes, num_groups // num_nodes)
    copies = np.zeros((num_gpus, len(loads)), dtype=np.int64)
    within = num_gpus // num_nodes
    for number in range(num_nodes):
        experts = np.flatnonzero(np.repeat(node == number, groups.shape[1]))
        held = _replicate(loads[experts], within * slots)
        count = np.bincount(held)
        gpu = _lightest_first((loads[experts] / count)[held], within, slots)
        np.add.at(copies, (number * within + gpu, experts[held]), 1)
    return RulePlacement(copies, copies @ (loads / copies.sum(axis=0)) / speed)


def _replicate(loads: FloatArray, number: int) -> IntArray:
    """Return the expert of each of so many copies."""
    held = list(range(len(loads)))
    count = np.ones(len(loads))
    while len(held) < number:
        expert = int(np.argmax(loads / count))
        held.append(expert)
        count[expert] += 1
    return np.array(held)


def _lightest_first(loads: FloatArray, bins: int, room: int) -> IntArray:
    """Return the bin of each load: the heaviest load first, into the bin that carries least and has room."""
    carried, taken = np.zeros(bins), np.zeros(bins, dtype=np.int64)
    result = np.zeros(len(loads), dtype=np.int64)
    for number in np.argsort(-loads, kind="stable").tolist():
        chosen = int(np.argmin(np.where(taken < room, carried, np.inf)))
        result[number] = chosen
        carried[chosen] += loads[number]
        taken[chosen] += 1
    return result

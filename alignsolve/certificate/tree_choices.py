"""Every choice that a client's own bounds allow, listed for the check of proof trees.

Choices of k experts grow from those of k − 1: each takes one more expert with a higher index, if capacities and budgets
still hold. Then those that miss a demand or a required pair are left out.
"""

from typing import Any, NamedTuple

import numpy as np

from alignsolve.data.problem_view import ProblemView
from alignsolve.numerics import FEASIBILITY, FloatArray, IntArray
from alignsolve.runtime.jit import kernel

FIRST_ROOM = 1 << 12
"""Choices for which there is room at first; then for four times as many, and so on."""


class TreeChoices(NamedTuple):
    """The choices of all clients, one client after the other.

    Attributes
    ----------
    first
        (num_clients + 1,) where each client's choices begin.
    bits
        (num_choices,) int64: bit j is set if the choice has expert j.
    value, size
        (num_choices,) the sum of its pairs' values, and of their sizes.
    load, pair
        (num_clients, num_experts) the load and the value of each pair; 0 where not eligible.
    """

    first: IntArray
    bits: IntArray
    value: FloatArray
    size: FloatArray
    load: FloatArray
    pair: FloatArray


def list_choices(problem: ProblemView, most: int) -> TreeChoices | None:
    """List the choices of all clients of a full problem; None if they are too many."""
    block = problem.block(0, problem.num_clients)
    fields, room = block.filled(), FIRST_ROOM
    while room <= most:
        first, bits = np.zeros(block.num_clients + 1, dtype=np.int64), np.zeros(room, dtype=np.int64)
        value, size = np.zeros(room), np.zeros(room)
        if _grow(*fields, first, bits, value, size):
            end = first[-1]
            load = np.ones(block.value.shape) if block.load is None else block.load
            load = np.where(fields[1], load, 0.0)
            return TreeChoices(first, bits[:end].copy(), value[:end].copy(), size[:end].copy(), load, fields[0])
        room *= 4
    return None


def projected(choices: TreeChoices, mask: int) -> TreeChoices:
    """What the choices are among some of the experts, given as bits: each once, with the values of these experts."""
    pairs = choices.pair
    number = np.diff(choices.first)
    client = np.repeat(np.arange(len(number)), number)
    key = np.stack([client, choices.bits & mask], axis=1)
    distinct = np.unique(key, axis=0)
    taken = ((distinct[:, 1, None] >> np.arange(pairs.shape[1])) & 1).astype(np.bool_)
    own = np.where(taken, pairs[distinct[:, 0]], 0.0)
    first = np.searchsorted(distinct[:, 0], np.arange(len(number) + 1)).astype(np.int64)
    bits, value, size = np.ascontiguousarray(distinct[:, 1]), own.sum(axis=1), np.abs(own).sum(axis=1)
    return choices._replace(first=first, bits=bits, value=value, size=size)


@kernel
def _grow(
    value: Any,
    allowed: Any,
    required: Any,
    demand: Any,
    capacity: Any,
    group: Any,
    least: Any,
    most: Any,
    cost: Any,
    budget: Any,
    first: Any,
    bits: Any,
    worth: Any,
    size: Any,
) -> bool:
    """List the choices of all clients; False if there is not enough room."""
    num_experts, room = value.shape[1], len(bits)
    inside, spent = np.zeros(least.shape[1], dtype=np.int64), np.zeros(budget.shape[1])
    for i in range(len(value)):
        start = first[i]
        end, at = start + 1, start
        if end > room:
            return False
        bits[start], worth[start], size[start] = 0, 0.0, 0.0
        while at < end:
            # Each choice so far takes one more expert.
            count, highest = 0, -1
            inside[:] = 0
            spent[:] = 0.0
            for j in range(num_experts):
                if (bits[at] >> j) & 1:
                    count, highest = count + 1, j
                    for r in range(len(spent)):
                        spent[r] += cost[i, j, r]
                    inside[group[j]] += 1
            for j in range(highest + 1, num_experts):
                if count >= capacity[i]:
                    break
                if not allowed[i, j] or inside[group[j]] >= most[i, group[j]]:
                    continue
                more = bits[at] | (1 << j)
                pays = True
                for r in range(budget.shape[1]):
                    total = spent[r] + cost[i, j, r]
                    pays = pays and total - budget[i, r] <= 2.0 * FEASIBILITY * max(abs(budget[i, r]), total)
                if pays:
                    if end == room:
                        return False
                    bits[end] = more
                    worth[end], size[end] = worth[at] + value[i, j], size[at] + abs(value[i, j])
                    end += 1
            at += 1
        # Those that meet all demands are kept.
        kept = start
        for at in range(start, end):
            meets, count = True, 0
            inside[:] = 0
            for j in range(num_experts):
                if (bits[at] >> j) & 1:
                    count += 1
                    inside[group[j]] += 1
                elif required[i, j]:
                    meets = False
            for g in range(len(inside)):
                meets = meets and inside[g] >= least[i, g]
            if meets and count >= demand[i]:
                bits[kept], worth[kept], size[kept] = bits[at], worth[at], size[at]
                kept += 1
        first[i + 1] = kept
    return True

"""What clients choose under prices, compiled: value and loads of one pass, for searches that make many passes.

The greed of :mod:`alignsolve.subproblem.row`, without its exact integers and its error terms: fast, but no proof. A
client first picks the best that its groups demand, then the best of the rest, while they are worth something or its own
demand is not met.
"""

from typing import Any

import numpy as np

from alignsolve.data.blocks import ClientBlock
from alignsolve.runtime.jit import absent, inner, kernel, present
from alignsolve.subproblem.reduced_compiled import subtract_price


def arrays_of(block: ClientBlock) -> tuple[Any, ...]:
    """Return what :func:`respond` reads of a block: contiguous arrays of one type, absent where there are none."""

    def owned(values: Any, dtype: Any) -> Any:
        return np.require(absent(dtype) if values is None else values, dtype=dtype, requirements=["C", "W"])

    group = np.zeros(block.num_experts, dtype=np.int64) if block.group is None else block.group
    return (
        owned(block.value, np.float64),
        owned(block.allowed, np.bool_),
        owned(block.required, np.bool_),
        owned(block.load, np.float64),
        owned(block.capacity, np.int64),
        owned(block.demand, np.int64),
        owned(group, np.int64),
        owned(block.group_capacity, np.int64),
        owned(block.group_demand, np.int64),
    )


@kernel
def respond(
    value: Any,
    allowed: Any,
    required: Any,
    load: Any,
    capacity: Any,
    demand: Any,
    group: Any,
    group_capacity: Any,
    group_demand: Any,
    prices: Any,
    loads: Any,
    chosen: Any,
) -> float:
    """Add what all clients put on the experts to ``loads``, mark it in ``chosen``, return the sum of their optima.

    ``allowed``, ``required``, ``load``, ``chosen`` and the groups' bounds may be absent
    (:func:`alignsolve.runtime.jit.absent`). Every client is assumed to have a choice.
    """
    n, num_experts = value.shape
    reduced = np.empty(num_experts)
    in_group = np.zeros(group_demand.shape[1], dtype=np.int64)
    total = 0.0
    for i in range(n):
        # Phase 1: reduced fitness; required experts are taken, the others that are worth something are counted.
        taken, positive = 0, 0
        in_group[:] = 0
        for j in range(num_experts):
            reduced[j] = -np.inf
            if present(allowed) and not allowed[i, j]:
                continue
            weight = load[i, j] if present(load) else 1.0
            reduced[j] = subtract_price(value[i, j], prices[j], weight)
            if present(required) and required[i, j]:
                total += _pick(reduced, in_group, group, load, loads, chosen, i, j)
                taken += 1
            elif reduced[j] > 0.0:
                positive += 1
        # Phase 2: the best experts of each group, until its demand is met.
        for g in range(len(in_group)):
            while in_group[g] < group_demand[i, g]:
                j = _best(reduced, in_group, group, group_capacity, i, g)
                if j < 0:
                    break
                positive -= reduced[j] > 0.0
                total += _pick(reduced, in_group, group, load, loads, chosen, i, j)
                taken += 1
        # Phase 3: the best of the others. Without groups, if all that are worth something fit, no search is needed.
        if len(in_group) == 0 and demand[i] - taken <= positive <= capacity[i] - taken:
            for j in range(num_experts):
                if reduced[j] > 0.0:
                    total += _pick(reduced, in_group, group, load, loads, chosen, i, j)
            continue
        while taken < capacity[i]:
            j = _best(reduced, in_group, group, group_capacity, i, -1)
            if j < 0 or (reduced[j] <= 0.0 and taken >= demand[i]):
                break
            total += _pick(reduced, in_group, group, load, loads, chosen, i, j)
            taken += 1
    return total


@inner
def _best(reduced: Any, in_group: Any, group: Any, group_capacity: Any, i: int, g: int) -> int:
    """The best open expert of group g, or of all groups with room where g is −1; −1 if there is none."""
    best, found = -np.inf, -1
    for j in range(len(reduced)):
        if reduced[j] > best:
            if len(in_group):
                own = group[j]
                if (g >= 0 and own != g) or in_group[own] >= group_capacity[i, own]:
                    continue
            best, found = reduced[j], j
    return found


@inner
def _pick(reduced: Any, in_group: Any, group: Any, load: Any, loads: Any, chosen: Any, i: int, j: int) -> float:
    """Give expert j to client i, close it for more, and return what the client gains."""
    gained = reduced[j]
    if present(chosen):
        chosen[i, j] = True
    reduced[j] = -np.inf
    if len(in_group):
        in_group[group[j]] += 1
    loads[j] += load[i, j] if present(load) else 1.0
    return gained

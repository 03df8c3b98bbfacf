"""Every choice that a client's own bounds allow, as bits of one number: what the search lists once and then looks up.

A client's own problem is small where experts are few: of 12 experts, at most 3 at a time, there are 299 choices. Once
they are listed with their values, its optimum under any prices is a loop over the list. That is exact whatever bounds
the client has: groups, budgets of several resources, demands.
"""

from typing import Any, NamedTuple

import numpy as np

from alignsolve.numerics import FEASIBILITY, FloatArray, IntArray
from alignsolve.problem import AlignmentProblem
from alignsolve.runtime.jit import kernel

MOST_EXPERTS = 60
"""Experts that fit the bits of a choice."""
BITS = 6
"""Experts whose prices are summed beforehand: a table of 2^6 sums for each six of them."""


class Choices(NamedTuple):
    """The choices of all clients, one client after the other.

    Attributes
    ----------
    first
        (num_clients + 1,) where each client's choices begin.
    experts
        (num_choices,) int64: bit j is set if the choice has expert j.
    value
        (num_choices,) float64, the sum of its pairs' values.
    load
        (num_clients, num_experts) float64, 0 where not eligible.
    """

    first: IntArray
    experts: IntArray
    value: FloatArray
    load: FloatArray


def list_choices(problem: AlignmentProblem, most: int) -> Choices | None:
    """List the choices of all clients; None if there are more than ``most``, or more experts than bits."""
    n, e = problem.shape
    if e > MOST_EXPERTS or problem.stored is not None:
        return None
    block = problem.block(0, n)
    fields = block.filled()
    first = np.zeros(n + 1, dtype=np.int64)
    nothing, worthless = np.zeros(0, dtype=np.int64), np.zeros(0)
    if not _walk(*fields, most, first, nothing, worthless):
        return None
    experts, value = np.zeros(first[-1], dtype=np.int64), np.zeros(first[-1])
    _walk(*fields, most, first, experts, value)
    load = np.ones((n, e)) if block.load is None else np.where(fields[1], block.load, 0.0)
    return Choices(first, experts, value, load)


@kernel
def _walk(
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
    limit: int,
    first: Any,
    experts: Any,
    worth: Any,
) -> bool:
    """Walk through all choices: count them into ``first``, or, where there is room, write them; False if too many."""
    n, e = value.shape
    write, done = len(experts) > 0, 0
    taken, inside = np.zeros(e, dtype=np.int64), np.zeros(least.shape[1], dtype=np.int64)
    spent, total, visited = np.zeros((e + 1, budget.shape[1])), np.zeros(e + 1), 0
    for i in range(n):
        must = 0
        for j in range(e):
            if required[i, j]:
                must |= 1 << j
        inside[:] = 0
        depth, j, bits, fresh = 0, 0, 0, True
        while True:
            # A choice that meets all demands counts.
            if fresh:
                meets = depth >= demand[i] and (bits & must) == must
                for g in range(len(inside)):
                    meets = meets and inside[g] >= least[i, g]
                if meets:
                    if write:
                        experts[done], worth[done] = bits, total[depth]
                    done += 1
                fresh, visited = False, visited + 1
                if visited > limit:
                    return False
            # Take the next expert that fits, or give the last one back.
            if j < e:
                if allowed[i, j] and depth < capacity[i] and inside[group[j]] < most[i, group[j]]:
                    fits = True
                    for r in range(budget.shape[1]):
                        spent[depth + 1, r] = spent[depth, r] + cost[i, j, r]
                        over = spent[depth + 1, r] - budget[i, r]
                        fits = fits and over <= FEASIBILITY * max(abs(budget[i, r]), spent[depth + 1, r])
                    if fits:
                        taken[depth] = j
                        total[depth + 1] = total[depth] + value[i, j]
                        depth, bits, fresh = depth + 1, bits | (1 << j), True
                        inside[group[j]] += 1
                j += 1
            elif depth > 0:
                depth -= 1
                j = taken[depth]
                bits &= ~(1 << j)
                inside[group[j]] -= 1
                j += 1
            else:
                break
        first[i + 1] = done
    return True

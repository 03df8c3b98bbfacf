"""The last step of votes: which moves the clients near them are to make, so that the loads fit.

At good prices the loads are off by a few clients. The last vote tells how many clients have their cheapest move
between which experts, and how much it loses, by edges. A rule names pairs of experts: all clients whose cheapest move
is between the two, and loses no more than a given edge, make it. It is the same for all clients. So the server knows
the loads that will follow, and what they lose at most, and still no client's choice.

The rule is a small integer program: one binary variable for each pair and edge that has clients.
"""

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from alignsolve.data.expert_bounds import ExpertBounds
from alignsolve.numerics import FloatArray, IntArray

if TYPE_CHECKING:
    from alignsolve.solvers.common.highs import MatrixProgram

SECONDS = 5.0
"""A stop for programs that are far larger than those for which the rule is made."""


class Rule(NamedTuple):
    """A rule and what follows from it.

    Attributes
    ----------
    steps
        (num_steps, 3): the expert that leaves, the one that enters, and the number of edges.
    loads
        (num_experts,) the loads after it.
    loss
        What the moves lose, at most.
    """

    steps: IntArray
    loads: IntArray
    loss: float


def find_rule(
    bounds: ExpertBounds, prices: FloatArray, loads: IntArray, near: IntArray, edges: FloatArray, gap: float
) -> Rule:
    """Find the rule that loses least.

    Parameters
    ----------
    bounds
        The experts' side; every bound has a penalty, hard ones a price per unit.
    prices, loads
        (num_experts,) of the last vote.
    near
        (num_experts + 1, num_experts + 1, num_edges): clients by the expert that leaves, the one that enters, and the
        first edge that is not below the loss.
    edges
        (num_edges,) ascending.
    gap
        A rule that loses so much more than the best one is good enough.
    """
    from alignsolve.solvers.common.highs import options, run  # noqa: PLC0415  (loads HiGHS)

    leaves, enters, level = np.nonzero(near)
    if not len(leaves):
        return Rule(np.zeros((0, 3), dtype=np.int64), loads, 0.0)
    count = near[leaves, enters, level]
    settings = options(seed=0, seconds=SECONDS, relative_gap=0.0, absolute_gap=gap, show=False)
    program = _program(bounds, prices, loads, (leaves, enters, count), edges[level])
    reply = run(program, settings)
    taken = np.zeros(len(leaves), dtype=np.bool_) if reply.values is None else reply.values[: len(leaves)] > 0.5
    after, size = loads.astype(np.int64), len(loads) + 1
    change = np.bincount(enters[taken], weights=count[taken], minlength=size)
    change -= np.bincount(leaves[taken], weights=count[taken], minlength=size)
    steps: dict[tuple[int, int], int] = {}
    for j, k, at in zip(leaves[taken], enters[taken], level[taken], strict=True):
        steps[int(j), int(k)] = max(steps.get((int(j), int(k)), 0), int(at) + 1)
    rule = np.array([[*pair, number] for pair, number in sorted(steps.items())], dtype=np.int64).reshape(-1, 3)
    return Rule(rule, after + change[:-1].astype(np.int64), float((count * edges[level])[taken].sum()))


def _program(
    bounds: ExpertBounds,
    prices: FloatArray,
    loads: IntArray,
    cells: tuple[IntArray, IntArray, IntArray],
    loss: FloatArray,
) -> "MatrixProgram":
    """Write the program: cells to move, then each expert's load above its capacity and below its demand."""
    from alignsolve.solvers.common.highs import MatrixProgram  # noqa: PLC0415

    leaves, enters, count = cells
    m, e = len(leaves), len(loads)
    # Cells of a pair are next to each other, by rising edges: one is taken only with all those before it.
    later = np.flatnonzero((np.diff(leaves) == 0) & (np.diff(enters) == 0))
    matrix = np.zeros((2 * e + len(later), m + 2 * e))
    for k in range(m):
        for node, sign in ((enters[k], 1.0), (leaves[k], -1.0)):
            if node < e:
                matrix[node, k] += sign * count[k]
                matrix[e + node, k] += sign * count[k]
    matrix[np.arange(e), m + np.arange(e)] = -1.0
    matrix[e + np.arange(e), m + e + np.arange(e)] = 1.0
    order = 2 * e + np.arange(len(later))
    matrix[order, later], matrix[order, later + 1] = 1.0, -1.0
    # A move loses what its client loses, less what its experts' prices gain by it.
    gain = np.append(prices, 0.0)
    capacity = np.where(np.isfinite(bounds.capacity), bounds.capacity, math.inf)
    row, column = np.nonzero(matrix)
    return MatrixProgram(
        cost=np.concatenate([count * (loss - gain[enters] + gain[leaves]), bounds.overload, bounds.shortfall]),
        lower=np.zeros(m + 2 * e),
        upper=np.concatenate([np.ones(m), np.full(2 * e, np.inf)]),
        whole=np.concatenate([np.ones(m, dtype=np.bool_), np.zeros(2 * e, dtype=np.bool_)]),
        row_lower=np.concatenate([np.full(e, -np.inf), bounds.demand - loads, np.zeros(len(later))]),
        row_upper=np.concatenate([capacity - loads, np.full(e, np.inf), np.full(len(later), np.inf)]),
        by_rows=True,
        start=np.searchsorted(row, np.arange(len(matrix) + 1)),
        index=column,
        value=matrix[row, column],
    )

"""The walk through a proof tree, compiled: every leaf's bound with the pairs of its path fixed.

What a client can earn under a leaf's prices is kept until its pairs or the prices change. The only choice of a client
is kept until one of its pairs is free again. So a leaf costs little more than what its branch has changed.
"""

from typing import Any

import numpy as np

from alignsolve.certificate.tree_choices import TreeChoices
from alignsolve.numerics import EPSILON, BoolArray, FloatArray, IntArray, fixed
from alignsolve.runtime.jit import inner, kernel

ROUNDINGS = 16
"""Roundings of each term besides the sums over experts and clients."""
DIRECTION = -2
"""As in :class:`alignsolve.certificate.tree.Leaf`."""


def walk(
    nodes: tuple[IntArray, IntArray, BoolArray],
    raw: FloatArray,
    at: int,
    mask: int,
    choices: TreeChoices,
    prices: FloatArray,
    term: FloatArray,
    size: FloatArray,
    direction: FloatArray,
) -> tuple[float, int]:
    """Return the largest bound of a leaf of one tree, rounded up, and the node after its end; −1 if it has no end.

    Parameters
    ----------
    nodes, raw
        The tree's client, expert and taken, without a fault, and its prices as they are.
    at
        The root's node.
    mask
        Bits of the experts that the tree is about. A branch on another one fixes nothing.
    choices
        Of the problem, among these experts.
    prices, term, size, direction
        Projected prices, and the experts' side of every row.
    """
    client, expert, taken = (fixed(part.astype(kind)) for part, kind in zip(nodes, (int, int, bool), strict=True))
    terms = map(fixed, (raw.astype(np.float64), prices, term, size, direction))
    worst, end = _walk(client, expert, taken, at, mask, *terms, *map(fixed, choices[:5]))
    return float(worst), int(end)


@kernel
def _walk(
    client: Any,
    expert: Any,
    taken: Any,
    root: int,
    mask: int,
    raw: Any,
    prices: Any,
    term: Any,
    size: Any,
    direction: Any,
    first: Any,
    bits: Any,
    value: Any,
    magnitude: Any,
    load: Any,
) -> Any:
    n, num_experts = load.shape
    has, lacks, only = np.zeros(n, np.int64), np.zeros(n, np.int64), np.full(n, -1)
    earned, sizes, fresh = np.zeros(n), np.zeros(n), np.zeros(n, np.bool_)
    # The branches on the path: node, whether the second child is under way, and the client's bits before.
    path, second = np.zeros(len(client) // 2 + 1, np.int64), np.zeros(len(client) // 2 + 1, np.bool_)
    before = np.zeros((len(client) // 2 + 1, 2), np.int64)
    depth, worst, now, kind = 0, -np.inf, -1, 0
    roundings = EPSILON * (ROUNDINGS + n + 2.0 * num_experts)
    for at in range(root, len(client)):
        if expert[at] >= 0:
            # A branch: into its first child.
            if depth == len(path):
                return np.inf, -1
            i = client[at]
            path[depth], second[depth] = at, False
            before[depth, 0], before[depth, 1] = has[i], lacks[i]
            _fix(has, lacks, i, (np.int64(1) << expert[at]) & mask, taken[at])
            fresh[i] = False
            depth += 1
            continue
        # A leaf: its bound.
        row = client[at]
        if row != now or expert[at] != kind:
            fresh[:] = False
            now, kind = row, expert[at]
        falls = kind == DIRECTION
        total, most = (direction[row] if falls else term[row]), (abs(direction[row]) if falls else size[row])
        for i in range(n):
            if not fresh[i]:
                weight, paid = (0.0, raw[row]) if falls else (1.0, prices[row])
                _earn(i, paid, weight, has, lacks, only, first, bits, value, magnitude, load, earned, sizes)
                fresh[i] = True
            if earned[i] == -np.inf:
                total = -np.inf
                break
            total += earned[i]
            most += sizes[i]
        if total != -np.inf:
            total += roundings * most
            if falls:
                total = -np.inf if total < 0.0 else np.inf
        if np.isnan(total):
            total = np.inf
        worst = max(worst, total)
        # Back to the last branch with a second child, and into it.
        while depth > 0 and second[depth - 1]:
            depth -= 1
            _restore(has, lacks, only, fresh, client[path[depth]], before[depth])
        if depth == 0:
            return worst, at + 1
        node = path[depth - 1]
        _restore(has, lacks, only, fresh, client[node], before[depth - 1])
        _fix(has, lacks, client[node], (np.int64(1) << expert[node]) & mask, not taken[node])
        second[depth - 1] = True
    return np.inf, -1


@inner
def _fix(has: Any, lacks: Any, i: int, bit: int, taken: bool) -> None:
    if taken:
        has[i] |= bit
    else:
        lacks[i] |= bit


@inner
def _restore(has: Any, lacks: Any, only: Any, fresh: Any, i: int, before: Any) -> None:
    has[i], lacks[i], only[i], fresh[i] = before[0], before[1], -1, False


@inner
def _earn(
    i: int,
    prices: Any,
    weight: float,
    has: Any,
    lacks: Any,
    only: Any,
    first: Any,
    bits: Any,
    value: Any,
    magnitude: Any,
    load: Any,
    earned: Any,
    sizes: Any,
) -> None:
    """The most that client i can earn with its pairs fixed, −inf if it has no choice; and the size of its terms."""
    best, size, count, last = -np.inf, 0.0, 0, -1
    start, end = first[i], first[i + 1]
    if only[i] >= 0:
        start, end = only[i], only[i] + 1
    for k in range(start, end):
        if (bits[k] & lacks[i]) or (bits[k] & has[i]) != has[i]:
            continue
        count, last = count + 1, k
        paid, charged, left, j = 0.0, 0.0, bits[k], 0
        while left:
            if left & 1:
                charge = prices[j] * load[i, j]
                paid += charge
                charged += abs(charge)
            left >>= 1
            j += 1
        best = max(best, weight * value[k] - paid)
        size = max(size, weight * magnitude[k] + charged)
    if count == 1:
        only[i] = last
    earned[i], sizes[i] = best, size

"""One node of the tree: lower its bound by prices, fix pairs, and find where to branch. Compiled.

:mod:`.search` tells the whole algorithm.
"""

from typing import Any

import numpy as np

from alignsolve.runtime.jit import inner
from alignsolve.solvers.branch.choices import BITS
from alignsolve.solvers.branch.state import (
    ASKED,
    BEST,
    GAP,
    KIND,
    LEVEL,
    ROW,
    ROWS,
    SCALE,
    TOLERANCE,
    UNDECIDED,
    UNIT,
    WRITTEN,
)

STEPS, FIRST_STEPS = 40, 400
"""Steps of the prices at a node, and at the root."""
AGED = 0.8
"""Weight of older subgradients in the direction of a step, against the last one."""
LENGTH, SHORTER, PATIENCE = 1.0, 0.6, 4
"""Share of Polyak's step towards the aim; the factor on it after ``PATIENCE`` steps without a better bound."""
NEAR = 0.02
"""The aim counts as at least this share of the root's gap away, so that steps do not vanish."""
MEMORY = 0.7
"""Weight of older choices in the shares at the next node."""
AGAIN = 0.05
"""The prices are lowered again at the same node if at least this share of the open pairs was fixed."""
CLOSED, DIVIDED = 0, 1
"""Kinds of nodes: nothing better than the aim is there; to be divided in two."""


@inner
def look(tree: Any) -> int:
    """Bound a node and fix pairs until little changes; return the kind of the node."""
    level = tree.at[LEVEL]
    while True:
        tree.at[ROW] = -1
        # Clients with one choice left are settled.
        worth = _settle(tree, level)
        if worth == -np.inf:
            _write_leaf(tree, tree.prices[level])
            return CLOSED
        if tree.at[UNDECIDED] == 0:
            _offer(tree, worth, 0)
            _price_settled(tree, tree.prices[level], worth)
            _write_leaf(tree, tree.prices[level])
            return CLOSED
        bound = _lower(tree, level, worth)
        if bound <= aim(tree):
            _write_leaf(tree, tree.prices[level])
            return CLOSED
        opened, fixed = _fix(tree, level, bound)
        if fixed <= AGAIN * opened:
            _divide(tree, level)
            return DIVIDED


@inner
def aim(tree: Any) -> float:
    """A bound up to here proves the best alignment known: it leaves no room for a better one."""
    best = tree.size[BEST]
    return best + max(tree.size[UNIT], tree.size[TOLERANCE] * abs(best))


@inner
def _settle(tree: Any, level: int) -> float:
    """List the choices that are left; return the worth of the settled clients, −inf if a client has none."""
    for j in range(tree.base.shape[1]):
        tree.base[0, j] = 0.0
    worth, undecided, count = 0.0, 0, 0
    for i in range(len(tree.choice)):
        has, lacks, start = tree.has[level, i], tree.lacks[level, i], count
        for k in range(tree.first[i], tree.first[i + 1]):
            bits = tree.experts[k]
            if (bits & lacks) == 0 and (bits & has) == has:
                tree.alive[count] = k
                count += 1
        if count == start:
            return -np.inf
        if count == start + 1:
            count = start
            k = tree.alive[start]
            tree.choice[i] = k
            worth += tree.value[k]
            _add_load(tree, i, k, 0)
        else:
            tree.undecided[undecided], tree.begin[undecided] = i, start
            undecided += 1
    tree.begin[undecided] = count
    tree.at[UNDECIDED] = undecided
    return worth


@inner
def _add_load(tree: Any, i: int, k: int, to: int) -> None:
    bits, j = tree.experts[k], 0
    while bits:
        if bits & 1:
            tree.base[to, j] += tree.load[i, j]
        bits >>= 1
        j += 1


@inner
def _ask(tree: Any, worth: float, prices: Any, missed: Any) -> float:
    """The bound under prices: it writes the clients' choices, and the subgradient into ``missed``.

    ``base[1]`` gets the loads. If the choices are an alignment, it is offered.
    """
    bound, chosen = worth, worth
    num_experts = len(prices)
    for j in range(num_experts):
        tree.base[1, j] = tree.base[0, j]
        bound -= prices[j] * tree.base[0, j]
    for u in range(tree.at[UNDECIDED]):
        i = tree.undecided[u]
        _sum_prices(tree, i, prices)
        best, choice = -np.inf, -1
        for a in range(tree.begin[u], tree.begin[u + 1]):
            k = tree.alive[a]
            now = tree.value[k] - _paid(tree.table, tree.experts[k])
            if now > best:
                best, choice = now, k
        bound += best
        chosen += tree.value[choice]
        tree.choice[i] = choice
        _add_load(tree, i, choice, 1)
    _offer(tree, chosen, 1)
    # The experts' side: the load that is best under the price, and what is missing to it.
    for j in range(num_experts):
        best, load = -np.inf, 0.0
        for b in range(len(tree.points)):
            now = prices[j] * tree.points[b, j] - tree.penalties[b, j]
            if now > best:
                best, load = now, tree.points[b, j]
        bound += best
        if prices[j] == 0.0:
            load = _nearest(tree, j, tree.base[1, j])
        missed[j] = load - tree.base[1, j]
        if (prices[j] >= tree.highest[j] and missed[j] < 0.0) or (prices[j] <= tree.lowest[j] and missed[j] > 0.0):
            missed[j] = 0.0
    return bound


@inner
def _nearest(tree: Any, j: int, load: float) -> float:
    """The load nearest to this one that costs no penalty."""
    least, most = max(tree.soft[0, j], tree.limits[0, j]), min(tree.soft[1, j], tree.limits[1, j])
    return min(max(load, least), most)


@inner
def _sum_prices(tree: Any, i: int, prices: Any) -> None:
    """What every set of six experts charges client i."""
    for j in range(len(prices)):
        part, bit = j // BITS, 1 << (j % BITS)
        charge = prices[j] * tree.load[i, j]
        tree.table[part, 0] = 0.0
        for lower in range(bit):
            tree.table[part, bit | lower] = tree.table[part, lower] + charge


@inner
def _paid(table: Any, bits: int) -> float:
    """What a choice pays."""
    paid, part = 0.0, 0
    while bits:
        paid += table[part, bits & 63]
        bits >>= 6
        part += 1
    return paid


@inner
def _offer(tree: Any, worth: float, side: int) -> None:
    """Keep the choices as the best alignment if they are one, and better; their loads are in ``base[side]``."""
    loads = tree.base[side]
    for j in range(len(loads)):
        if loads[j] < tree.limits[0, j] or loads[j] > tree.limits[1, j]:
            return
        worth -= tree.soft[2, j] * max(tree.soft[0, j] - loads[j], 0.0)
        if loads[j] > tree.soft[1, j]:
            worth -= tree.soft[3, j] * (loads[j] - tree.soft[1, j])
    if worth > tree.size[BEST] + 1e-9 * abs(worth):
        tree.size[BEST] = worth
        for i in range(len(tree.choice)):
            tree.solution[i] = tree.choice[i]


@inner
def _price_settled(tree: Any, prices: Any, worth: float) -> None:
    """The prices whose bound is the worth of a settled alignment; below the best one where it breaks a hard bound."""
    enough = 2.0 * max(worth - tree.size[BEST], tree.size[SCALE])
    for j in range(len(prices)):
        load = tree.base[0, j]
        prices[j] = 0.0
        if load > tree.limits[1, j]:
            prices[j] = enough / (load - tree.limits[1, j])
        elif load < tree.limits[0, j]:
            prices[j] = -enough / (tree.limits[0, j] - load)
        elif load > tree.soft[1, j] and tree.highest[j] < np.inf:
            prices[j] = tree.highest[j]
        elif load < tree.soft[0, j] and tree.lowest[j] > -np.inf:
            prices[j] = tree.lowest[j]


@inner
def _lower(tree: Any, level: int, worth: float) -> float:
    """Step 1: lower the bound by steps of the prices; the best prices are kept. Returns the best bound."""
    num_experts = tree.prices.shape[1]
    now, missed, direction = tree.prices[level].copy(), np.zeros(num_experts), np.zeros(num_experts)
    best, length, quiet, usual = np.inf, LENGTH, 0, 0.0
    for i in range(tree.shares.shape[0]):
        for j in range(num_experts):
            tree.shares[i, j] *= MEMORY
    tree.size[ASKED] *= MEMORY
    for step in range(FIRST_STEPS if level == 0 else STEPS):
        bound = _ask(tree, worth, now, missed)
        _share(tree)
        tree.size[ASKED] += 1.0
        quiet = 0 if bound < best - 1e-4 * tree.size[GAP] else quiet + 1
        if bound < best:
            best = bound
            for j in range(num_experts):
                tree.prices[level, j] = now[j]
        if level == 0:
            tree.size[GAP] = max(best - tree.size[BEST], 1e-9 * abs(best))
        if best <= aim(tree):
            return best
        if quiet > PATIENCE:
            length, quiet = SHORTER * length, 0
            if length < 0.01:
                return best
        squared = 0.0
        for j in range(num_experts):
            squared += missed[j] * missed[j]
        if squared == 0.0:
            return best
        usual = squared if step == 0 else AGED * usual + (1.0 - AGED) * squared
        far = length * max(best - tree.size[BEST], NEAR * tree.size[GAP]) / usual
        for j in range(num_experts):
            direction[j] = missed[j] if step == 0 else AGED * direction[j] + (1.0 - AGED) * missed[j]
            moved = now[j] - far * direction[j]
            if (now[j] > 0.0 and moved < 0.0) or (now[j] < 0.0 and moved > 0.0):
                moved = 0.0
            now[j] = min(max(moved, tree.lowest[j]), tree.highest[j])
    return best


@inner
def _share(tree: Any) -> None:
    """Count the choices of the undecided clients."""
    for u in range(tree.at[UNDECIDED]):
        i = tree.undecided[u]
        bits, j = tree.experts[tree.choice[i]], 0
        while bits:
            if bits & 1:
                tree.shares[i, j] += 1.0
            bits >>= 1
            j += 1


@inner
def _fix(tree: Any, level: int, bound: float) -> Any:
    """Step 2: fix the pairs whose other side is proven to be no better; return how many were open, and are fixed."""
    prices, opened, fixed, goal = tree.prices[level], 0, 0, aim(tree)
    num_experts = len(prices)
    best = np.empty((2, num_experts))
    for u in range(tree.at[UNDECIDED]):
        i = tree.undecided[u]
        _sum_prices(tree, i, prices)
        # The best choices with and without each expert.
        for j in range(num_experts):
            best[0, j] = best[1, j] = -np.inf
        most = -np.inf
        for a in range(tree.begin[u], tree.begin[u + 1]):
            k = tree.alive[a]
            bits = tree.experts[k]
            now = tree.value[k] - _paid(tree.table, bits)
            most = max(most, now)
            for j in range(num_experts):
                side = (bits >> j) & 1
                best[side, j] = max(best[side, j], now)
        for j in range(num_experts):
            bit = 1 << j
            if (tree.has[level, i] | tree.lacks[level, i]) & bit:
                continue
            opened += 1
            for side in range(2):
                if bound - most + best[side, j] <= goal:
                    write_branch(tree, i, j, side == 1)
                    _write_leaf(tree, prices)
                    if side == 1:
                        tree.lacks[level, i] |= bit
                    else:
                        tree.has[level, i] |= bit
                    fixed += 1
                    break
    return opened, fixed


@inner
def _divide(tree: Any, level: int) -> None:
    """Step 3: branch on the pair that was most divided, weighed by what its load is worth.

    Large and dear loads are the lumps that keep the bound from the best alignment. Once they are decided, the small
    ones fit. With the division alone, trees had three times as many nodes.
    """
    most = -1.0
    for u in range(tree.at[UNDECIDED]):
        i = tree.undecided[u]
        for j in range(tree.shares.shape[1]):
            if (tree.has[level, i] | tree.lacks[level, i]) & (1 << j):
                continue
            share = tree.shares[i, j] / tree.size[ASKED]
            paid = tree.load[i, j] * abs(tree.prices[level, j])
            divided = min(share, 1.0 - share) * paid
            if divided > most:
                most = divided
                tree.branch[level, 0], tree.branch[level, 1] = i, j


@inner
def write_branch(tree: Any, i: int, j: int, taken: bool) -> None:
    """Write a node with two children: first client i has expert j, or has not."""
    at = tree.at[WRITTEN]
    tree.client[at], tree.expert[at], tree.taken[at] = i, j, taken
    tree.at[WRITTEN] = at + 1


@inner
def _write_leaf(tree: Any, prices: Any) -> None:
    """Write a leaf with these prices; leaves of one look at a node share them."""
    if tree.at[ROW] < 0:
        tree.at[ROW] = tree.at[ROWS]
        for j in range(len(prices)):
            tree.row[tree.at[ROWS], j] = prices[j]
        tree.at[ROWS] += 1
    at = tree.at[WRITTEN]
    tree.client[at], tree.expert[at], tree.taken[at] = tree.at[ROW], tree.at[KIND], False
    tree.at[WRITTEN] = at + 1

"""Path relinking: new alignments from the paths between good ones, each improved by the moves of moves.py.

1. Draw two alignments of a small pool. Walk part of the way from the first to the second, at each step by the shift
   that costs least.
2. From there, descend. Penalties on overload rise after a descent that ends over capacity, and fall after one that
   does not, so that about half of the descents end feasible.
3. If it ended over capacity, descend once more under high penalties.
4. Put the result into the pool in the place of the worst, if it is better and new.

A pool that has not changed for long is replaced by a new one, made of random changes of the start. The best alignment
is kept.

Source: M. Yagiura, T. Ibaraki and F. Glover, A path relinking approach with ejection chains for the generalized
assignment problem, European J. Operational Research 169 (2006).
"""

from typing import Any, NamedTuple

import numpy as np

from alignsolve.numerics import FloatArray, IntArray
from alignsolve.runtime.jit import inner, kernel
from alignsolve.solvers.generalised_assignment.moves import ask, descend, over, settle, shift, shift_change

POOL = 20
"""Alignments in the pool."""
STALE = 100 * POOL
"""Descents without a change after which a pool is replaced."""
SHIFTED, SPREAD = 5, 15
"""Percentage of the clients that are moved from the start for a new pool, at least, and up to so much more."""
ALIKE = 2
"""Two alignments of equal cost count as equal if no more than this number of clients differ."""
CLOSE = 4
"""Two alignments of the pool have a path between them if at least this number of clients differ."""
RISE, FALL = 1.02, 0.98
"""Factors on the penalties after a descent that ends over capacity, and after one that does not."""
RANGE = 1e-3
"""Penalties do not fall below this share of the first ones; its inverse is the most they rise to."""
STRONG, HARDER, ATTEMPTS = 4.0, 4.0, 3
"""Factor on penalties where capacities must hold; the factor on it if they still do not; most attempts."""


class Elite(NamedTuple):
    """The state of a search, changed in place, so that it can go on in slices.

    The alignments in the pool are the *elite* of all that were found.

    Attributes
    ----------
    pool, values
        (POOL, num_clients) experts and (POOL,) penalised costs; the first ``counters[0]`` are in use.
    best, best_value
        (num_clients,) and (1,): the cheapest feasible alignment; inf if there is none yet.
    start
        (num_clients,) where new pools start.
    penalty
        (num_experts,) for each unit of load beyond the capacity.
    lowest
        (num_experts,) lower limit of the penalties.
    counters
        (3,) size of the pool, descents since it changed, descents in all.
    random
        (1,) uint64 state of the random numbers, not 0.
    """

    pool: IntArray
    values: FloatArray
    best: IntArray
    best_value: FloatArray
    start: IntArray
    penalty: FloatArray
    lowest: FloatArray
    counters: IntArray
    random: Any


def new_elite(start: IntArray, penalty: FloatArray, seed: int) -> Elite:
    """Start a search.

    Parameters
    ----------
    start
        (num_clients,) experts, feasible or not.
    penalty
        (num_experts,) first penalties, above 0.
    seed
        For the random numbers.
    """
    n = len(start)
    pool, values = np.zeros((POOL, n), dtype=np.int64), np.zeros(POOL)
    random = np.random.default_rng(seed).integers(1, 2**63, size=1).astype(np.uint64)
    counters = np.zeros(3, dtype=np.int64)
    return Elite(
        pool, values, start.copy(), np.array([np.inf]), start.copy(), penalty.copy(), RANGE * penalty, counters, random
    )


@kernel
def search(terms: Any, elite: Any, plan: Any, descents: int) -> None:
    """Make a number of descents."""
    for _ in range(descents):
        # Step 1: a start near the relaxation while the pool fills, then a point on a path.
        if elite.counters[0] < POOL:
            _begin(terms, elite, plan)
        else:
            _relink(terms, elite, plan)
        # Step 2: descend from there.
        _ask_all(elite, plan)
        descend(terms, plan, elite.penalty)
        elite.counters[2] += 1
        # Steps 3 and 4: repair, and put the result into the pool.
        _keep(terms, elite, plan)


@inner
def _ask_all(elite: Any, plan: Any) -> None:
    """Put every client into the queue, in random order."""
    plan.stirred[:] = 0
    order = np.arange(len(plan.expert))
    for q in range(len(order) - 1, -1, -1):
        z = below(elite.random, q + 1)
        order[q], order[z] = order[z], order[q]
        ask(plan, order[q])


@kernel
def below(random: Any, limit: int) -> int:
    """Draw a whole number 0..limit-1 (xorshift)."""
    v = random[0]
    v ^= v << np.uint64(13)
    v ^= v >> np.uint64(7)
    v ^= v << np.uint64(17)
    random[0] = v
    drawn: int = np.int64(v >> np.uint64(11)) % np.int64(limit)  # type: ignore[assignment]
    return drawn


@inner
def _begin(terms: Any, elite: Any, plan: Any) -> None:
    """Go back to the start and move some clients to another of their good experts."""
    width = terms.experts_of.shape[1]
    percent = SHIFTED + below(elite.random, SPREAD + 1)
    for i in range(len(elite.start)):
        plan.expert[i] = elite.start[i]
        if below(elite.random, 100) < percent:
            rank = 0
            while rank < width - 1 and below(elite.random, 3) == 0:
                rank += 1
            plan.expert[i] = terms.experts_of[i, rank]
    settle(plan, terms.load)


@inner
def _relink(terms: Any, elite: Any, plan: Any) -> None:
    """Walk part of the way from one alignment of the pool to another; from twins, a few random shifts."""
    n = len(elite.start)
    first, second = below(elite.random, POOL), below(elite.random, POOL - 1)
    second += second >= first
    plan.expert[:] = elite.pool[first]
    settle(plan, terms.load)
    # The clients that differ.
    differ, left = np.empty(n, dtype=np.int64), 0
    for i in range(n):
        if elite.pool[first, i] != elite.pool[second, i]:
            differ[left] = i
            left += 1
    if left < CLOSE:
        for _ in range(3 + below(elite.random, 5)):
            i = below(elite.random, n)
            shift(plan, terms.load, i, terms.experts_of[i, below(elite.random, min(CLOSE, terms.experts_of.shape[1]))])
        return
    # Walk at most half of the way: at each step the shift that costs least.
    for _ in range(1 + below(elite.random, left // 2)):
        best, at = np.inf, 0
        for q in range(left):
            i = differ[q]
            change = shift_change(terms, plan, elite.penalty, i, elite.pool[second, i])
            if change < best:
                best, at = change, q
        i = differ[at]
        left -= 1
        differ[at] = differ[left]
        shift(plan, terms.load, i, elite.pool[second, i])


@inner
def _keep(terms: Any, elite: Any, plan: Any) -> None:
    """Adapt the penalties, repair an overload, remember the best, and put the result into the pool."""
    value = penalised(terms, plan, elite.penalty)
    feasible = _fits(terms, plan)
    for j in range(len(elite.penalty)):
        grown = elite.penalty[j] * (FALL if feasible else RISE)
        elite.penalty[j] = min(max(grown, elite.lowest[j]), elite.lowest[j] / RANGE**2)
    # Step 3: descend under high penalties until the capacities hold.
    settled = plan.expert.copy()
    if not feasible:
        strong = elite.penalty * STRONG
        for _ in range(ATTEMPTS):
            _ask_all(elite, plan)
            descend(terms, plan, strong)
            feasible = _fits(terms, plan)
            # Step 4.
            if feasible:
                break
            strong *= HARDER
    if feasible:
        settled[:] = plan.expert
        settle(plan, terms.load)  # sums made afresh: shifts leave rounding behind
        value = cost_of(terms, plan)
        if value < elite.best_value[0] - terms.least[0]:
            _note_best(terms, elite, plan)
    insert(elite, settled, value, terms.least[0])


@inner
def _note_best(terms: Any, elite: Any, plan: Any) -> None:
    """Remember an alignment, if its loads hold when they are summed anew."""
    settle(plan, terms.load)
    if _fits(terms, plan):
        elite.best_value[0] = cost_of(terms, plan)
        elite.best[:] = plan.expert


@kernel
def insert(elite: Any, expert: Any, value: float, least: float) -> None:
    """Put an alignment into the pool, in the place of the worst, unless it is worse or is there already."""
    size = elite.counters[0]
    worst = 0
    elite.counters[1] += 1
    for q in range(size):
        if abs(elite.values[q] - value) <= least and _alike(elite.pool[q], expert):
            worst = -1
            break
        if elite.values[q] > elite.values[worst]:
            worst = q
    if worst >= 0 and (size < POOL or value < elite.values[worst]):
        at = size if size < POOL else worst
        elite.counters[0] = max(size, at + 1)
        elite.pool[at] = expert
        elite.values[at] = value
        elite.counters[1] = 0
    elif elite.counters[1] > STALE:
        elite.counters[0] = 0
        elite.counters[1] = 0


@inner
def _alike(one: Any, other: Any) -> bool:
    """Whether so few clients differ that two alignments count as the same."""
    elsewhere = 0
    for i in range(len(one)):
        elsewhere += one[i] != other[i]
        if elsewhere > ALIKE:
            return False
    return True


@inner
def cost_of(terms: Any, plan: Any) -> float:
    """Cost of an alignment."""
    value = 0.0
    for i in range(len(plan.expert)):
        value += terms.cost[i, plan.expert[i]]
    return value


@inner
def penalised(terms: Any, plan: Any, penalty: Any) -> float:
    """Cost of an alignment and of its overloads."""
    value = cost_of(terms, plan)
    for j in range(len(penalty)):
        value += penalty[j] * over(plan.carried[j], terms.capacity[j])
    return value


@inner
def _fits(terms: Any, plan: Any) -> bool:
    """Whether all loads are within the capacities."""
    for j in range(len(terms.capacity)):
        if plan.carried[j] > terms.capacity[j]:
            return False
    return True

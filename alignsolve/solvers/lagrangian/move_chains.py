"""Chains of moves through the experts: first until the experts' bounds hold, then while the objective gains.

A chain starts at an expert that can lose load, or at the ground. It passes from expert to expert, one client at each
step. It ends at an expert with room, at the ground, or where it began.

1. *List* the best clients of every arc (:mod:`.arcs`).
2. *Search.* For one start at a time, dynamic programming over the experts finds the best chain of up to ``DEPTH``
   steps, with the best client of every arc. Gains are in reduced fitness: under good prices the regrets are small,
   and add up to the distance of the answer to the bound. A violated bound has a weight per unit of load that makes
   its repair worth any chain.
3. *Make* the chain. Where loads differ, its gain was an estimate. So it is weighed exactly, and undone if it has not
   helped.

Source: ejection chains, M. Yagiura, T. Ibaraki and F. Glover, INFORMS J. Computing 16 (2004). With unit loads this
cancels negative cycles of the residual graph.
"""

from typing import Any

import numpy as np

from alignsolve.numerics import BoolArray, FloatArray
from alignsolve.runtime.interruptible import late
from alignsolve.runtime.jit import inner, kernel
from alignsolve.solvers.greedy.state import LEAST, LOAD, MOST, State, drop, penalty, recount, take
from alignsolve.solvers.lagrangian.arcs import Arcs, best_gain, forget, no_arcs, offer

DEPTH = 6
"""Most steps of a chain."""
SLICE, SLICE_ARCS = 25, 1 << 18
"""Starts searched between two looks at the clock: at most so many, and fewer where experts have many arcs in all."""
SCAN_ENTRIES = 1 << 19
"""Pairs listed between two looks at the clock."""
TRIES = 8
"""Most searches from one start: after a failed chain, again without the arc that failed it."""
WEIGHT = 4.0
"""The first weight of a violated unit, in units of the largest fitness."""
HEAVIER, HEAVIEST = 4.0, 1e6
"""Factor on the weight once no chain repairs anything any more, and the largest weight."""
TINY = 1e-12
"""Gains below this share of the largest fitness are rounding."""


def make_chains(
    state: State, prices: FloatArray, unit: FloatArray, scale: float, touched: BoolArray, deadline: float
) -> int:
    """Make chains until none helps or the deadline comes; return how many were made.

    Parameters
    ----------
    state
        Changed in place. Rows are, and stay, complete.
    prices
        (num_experts,).
    unit
        (num_experts,) a typical load of each.
    scale
        A typical size of fitness.
    touched
        (num_clients,): clients that are moved are marked.
    deadline
        On the clock of :func:`time.monotonic`.
    """
    n, num_experts = state.status.shape
    arcs = no_arcs(num_experts)
    made, weight = 0, WEIGHT
    rows = max(1, SCAN_ENTRIES // num_experts)
    while not late(deadline):
        forget(arcs)
        # Step 1: list the clients.
        for start in range(0, n, rows):
            list_clients(state, prices, arcs, start, min(n, start + rows))
            if late(deadline):
                return made
        before = made
        gains = np.empty((num_experts + 1, num_experts + 1))
        turns = max(1, min(SLICE, SLICE_ARCS // gains.size))
        read_gains(state, arcs, gains)
        # Steps 2 and 3, until every start in a row has failed.
        idle, start = 0, 0
        while idle <= num_experts and not late(deadline):
            now, idle, start = chains(
                state, prices, unit, arcs, gains, touched, weight * scale, TINY * scale, start, idle, turns
            )
            made += now
        recount(state)
        # Nothing helps: violations weigh more, or this is the end.
        if made == before:
            if not state.broken.any() or weight >= HEAVIEST:
                return made
            weight *= HEAVIER
    return made


@kernel
def list_clients(s: State, prices: Any, arcs: Arcs, start: int, stop: int) -> None:
    """Offer some clients to the lists."""
    worth = np.empty(len(prices) + 1)
    for i in range(start, stop):
        offer(s, prices, arcs, i, worth)


@kernel
def read_gains(s: State, arcs: Arcs, gains: Any) -> None:
    """Read the best gain of every arc."""
    for u in range(gains.shape[0]):
        for v in range(gains.shape[0]):
            gains[u, v] = best_gain(s, arcs, u, v)


@kernel
def chains(
    s: State, prices: Any, unit: Any, arcs: Arcs, gains: Any, touched: Any, weight: float, tiny: float, start: int,
    idle: int, turns: int,
) -> Any:  # fmt: skip
    """Try starts one after the other; return chains made, starts in a row without one, and the next start."""
    nodes = gains.shape[0]
    reach = np.empty((DEPTH + 1, nodes))
    origin = np.empty((DEPTH + 1, nodes), dtype=np.int64)
    path = np.empty(DEPTH + 1, dtype=np.int64)
    movers = np.empty(DEPTH, dtype=np.int64)
    worth = np.empty(nodes)
    made = 0
    for _ in range(turns):
        if idle >= nodes:
            break
        helped = False
        for _ in range(TRIES):
            steps = _best_chain(s, prices, unit, gains, weight, tiny, start, reach, origin, path)
            if steps == 0:
                break
            if _make(s, arcs, gains, path, movers, steps, weight, tiny):
                # The moved clients offer their new moves; the arcs that they were on are read again.
                for at in range(steps):
                    touched[movers[at]] = True
                    offer(s, prices, arcs, movers[at], worth)
                for at in range(steps):
                    _reread(s, arcs, gains, movers[at])
                helped = True
                made += 1
                break
        idle = 0 if helped else idle + 1
        if not helped:
            start = (start + 1) % nodes
    return made, idle, start


@inner
def _best_chain(
    s: State, prices: Any, unit: Any, gains: Any, weight: float, tiny: float, start: int, reach: Any, origin: Any,
    path: Any,
) -> int:  # fmt: skip
    """Step 2: find the best chain from a start; write its nodes, return its steps: 0 if none is worth making."""
    nodes = gains.shape[0]
    ground = nodes - 1
    # The start loses a unit of load.
    leave = 0.0
    if start < ground:
        leave = -prices[start] * unit[start] + _lifted(s, start, -unit[start], weight)
    reach[0] = -np.inf
    reach[0, start] = 0.0
    best, last, steps = tiny, -1, 0
    # reach[length, v]: the largest gain of a chain of that many steps from the start to v.
    for length in range(1, DEPTH + 1):
        for v in range(nodes):
            top, via = -np.inf, -1
            for u in range(nodes):
                total = reach[length - 1, u] + gains[u, v]
                if total > top:
                    top, via = total, u
            reach[length, v], origin[length, v] = top, via
            if via < 0:
                continue
            # Close the chain at v: a cycle, the ground, or an expert that gains a unit of load.
            if v == start:
                total = top
            elif v == ground:
                total = top + leave
            else:
                total = top + leave + prices[v] * unit[v] + _lifted(s, v, unit[v], weight)
            if total > best:
                best, last, steps = total, v, length
    # Read the chain off, from its end.
    for at in range(steps, -1, -1):
        path[at] = last
        if at > 0:
            last = origin[at, last]
    return steps


@inner
def _lifted(s: State, j: int, load: float, weight: float) -> float:
    """The gain in penalties and violations from so much more load on expert j."""
    now = s.experts[j, LOAD]
    return (
        penalty(s.experts, j, now)
        - penalty(s.experts, j, now + load)
        + weight * (_violated(s, j, now) - _violated(s, j, now + load))
    )


@inner
def _violated(s: State, j: int, load: float) -> float:
    """The violation of expert j's hard bounds by this load."""
    over = load - s.experts[j, MOST]
    short = s.experts[j, LEAST] - load
    return max(0.0, over, short)


@inner
def _make(s: State, arcs: Arcs, gains: Any, path: Any, movers: Any, steps: int, weight: float, tiny: float) -> bool:
    """Step 3: make a chain's moves if they gain as promised; else undo them and close the arc that failed."""
    violated, value = _standing(s, path, steps)
    done = 0
    # Make the moves; an arc may have no client left, as the chain's own moves change rows.
    while done < steps:
        u, v = path[done], path[done + 1]
        if best_gain(s, arcs, u, v) == -np.inf:
            gains[u, v] = -np.inf
            break
        i = arcs.client[u, v, arcs.first[u, v]]
        movers[done] = i
        value += _move(s, i, u, v)
        done += 1
    # Weigh the whole chain. ``value`` is the penalties before plus the gain of the moves, which may cost as much.
    if done == steps:
        after, cost = _standing(s, path, steps)
        if after < violated * (1.0 - 1e-9) - 1e-300 or (after <= violated and cost - value < -tiny):
            return True
        u, v = path[0], path[1]
        # It has not helped: undo it, and drop the client of its worst arc.
        worst = 0
        for at in range(1, steps):
            if gains[path[at], path[at + 1]] < gains[path[worst], path[worst + 1]]:
                worst = at
        u, v = path[worst], path[worst + 1]
        while done > 0:
            done -= 1
            _move(s, movers[done], path[done + 1], path[done])
        arcs.first[u, v] += 1
        gains[u, v] = best_gain(s, arcs, u, v)
        return False
    # An arc had no client left: undo the moves before it.
    failed = done
    while done > 0:
        done -= 1
        _move(s, movers[done], path[done + 1], path[done])
    gains[path[failed], path[failed + 1]] = best_gain(s, arcs, path[failed], path[failed + 1])
    return False


@inner
def _standing(s: State, path: Any, steps: int) -> Any:
    """Violations and penalties of the experts on a path; experts met twice count once."""
    ground = len(s.group)
    violated, cost = 0.0, 0.0
    for at in range(steps + 1):
        j = path[at]
        again = j == ground
        for before in range(at):
            again = again or path[before] == j
        if not again:
            violated += _violated(s, j, s.experts[j, LOAD])
            cost += penalty(s.experts, j, s.experts[j, LOAD])
    return violated, cost


@inner
def _move(s: State, i: int, u: int, v: int) -> float:
    """Client i leaves u for v; return the gain of its value."""
    ground = len(s.group)
    gained = 0.0
    if u < ground:
        gained -= s.value[i, u]
        drop(s, i, u)
    if v < ground:
        gained += s.value[i, v]
        take(s, i, v)
    return gained


@inner
def _reread(s: State, arcs: Arcs, gains: Any, i: int) -> None:
    """Read the gains again of the arcs on whose lists client i comes first, or whose first has changed."""
    nodes = gains.shape[0]
    for u in range(nodes):
        for v in range(nodes):
            if arcs.first[u, v] < arcs.stop[u, v]:
                head = arcs.client[u, v, arcs.first[u, v]]
                if head == i or arcs.gain[u, v, arcs.first[u, v]] != gains[u, v]:
                    gains[u, v] = best_gain(s, arcs, u, v)

"""Large neighbourhood search: re-align the clients of a few experts as well as possible, again and again.

1. Draw a few experts. Most of them come from *dear* clients, whose expert costs more than their home, the expert of
   least reduced cost: the client's present expert and its home are drawn together.
2. Re-align the clients of these experts (meet_in_the_middle.py). Half of the time the dear client must leave its
   expert; then the total cost may rise above the best cost of the walk by a tolerance.
3. The tolerance is 0 until nothing better has been found for long. Then it falls from its largest value to 0 in
   cycles.

How many experts are drawn at a time follows from the number of sets of deviations that they have.

Sources: G. Dueck, New optimization heuristics, J. Computational Physics 104 (1993), for the tolerance
(record-to-record travel); R. K. Ahuja, O. Ergun, J. B. Orlin and A. P. Punnen, A survey of very large-scale
neighborhood search techniques, Discrete Applied Mathematics 123 (2002), for the neighbourhood.
"""

from typing import Any

import numpy as np

from alignsolve.numerics import FloatArray, IntArray
from alignsolve.runtime.jit import inner, kernel
from alignsolve.solvers.generalised_assignment.meet_in_the_middle import MOST_EXPERTS, SETS, empty_halves, meet
from alignsolve.solvers.generalised_assignment.moves import Terms
from alignsolve.solvers.generalised_assignment.path_relinking import below

LEAST_EXPERTS = 3
"""Experts at a time, at least."""
FRACTIONAL = 5
"""Most experts at a time where loads are not whole: each expert doubles the number of cells to be looked up."""
FEWER, MORE = SETS * 3 / 4, SETS / 64
"""Mean number of sets in a list above which fewer experts are drawn, and below which more."""
INERTIA = 0.1
"""Weight of the last slice in that mean."""
CYCLE = 50
"""Slices without anything better after which a rise of the cost is tolerated; slices in which the tolerance falls to
0."""
RISE = 0.04
"""The largest tolerance, as a share of the amount by which the walk's best exceeds the linear relaxation."""
ANYWHERE = 20
"""Percentage of the experts that are drawn without regard to dear clients."""
FINE = 1 << 30
"""Number of equal parts in which a random share is drawn."""
WORK, STEP, SET = 500_000, 500, 10
"""Work of a slice, some milliseconds; that of a step, and of each set that a step lists."""


class LargeNeighbourhoodSearch:
    """A walk over alignments that is continued in slices.

    Attributes
    ----------
    best, value
        (num_clients,) the best alignment of this walk, and its cost.
    stale
        Slices since it was found.
    """

    def __init__(self, terms: Terms, prices: FloatArray, *, whole_loads: bool, random: IntArray) -> None:
        self._terms, self._prices, self._whole = terms, prices, whole_loads
        self._random = random
        self._halves = empty_halves()
        self._most = min(MOST_EXPERTS if whole_loads else FRACTIONAL, terms.cost.shape[1])
        self._few = min(LEAST_EXPERTS, self._most)
        self._listed = MORE
        self.best = np.zeros(0, dtype=np.int64)
        self.value = np.inf
        self.stale = 0

    def start(self, expert: IntArray, value: float) -> None:
        """Start anew from a feasible alignment of this cost."""
        self._at, self.best, self.value, self.stale = expert.copy(), expert.copy(), value, 0

    def run(self) -> None:
        """Walk for one slice, then adapt the number of experts at a time."""
        before = self.value
        rise = 0.0
        if self.stale >= CYCLE:
            rise = RISE * (1.0 - (self.stale % CYCLE + 1) / CYCLE) * self._loss(self.best)
        terms, random = self._terms, self._random
        self.value, listed = walk(
            terms, self._prices, self._halves, self._at, self.best, self._few, rise, self._whole, random,
        )  # fmt: skip
        self.stale = 0 if self.value < before else self.stale + 1
        self._listed += INERTIA * (listed - self._listed)
        if self._listed > FEWER:
            self._few = max(self._few - 1, min(LEAST_EXPERTS, self._most))
            self._listed = MORE
        elif self._listed < MORE:
            self._few = min(self._few + 1, self._most)
            self._listed = 2.0 * MORE

    def _loss(self, expert: IntArray) -> float:
        """The cost of an alignment above the linear relaxation: clients away from home, and unused capacity."""
        clients = np.arange(len(expert))
        carried = np.bincount(expert, self._terms.load[clients, expert], minlength=len(self._prices))
        unused = self._prices * np.maximum(self._terms.capacity - carried, 0.0)
        return float(self._terms.reduced[clients, expert].sum() + unused.sum())


@kernel
def walk(
    terms: Any, prices: Any, halves: Any, expert: Any, best: Any, most: int, rise: float, whole: bool,
    random: Any,
) -> Any:  # fmt: skip
    """Walk from ``expert`` for one slice.

    Parameters
    ----------
    terms, prices
        The instance, and the prices behind its reduced costs.
    halves
        Room for the lists of :func:`meet`.
    expert, best
        (num_clients,) the present alignment and the walk's best, changed in place.
    most
        Experts at a time or, at random, one less.
    rise
        How far the cost may be above the best.
    whole
        Whether loads are whole.
    random
        State of the random numbers.

    Returns
    -------
    value, listed
        The cost of ``best``, and the mean length of a list.
    """
    cost, least = terms.cost, terms.least[0]
    now, value = 0.0, 0.0
    # Costs of the present alignment and of the best.
    for i in range(len(expert)):
        now += cost[i, expert[i]]
        value += cost[i, best[i]]
    home = np.empty(len(expert), dtype=np.int64)
    for i in range(len(expert)):
        home[i] = terms.experts_of[i, 0]
    few = np.empty(most, dtype=np.int64)
    step, listed, work = 0, 0, 0
    # One step: draw experts, re-align their clients.
    while work < WORK:
        count = most - (below(random, 2) if most > 2 else 0)
        dear = _draw(terms.reduced, expert, home, few[:count], random)
        banned = dear if below(random, 2) == 0 else -1
        spare = max(value + rise - now, -least) if banned >= 0 else -least
        if meet(terms, prices, halves, expert, few[:count], spare, banned, whole, random):
            now = 0.0
            for i in range(len(expert)):
                now += cost[i, expert[i]]
            if now < value - least:
                value = now
                best[:] = expert
        step += 1
        listed += max(halves.size[0], halves.size[1])
        work += STEP + SET * (halves.size[0] + halves.size[1])
    return value, listed / step


@inner
def _draw(reduced: Any, expert: Any, home: Any, few: Any, random: Any) -> int:
    """Draw different experts, most of them present experts and homes of dear clients.

    Returns
    -------
    int
        The client whose expert and home are the first two; −1 if there is none.
    """
    total = 0.0
    for i in range(len(expert)):
        total += reduced[i, expert[i]]
    num_experts = reduced.shape[1]
    count, drawn = 0, -1
    while count < len(few):
        # Draw a client with a chance in proportion to its extra cost.
        i = -1
        if total > 0.0 and below(random, 100) >= ANYWHERE:
            left = total * below(random, FINE) / FINE
            while left >= 0.0 and i < len(expert) - 1:
                i += 1
                left -= reduced[i, expert[i]]
        # Add its expert and its home, if they are new; without a client, two experts from anywhere.
        for side in range(2):
            anywhere = below(random, num_experts)
            j = anywhere if i < 0 else expert[i] if side == 0 else home[i]
            new = count < len(few)
            for z in range(count):
                new = new and few[z] != j
            if new:
                few[count] = j
                count += 1
        if i >= 0 and drawn < 0 and count == 2 and few[0] == expert[i] and few[1] == home[i]:
            drawn = i
    return drawn

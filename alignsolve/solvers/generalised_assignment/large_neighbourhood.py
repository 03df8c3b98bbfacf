"""A walk between alignments that few experts at a time cannot better: meet_in_the_middle.py, asked again and again.

Where a client is dear it is driven out: its expert, its home and the places of other dear clients are re-aligned
without that pair, and the cost may rise a little above the best of the walk, by less and less until the next cycle
begins. How many experts are asked at a time follows from how many sets of deviations they have.

The walk is record-to-record travel (G. Dueck, New optimization heuristics, J. Computational Physics 104, 1993) over a
large neighbourhood (R. K. Ahuja, O. Ergun, J. B. Orlin and A. P. Punnen, A survey of very large-scale neighborhood
search techniques, Discrete Applied Mathematics 123, 2002).
"""

from typing import Any

import numpy as np

from alignsolve.numerics import FloatArray, IntArray
from alignsolve.runtime.jit import inner, kernel
from alignsolve.solvers.generalised_assignment.meet_in_the_middle import MOST_EXPERTS, SETS, empty_halves, meet
from alignsolve.solvers.generalised_assignment.moves import Terms
from alignsolve.solvers.generalised_assignment.path_relinking import below

LEAST_EXPERTS = 3
FRACTIONAL = 5
"""Experts at a time at most where loads are not whole: each doubles the cells to be looked up."""
FEWER, MORE = SETS * 3 / 4, SETS / 64
"""Sets in a list, on average, above which fewer experts are asked at a time, and below which more."""
INERTIA = 0.1
"""Weight of the last slice in that average."""
CYCLE = 50
"""Slices without anything better after which a rise is tolerated; slices in which it falls to nothing again."""
RISE = 0.04
"""That rise at most, as a share of what the walk's best costs above the linear relaxation."""
ANYWHERE = 20
"""Percent of the experts that are drawn without regard to who is dear."""
FINE = 1 << 30
WORK, STEP, SET = 500_000, 500, 10
"""Work of a slice, some milliseconds; that of a step, and of each set that it lists."""


class LargeNeighbourhoodSearch:
    """A walk that goes on in slices.

    Attributes
    ----------
    best, value
        (num_clients,) the best of this walk and its cost.
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
        """Go on from a feasible alignment of that cost."""
        self._at, self.best, self.value, self.stale = expert.copy(), expert.copy(), value, 0

    def run(self) -> None:
        """Take some steps."""
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
        """What an alignment costs above the linear relaxation: being away from home, and capacity left unused."""
        clients = np.arange(len(expert))
        carried = np.bincount(expert, self._terms.load[clients, expert], minlength=len(self._prices))
        unused = self._prices * np.maximum(self._terms.capacity - carried, 0.0)
        return float(self._terms.reduced[clients, expert].sum() + unused.sum())


@kernel
def walk(
    terms: Any, prices: Any, halves: Any, expert: Any, best: Any, most: int, rise: float, whole: bool,
    random: Any,
) -> Any:  # fmt: skip
    """Walk from ``expert`` (changed in place); return the cost of ``best`` (likewise) and the mean length of a list.

    Parameters
    ----------
    most
        Experts at a time; or one less.
    rise
        How far the cost may be above the best.
    """
    cost, least = terms.cost, terms.least[0]
    now, value = 0.0, 0.0
    for i in range(len(expert)):
        now += cost[i, expert[i]]
        value += cost[i, best[i]]
    home = np.empty(len(expert), dtype=np.int64)
    for i in range(len(expert)):
        home[i] = terms.experts_of[i, 0]
    few = np.empty(most, dtype=np.int64)
    step, listed, work = 0, 0, 0
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
    """Draw different experts, most of them where dear clients are and where those would be at home.

    Returns
    -------
    int
        The client who drew the first two; −1 if nobody did.
    """
    total = 0.0
    for i in range(len(expert)):
        total += reduced[i, expert[i]]
    num_experts = reduced.shape[1]
    count, drawn = 0, -1
    while count < len(few):
        i = -1
        if total > 0.0 and below(random, 100) >= ANYWHERE:
            left = total * below(random, FINE) / FINE
            while left >= 0.0 and i < len(expert) - 1:
                i += 1
                left -= reduced[i, expert[i]]
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

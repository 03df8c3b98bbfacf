"""Restricted problems: only the clients about whom the Lagrangian relaxation is undecided are left to decide.

1. *Shares.* Make many small subgradient steps and average the knapsacks' choices. The average tends to an optimal
   fractional solution of the Lagrangian relaxation. It gives most clients to one expert nearly always.
2. *Fix.* Those clients stay with that expert. The others, with the capacity that is left, are a small instance of
   their own, whose own multipliers close pairs.
3. *Solve* the small instance: by a tree on the Lagrangian relaxation (tree.py) where costs and loads are whole, else
   by HiGHS.
4. *Adapt.* If it was solved to the end, more clients are left open the next time; if not, fewer.

Each time the steps have another length, so that the averages differ: a client that one of them puts with the wrong
expert is put right by another. Every other time, clients that have another expert in the incumbent are left open too,
and the program starts from the incumbent.

Sources: T. Larsson, M. Patriksson and A.-B. Strömberg, Ergodic, primal convergence in dual subgradient schemes for
convex programming, Mathematical Programming 86 (1999), for the averages; T. Berthold, RENS: the optimal rounding,
Mathematical Programming Computation 6 (2014), for the integer program of the part that a relaxation leaves open.
"""

import itertools
import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from alignsolve.numerics import BoolArray, FloatArray, IntArray
from alignsolve.runtime.interruptible import late
from alignsolve.solvers.generalised_assignment import program
from alignsolve.solvers.generalised_assignment.instance import Instance
from alignsolve.solvers.generalised_assignment.knapsacks import mix
from alignsolve.solvers.generalised_assignment.multipliers import Multipliers
from alignsolve.solvers.generalised_assignment.tree import Found, Tree

SURE = (0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99)
"""Share of one expert from which on a client is fixed: the first leaves fewest clients open, the last most."""
FIRST, FIRST_OF_TREES = 4, 1
"""The first place in this list, for HiGHS and for trees, which solve small instances sooner."""
LENGTHS = (0.03, 0.01, 0.1)
"""Lengths of the steps, in turn, as shares of Polyak's step towards the incumbent."""
IGNORED, AVERAGED, AT_ONCE = 100, 400, 50
"""Steps before the average begins, steps that are averaged, and steps between two looks at the clock."""
STEPS = 500
"""Steps of the small instance's own multipliers."""
MOST_OPEN = 700
"""Most pairs of a small instance for HiGHS."""
TOO_FAR = 2.0
"""Restricted problems do not pay if the first one is not solved to the end, and its result is farther from the bound
than this multiple of the incumbent's gap."""


class RestrictedProblem(NamedTuple):
    """A choice for some clients that is fixed, and the clients that are left to decide.

    Attributes
    ----------
    chosen
        (num_clients,) the expert with the largest share.
    clients
        The clients that are open.
    instance
        The small instance: the open clients, with the capacity that the others leave.
    opened
        (len(clients), num_experts) pairs that something below the aim may have.
    spent
        Cost of the fixed clients.
    multipliers
        (len(clients),) of the small instance.
    start
        (len(clients),) the open clients' experts in the incumbent, if the incumbent can be chosen.
    """

    chosen: IntArray
    clients: IntArray
    instance: Instance
    opened: BoolArray
    spent: float
    multipliers: FloatArray
    start: IntArray | None = None

    def completed(self, decided: IntArray) -> IntArray:
        """The alignment of all clients, (num_clients,), given the experts of the open ones."""
        chosen = self.chosen.copy()
        chosen[self.clients] = decided
        return chosen

    def by_tree(self, aim: float, end: float) -> tuple[IntArray | None, bool]:
        """Search the cheapest alignment below the aim by a tree.

        Returns
        -------
        (num_clients,) the alignment of all clients, or None; whether it is the cheapest, or there is none.
        """
        tree, found = Tree(self.instance, self.opened, self.multipliers, aim - self.spent), Found.ALIGNMENT
        while found is Found.ALIGNMENT:
            found = tree.run(math.inf, end)
        return None if tree.best is None else self.completed(tree.best), found is Found.EXHAUSTED

    def by_program(self, end: float, seed: int) -> tuple[IntArray | None, bool]:
        """Search the cheapest alignment by HiGHS, whose open pairs follow from the aim; None if it found nothing."""
        found = program.optimise_apart(self.instance, self.opened, self.start, end, seed=seed)
        if found is None:
            return None, False
        solved = found.infeasible or found.stats["optimal"]
        return None if found.x is None else self.completed(np.asarray(found.x)), solved


class Restrictions:
    """Restricted problems, one after the other.

    Attributes
    ----------
    around
        Whether the incumbent can be chosen in them.
    trees
        Whether trees solve them, which can take many more open pairs.
    pays
        False once none is small enough for HiGHS, or the largest was solved without success.
    proven
        Whether one was solved to the end.
    far
        Whether the result of the first was far from the incumbent.
    """

    def __init__(
        self, instance: Instance, multipliers: Multipliers, *, around: bool = False, trees: bool = False
    ) -> None:
        self.instance, self.multipliers, self.around, self.trees = instance, multipliers, around, trees
        self.pays, self.far = True, False
        self._sure, self.proven = FIRST_OF_TREES if trees else FIRST, False
        self._lengths = itertools.cycle(LENGTHS)

    def next(self, incumbent: IntArray, value: float, aim: float, deadline: float) -> RestrictedProblem | None:
        """Return the next problem in search of something below ``aim``; None if there is none in time.

        Parameters
        ----------
        incumbent, value
            (num_clients,) experts, and their cost.
        aim
            The cost to stay below.
        deadline
            On the clock of :func:`time.monotonic`.
        """
        shares = self._shares(value, deadline)
        while shares is not None and not late(deadline):
            rest = self._rest(shares, incumbent, aim, deadline)
            if rest is None or self.trees or rest.opened.sum() <= MOST_OPEN:
                return rest
            self._narrow()
            if not self.pays:
                return None
        return None

    def learn(self, *, solved: bool, found: float, value: float) -> None:
        """Leave more clients open the next time if this problem was solved to the end, fewer if it was too large.

        Parameters
        ----------
        solved
            Whether tree or program came to its end.
        found, value
            Cost of the alignment that it found, inf for none, and of the incumbent.
        """
        self.proven = self.proven or solved
        if solved:
            self._widen()
            return
        self._narrow()
        lower = self.multipliers.lower
        if not (self.proven or self.trees) and found - lower > TOO_FAR * max(value - lower, float(self.instance.whole)):
            self.pays, self.far = False, True

    def _widen(self) -> None:
        """Leave more clients open."""
        self._put(self._sure + 1)

    def _narrow(self) -> None:
        """Leave fewer clients open."""
        self._put(self._sure - 1)

    def _put(self, sure: int) -> None:
        """Set how sure a client must be to be fixed. Trees go on at either end: the next average differs."""
        self.pays = self.trees or 0 <= sure < len(SURE)
        self._sure = min(max(sure, 0), len(SURE) - 1)

    def _shares(self, value: float, deadline: float) -> FloatArray | None:
        """Step 1: the average of the knapsacks' choices, (num_clients, num_experts); None if it comes too late."""
        sacks, table = self.multipliers.sacks, self.multipliers.table
        at, length = self.multipliers.best.copy(), next(self._lengths) * max(value - self.multipliers.lower, 0.0)
        shares, ignored = np.zeros(self.instance.shape), np.zeros(self.instance.shape)
        unmet = mix(sacks, at, table, 0.0, 1, ignored)
        if unmet == 0.0:
            return ignored
        for done in range(0, IGNORED + AVERAGED, AT_ONCE):
            if late(deadline):
                return None
            mix(sacks, at, table, length / unmet, AT_ONCE, ignored if done < IGNORED else shares)
        return shares / AVERAGED

    def _rest(self, shares: FloatArray, incumbent: IntArray, aim: float, deadline: float) -> RestrictedProblem | None:
        """Step 2: fix the clients that are sure; None if those do not fit, or leave nothing below the aim."""
        everyone, chosen = np.arange(len(shares)), shares.argmax(axis=1)
        sure = (shares.max(axis=1) >= SURE[self._sure]) & self.instance.open[everyone, chosen]
        if self.around:
            sure &= chosen == incumbent
        clients = np.flatnonzero(~sure)
        load = self.instance.load[everyone, chosen]
        taken = np.bincount(chosen[sure], load[sure], minlength=self.instance.shape[1])
        room = self.instance.capacity - taken
        if len(clients) == 0 or (room < 0.0).any():
            self._widen()
            return None
        # The small instance of the open clients.
        small = replace(
            self.instance,
            cost=np.ascontiguousarray(self.instance.cost[clients]),
            load=np.ascontiguousarray(self.instance.load[clients]),
            capacity=room,
            most=room,
        )
        spent = float(self.instance.cost[everyone, chosen][sure].sum())
        # Its own multipliers close pairs.
        multipliers = Multipliers(small, self.multipliers.best[clients])
        multipliers.climb(aim - spent, deadline, STEPS)
        opened = small.open & multipliers.open_pairs(aim - spent)
        if not (math.isfinite(multipliers.lower) and opened.any(axis=1).all()):
            self._widen()
            return None
        if not self.around:
            return RestrictedProblem(chosen, clients, small, opened, spent, multipliers.best)
        # Keep the incumbent's own pairs open.
        start = incumbent[clients]
        opened[np.arange(len(start)), start] = True
        return RestrictedProblem(chosen, clients, small, opened, spent, multipliers.best, start)


def in_turn(afresh: Restrictions, around: Restrictions, vain: int) -> Restrictions | None:
    """Choose the next series, given the failures in a row: ``around`` only once ``afresh`` has shown that it pays."""
    if afresh.far:
        return None
    order = (around, afresh) if afresh.proven and vain % 2 else (afresh, around)
    return next((each for each in order if each.pays), None)

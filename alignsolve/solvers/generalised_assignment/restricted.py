"""The clients that the stronger relaxation is undecided about, decided by a tree or an integer program.

The knapsacks' choices, averaged over many small steps of the multipliers, tend to an optimal mixture of the stronger
relaxation. It gives most clients to one expert nearly always: there they are put. The others, with the capacity that
is left, are a small instance of their own, whose own multipliers close pairs. Where costs and loads are whole a tree on
the stronger relaxation (tree.py) solves it, else HiGHS. Where that came to an end, more clients are left open the next
time; where it did not, fewer. The steps differ from time to time, and so do the averages: what one of them puts in the
wrong place another does not. By turns, who is with another expert in the incumbent is left open too, and the program
goes on from there.

Sources: T. Larsson, M. Patriksson and A.-B. Strömberg, Ergodic, primal convergence in dual subgradient schemes for
convex programming, Mathematical Programming 86 (1999), for the averages; T. Berthold, RENS: the optimal rounding,
Mathematical Programming Computation 6 (2014), for the integer program of what a relaxation leaves open.
"""

import itertools
import math
import time
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from alignsolve.numerics import BoolArray, FloatArray, IntArray
from alignsolve.solvers.generalised_assignment import program
from alignsolve.solvers.generalised_assignment.instance import Instance
from alignsolve.solvers.generalised_assignment.knapsacks import mix
from alignsolve.solvers.generalised_assignment.multipliers import Multipliers
from alignsolve.solvers.generalised_assignment.tree import Found, Tree

SURE = (0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99)
"""Shares of one expert from which on a client is put there: the first leaves fewest clients open, the last most."""
FIRST, FIRST_OF_TREES = 4, 1
"""Where to begin among these; trees are soon done with the smaller rests."""
LENGTHS = (0.03, 0.01, 0.1)
"""Lengths of the steps, by turns, as shares of Polyak's towards the incumbent."""
IGNORED, AVERAGED, AT_ONCE = 100, 400, 50
"""Steps before the average begins, steps that it is made of, and steps between two looks at the clock."""
STEPS = 500
"""Steps of the small instance's own multipliers."""
MOST_OPEN = 700
"""Pairs of the small instance that HiGHS may be left with."""
TOO_FAR = 2.0
"""Where the first of them is not solved, and finds nothing within so many times the incumbent's gap, none pays."""


class RestrictedProblem(NamedTuple):
    """What is left to decide.

    Attributes
    ----------
    chosen
        (num_clients,) the expert with the largest share.
    clients
        Those that are open.
    instance
        Theirs, with the capacity that the others leave.
    opened
        (len(clients), num_experts) pairs that may be in what costs less than the aim.
    spent
        What the others cost.
    multipliers
        (len(clients),) theirs.
    start
        (len(clients),) their experts in the incumbent, if it is one of what there is to decide.
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
        """Look for the cheapest that costs less than the aim by a tree, where it suits.

        Returns
        -------
        (num_clients,) the alignment of all clients, or None; whether it is the cheapest, or there is none.
        """
        tree, found = Tree(self.instance, self.opened, self.multipliers, aim - self.spent), Found.ALIGNMENT
        while found is Found.ALIGNMENT:
            found = tree.run(math.inf, end)
        return None if tree.best is None else self.completed(tree.best), found is Found.EXHAUSTED

    def by_program(self, end: float, seed: int) -> tuple[IntArray | None, bool]:
        """Do the same by HiGHS, as the open pairs follow from the aim; None if nothing came of it."""
        found = program.optimise_apart(self.instance, self.opened, self.start, end, seed=seed)
        if found is None:
            return None, False
        solved = found.infeasible or found.stats["optimal"]
        return None if found.x is None else self.completed(np.asarray(found.x)), solved


class Restrictions:
    """Rests to decide, one after the other.

    Attributes
    ----------
    around
        Whether they hold the incumbent.
    trees
        Whether trees decide them, which stand many more open pairs.
    pays
        False once there is none small enough for HiGHS, or the largest was decided in vain.
    proven
        Whether one was decided to the end.
    far
        Whether the first came out far from the incumbent.
    """

    def __init__(
        self, instance: Instance, multipliers: Multipliers, *, around: bool = False, trees: bool = False
    ) -> None:
        self.instance, self.multipliers, self.around, self.trees = instance, multipliers, around, trees
        self.pays, self.far = True, False
        self._sure, self.proven = FIRST_OF_TREES if trees else FIRST, False
        self._lengths = itertools.cycle(LENGTHS)

    def next(self, incumbent: IntArray, value: float, aim: float, deadline: float) -> RestrictedProblem | None:
        """Return what to decide in search of something that costs less than ``aim``; None if there is nothing in time.

        Parameters
        ----------
        incumbent, value
            (num_clients,) experts, and their cost.
        """
        shares = self._shares(value, deadline)
        while shares is not None and time.monotonic() < deadline:
            rest = self._rest(shares, incumbent, aim, deadline)
            if rest is None or self.trees or rest.opened.sum() <= MOST_OPEN:
                return rest
            self._narrow()
            if not self.pays:
                return None
        return None

    def learn(self, *, solved: bool, found: float, value: float) -> None:
        """Leave more clients open the next time if this time all was decided, fewer if there was too much to decide.

        Parameters
        ----------
        solved
            Whether the integer program came to its end.
        found, value
            Cost of what it found, inf for nothing, and of the incumbent.
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
        self._put(self._sure + 1)

    def _narrow(self) -> None:
        self._put(self._sure - 1)

    def _put(self, sure: int) -> None:
        """Trees go on with the largest or the smallest rest: the next average is another."""
        self.pays = self.trees or 0 <= sure < len(SURE)
        self._sure = min(max(sure, 0), len(SURE) - 1)

    def _shares(self, value: float, deadline: float) -> FloatArray | None:
        """The average of the knapsacks' choices, (num_clients, num_experts); None if it comes too late."""
        sacks, table = self.multipliers.sacks, self.multipliers.table
        at, length = self.multipliers.best.copy(), next(self._lengths) * max(value - self.multipliers.lower, 0.0)
        shares, ignored = np.zeros(self.instance.shape), np.zeros(self.instance.shape)
        unmet = mix(sacks, at, table, 0.0, 1, ignored)
        if unmet == 0.0:
            return ignored
        for done in range(0, IGNORED + AVERAGED, AT_ONCE):
            if time.monotonic() >= deadline:
                return None
            mix(sacks, at, table, length / unmet, AT_ONCE, ignored if done < IGNORED else shares)
        return shares / AVERAGED

    def _rest(self, shares: FloatArray, incumbent: IntArray, aim: float, deadline: float) -> RestrictedProblem | None:
        """Put the clients away that are sure; None if those do not fit, or leave nothing below the aim."""
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
        small = replace(
            self.instance,
            cost=np.ascontiguousarray(self.instance.cost[clients]),
            load=np.ascontiguousarray(self.instance.load[clients]),
            capacity=room,
            most=room,
        )
        spent = float(self.instance.cost[everyone, chosen][sure].sum())
        multipliers = Multipliers(small, self.multipliers.best[clients])
        multipliers.climb(aim - spent, deadline, STEPS)
        opened = small.open & multipliers.open_pairs(aim - spent)
        if not (math.isfinite(multipliers.lower) and opened.any(axis=1).all()):
            self._widen()
            return None
        if not self.around:
            return RestrictedProblem(chosen, clients, small, opened, spent, multipliers.best)
        start = incumbent[clients]
        opened[np.arange(len(start)), start] = True
        return RestrictedProblem(chosen, clients, small, opened, spent, multipliers.best, start)


def in_turn(afresh: Restrictions, around: Restrictions, vain: int) -> Restrictions | None:
    """Who decides next, after so many in vain: around the incumbent only once the other has shown that it pays."""
    if afresh.far:
        return None
    order = (around, afresh) if afresh.proven and vain % 2 else (afresh, around)
    return next((each for each in order if each.pays), None)

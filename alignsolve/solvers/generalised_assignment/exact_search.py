"""The exact side of the search: methods that raise the bound, and that prove or better the incumbent.

From the cheapest to the dearest:

1. *Multipliers* on the clients (multipliers.py) give the Lagrangian relaxation's bound.
2. *Trees* on that relaxation (iterated_tree.py), where costs and loads are whole, each aiming one above the bound.
3. *Restricted problems* (restricted.py): only the clients about whom the relaxation is undecided are left to decide.
4. *The integer program* by HiGHS (program.py), over the pairs that something better may have.

The integer program has an *aim*: it looks only for costs below the aim, so that more pairs are ruled out beforehand.
Where few pairs are left, the aim is the incumbent's cost. Else it lies above the bound by a share of the gap. If the
program is exhausted, the aim is a bound; if not, the next aim is lower.
"""

import math
import time
from typing import Any

import numpy as np

from alignsolve.numerics import BoolArray, FloatArray
from alignsolve.runtime.interruptible import late
from alignsolve.solver import Answer
from alignsolve.solvers.generalised_assignment import program
from alignsolve.solvers.generalised_assignment.best_known import BestKnown
from alignsolve.solvers.generalised_assignment.clock import Clock
from alignsolve.solvers.generalised_assignment.instance import Instance
from alignsolve.solvers.generalised_assignment.iterated_tree import UNLIKELY, IteratedTree
from alignsolve.solvers.generalised_assignment.local_search import LocalSearch
from alignsolve.solvers.generalised_assignment.multipliers import Multipliers, better_than, lowest_by_prices
from alignsolve.solvers.generalised_assignment.parameters import Parameters
from alignsolve.solvers.generalised_assignment.restricted import Restrictions, in_turn
from alignsolve.solvers.generalised_assignment.tree import Found


class ExactSearch:
    """Multipliers, trees, restricted problems and integer programs of one search.

    Attributes
    ----------
    aim_share
        Share of the gap, above the bound, at which the integer program aims.
    multipliers, trees, restrictions
        The state of the first three methods.
    """

    def __init__(
        self,
        instance: Instance,
        prices: FloatArray,
        known: BestKnown,
        local: LocalSearch,
        *,
        clock: Clock,
        parameters: Parameters,
        seed: int,
        stats: dict[str, Any],
    ) -> None:
        self.instance, self.known, self.local = instance, known, local
        self.clock, self.parameters, self.seed, self.stats = clock, parameters, seed, stats
        self.aim_share = parameters.aim
        self._in_vain, self._climbed = 0, 0.0
        priced = instance.cost + prices * instance.load
        self._reduced = priced - priced.min(axis=1, keepdims=True)
        self._priced_lower = lowest_by_prices(instance, prices, priced)
        known.raise_to(self._priced_lower)
        self.multipliers = Multipliers(instance, priced.min(axis=1))
        self.trees = IteratedTree(instance)
        afresh, around = (
            Restrictions(instance, self.multipliers, around=each, trees=self.trees.pays) for each in (False, True)
        )
        self.restrictions = afresh, around

    def is_open(self) -> bool:
        """Whether incumbent and bound still differ and there is time left."""
        return not self.known.done and not self.clock.is_up

    def climb(self) -> None:
        """Let the multipliers climb towards the incumbent."""
        target = (
            self.known.value
            if math.isfinite(self.known.value)
            else self.known.lower + self.parameters.unknown_gap * max(abs(self.known.lower), 1.0)
        )
        begun = time.monotonic()
        self.multipliers.climb(
            target, min(self.clock.deadline, begun + self._climbing_left()), self.parameters.climb_steps
        )
        self._climbed += time.monotonic() - begun
        self.stats["climbed"] = self.multipliers.steps
        self.known.raise_to(self.multipliers.lower)

    def _climbing_left(self) -> float:
        """Seconds that the multipliers may still take."""
        return self.parameters.climb_share * max(self.clock.seconds, 0.0) - self._climbed

    def run(self, end: float) -> None:
        """Run trees, restricted problems while they pay, and the integer program, until ``end``."""
        now = time.monotonic()
        # Trees first, longer if the present tree seems to end in time.
        share = (
            self.parameters.likely_tree_share
            if self.trees.promising(self.clock.deadline - now, 1.0)
            else self.parameters.tree_share
        )
        self.grow_trees(math.inf, end if self.is_near() else now + share * (end - now))
        # Restricted problems, one after the other.
        hopeless = self.is_hopeless()
        first = end if hopeless else end - (1.0 - self.parameters.restricted_share) * max(end - time.monotonic(), 0.0)
        while self._has_many_open() and self.is_open() and not late(first):
            restriction = in_turn(*self.restrictions, self._in_vain)
            if restriction is None:
                break
            self._decide(restriction, min(first, time.monotonic() + self.parameters.attempt_share * self.clock.seconds))
        # The integer program in the time that is left.
        if self.is_open() and not late(end) and not hopeless:
            self.solve_program(self.aim(), end)

    def is_hopeless(self) -> bool:
        """Whether too many pairs are open for an integer program of all of them."""
        return bool(self._may_beat(self.aim()).sum() > self.parameters.hopeless * self.instance.open.sum())

    def is_near(self) -> bool:
        """Whether the incumbent is within one of the bound, and the present tree is not hopelessly long."""
        near = self.known.best is not None and self.known.value - self.known.goal <= self.parameters.near
        return near and self.trees.promising(self.clock.left, UNLIKELY)

    def grow_trees(self, nodes: float, end: float) -> None:
        """Grow trees for this number of nodes or until ``end``, each aiming one above the bound.

        It stops as soon as the local search has reached the bound.
        """
        most, before, found = self.trees.nodes + nodes, -1, Found.EXHAUSTED
        while found is Found.EXHAUSTED or (found is Found.MORE and before < self.trees.nodes < most):
            unlikely = self.clock.limited and not self.trees.promising(self.clock.left, UNLIKELY)
            beaten = self.known.best is None or self.local.value <= self.known.goal
            if unlikely or beaten or not (self.trees.pays and self.is_open()):
                return
            before, aim = self.trees.nodes, float(self.known.goal + 1)
            found = self.trees.run(
                aim, self._may_beat, self.multipliers.best, min(self.parameters.glance, most - before), end
            )
            self.stats["nodes"] = self.trees.nodes
            if found is Found.ALIGNMENT and self.trees.best is not None:
                # It costs as much as the bound: the end of the search.
                self.known.offer(self.trees.best)
            if found is Found.EXHAUSTED:
                self.known.raise_to(aim)

    def _decide(self, restriction: Restrictions, end: float) -> None:
        """Solve one restricted problem, in search of something better than the incumbent."""
        assert self.known.best is not None
        goal, aim, before = self.known.goal, self.known.value, self.known.value
        if not restriction.around:
            aim = min(aim, goal + max(self.parameters.ambition * (aim - goal), float(self.instance.whole)))
        self.stats["decided"] = self.stats.get("decided", 0) + 1
        begun = time.monotonic()
        rest = restriction.next(self.known.best, before, aim, end)
        if rest is None:
            return
        now = time.monotonic()
        brief = now + max(now - begun, self.parameters.brief_share * self.clock.seconds)
        chosen, solved = rest.by_tree(aim, min(brief, end)) if restriction.trees else rest.by_program(end, self.seed)
        if chosen is not None:
            self.known.offer(chosen)
        value = math.inf if chosen is None else self.instance.value(chosen)
        self._in_vain = 0 if self.known.value < before else self._in_vain + 1
        restriction.learn(solved=solved, found=value, value=self.known.value)

    def _has_many_open(self) -> bool:
        """Whether there is an incumbent, and many pairs are open that something better may have."""
        return self.known.best is not None and bool(
            self._may_beat(self.known.value).sum() > self.parameters.few_pairs * self.instance.shape[0]
        )

    def aim(self) -> float:
        """The cost that the integer program looks below."""
        if not math.isfinite(self.known.value):
            return math.inf
        if not self._has_many_open() or self.aim_share >= 1.0:
            return self.known.value
        return max(
            self.known.lower + self.aim_share * (self.known.value - self.known.lower),
            self.known.goal + self.parameters.whole_aim * self.instance.whole,
        )

    def _may_beat(self, aim: float) -> BoolArray:
        """The pairs that neither relaxation rules out of every alignment below the aim, (num_clients, num_experts)."""
        opened = self.instance.open
        if not math.isfinite(aim):
            return opened
        by_prices = better_than(self.instance, self._priced_lower + self._reduced, aim)
        return opened & by_prices & self.multipliers.open_pairs(aim)

    def solve_program(self, aim: float, end: float) -> None:
        """Solve the integer program of all costs below the aim; under a time limit in a process that can be stopped."""
        opened, start = self._may_beat(aim), None
        if self.known.best is not None and aim >= self.known.value:
            opened[np.arange(len(self.known.best)), self.known.best] = True
            start = self.known.best
        found = program.optimise_apart(self.instance, opened, start, end, seed=self.seed)
        if found is not None:
            self._take(found, aim)

    def _take(self, found: Answer, aim: float) -> None:
        """Take what the integer program found and proved: no cost is below the smaller of its bound and its aim."""
        self.stats["integer"] = found.stats["told"]
        bound = found.bound
        if found.x is not None:
            chosen = np.asarray(found.x)
            self.known.offer(chosen)
            value = self.instance.value(chosen)
            if (
                found.stats["optimal"]
                and self.instance.fits(chosen)
                and value - bound <= self.parameters.agreement * abs(value)
            ):
                # HiGHS calls this very alignment optimal: the difference is its rounding.
                bound = value
        if found.infeasible and not math.isfinite(aim):
            self.known.infeasible = self.known.best is None
        exhausted = found.infeasible or bound >= aim
        self.aim_share = (
            min(2.0 * self.aim_share, 1.0) if exhausted else max(0.5 * self.aim_share, self.parameters.smallest_aim)
        )
        self.known.raise_to(min(bound, aim, self.known.value), own=False)

    def confirm(self, end: float) -> bool:
        """Ask HiGHS again, with other settings, whether anything is cheaper than the incumbent; take it if there is.

        The program has all pairs that our own bounds leave open. So nothing of the first answer comes in.
        """
        opened, best = self._may_beat(self.known.value), self.known.best
        assert best is not None
        opened[np.arange(len(best)), best] = True
        found = program.optimise_apart(self.instance, opened, best, end, seed=self.seed + 1, presolve=False)
        if found is None:
            return False
        if found.x is not None:
            self.known.offer(np.asarray(found.x))
        value = self.known.value
        agrees = found.stats["optimal"] and value - found.bound <= self.parameters.agreement * abs(value)
        return bool(agrees) and self.known.best is best

"""The search for generalised assignment with few experts: bounds from two relaxations, alignments from local search.

1. The linear relaxation (program.py): its duals are prices on the experts, which the front door can certify, and a
   first alignment, over capacity here and there.
2. Path relinking with ejection chains (path_relinking.py, moves.py) from there, by turns with a walk that re-aligns a
   few experts at a time as well as can be (large_neighbourhood.py, meet_in_the_middle.py).
3. Multipliers on the clients, with a knapsack for each expert (multipliers.py): the stronger bound. Pairs that cannot
   be in anything better than the incumbent, by either relaxation, are closed.
4. Trees on that relaxation (iterated_tree.py, tree.py), each aiming one above the bound, where costs and loads are
   whole. Where they are not too large they are all that is needed; where the incumbent is that near, they have all the
   time.
5. Where many pairs are left, but the stronger relaxation puts most clients somewhere: those about whom it is undecided
   (restricted.py), for most of the time.
6. The integer program by HiGHS, over the pairs that something better may have: than the incumbent where few are left,
   else than an aim not far above the bound. It proves the incumbent, betters it, or raises the bound to the aim.
   Where most pairs are left it is hopeless, and where there are no trees a second local search takes its place.

Under a time limit local search and integer program take turns in longer and longer rounds or, given two threads, run
beside each other. Without one they follow one another, so that the answer does not depend on threads, and the integer
program takes the time that it needs. The search ends as soon as the incumbent meets a bound.
"""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from alignsolve.certificate.witness import Witness
from alignsolve.numerics import BoolArray, FloatArray
from alignsolve.problem import AlignmentProblem
from alignsolve.runtime.threads import available_threads
from alignsolve.solver import Answer, ProgressHook, WarmStart
from alignsolve.solvers.generalised_assignment import program
from alignsolve.solvers.generalised_assignment.best_known import BestKnown
from alignsolve.solvers.generalised_assignment.instance import Instance, read
from alignsolve.solvers.generalised_assignment.iterated_tree import UNLIKELY, IteratedTree
from alignsolve.solvers.generalised_assignment.local_search import LocalSearch, run_beside
from alignsolve.solvers.generalised_assignment.multipliers import Multipliers, better_than, lowest_by_prices
from alignsolve.solvers.generalised_assignment.program import Outcome, Verdict
from alignsolve.solvers.generalised_assignment.restricted import Restrictions, in_turn
from alignsolve.solvers.generalised_assignment.tree import Found
from alignsolve.solvers.ilp.solver import Ilp

FIRST_DESCENTS = 60
"""Descents before the multipliers climb: they need an incumbent to climb towards."""
DESCENTS = 1500
"""Descents before the integer program where no time limit says when."""
CLIMB, CLIMBING = 2000, 0.15
"""Steps of the multipliers at a time, and their share of the time limit in all, at most."""
ROUND, GROWTH = 0.1, 2.0
"""Share of the time limit for the first round of local search and integer program; how much longer the next is."""
FEW = 2
"""Open pairs a client up to which the integer program aims at anything better than the incumbent."""
AIM = 0.25
"""Otherwise it aims at what is above the bound by this share of the gap: by twice as much once that is exhausted, by
half where it was not."""
SMALLEST_SHARE, LEAST_AIM = 1.0 / 64.0, 0.5
"""That share is at least this; and whole costs above the bound by less than one are the bound."""
FIRST_TREES, NODES = 0.2, 20_000
"""Share of the time limit that trees have before anything else; nodes where there is no time limit."""
TREES, LIKELY_TREES = 0.2, 0.5
"""Share of the integer program's time afterwards, and as long as the present tree seems to end in time."""
GLANCE = 50
"""Nodes of a tree between two looks at what has come of the local search."""
NEAR = 1.0
"""Distance of the incumbent from the bound, in whole costs, up to which a tree goes before all else."""
UNDECIDED, ATTEMPT, BRIEF = 0.75, 0.12, 0.04
"""Share of the integer program's time for undecided clients, while that pays; of all, for an attempt; for its tree."""
AMBITION = 0.5
"""Such an attempt aims at what is above the bound by this share of the gap."""
HOPELESS = 0.5
"""Share of all pairs open above which it is not tried."""
RESERVE = 0.03
"""Share of the time limit, and seconds, kept for what comes after the search."""
AGREES = 1e-6
"""Relative difference between HiGHS's bound and the cost of what it calls optimal, at most."""
UNKNOWN = 0.01
"""Without an incumbent the multipliers climb towards the relaxation and this share of it."""


def solve_generalised_assignment(
    problem: AlignmentProblem,
    *,
    deadline: float,
    warm_start: WarmStart,
    seed: int,
    threads: int | None,
    progress: ProgressHook | None,
) -> Answer:
    """Solve a problem that is :func:`assignment_like`; the parameters are those of :class:`~alignsolve.solver.Solver`.

    Returns
    -------
    Answer
        The alignment, the experts' prices of the linear relaxation, and the best bound of all relaxations and of the
        integer program. Without an alignment it is infeasible if HiGHS says so, or nothing was found in time.
    """
    return _Search(problem, deadline, warm_start, seed, threads, progress).answer()


class _Search:
    """One solve: the incumbent and the bound so far, and the steps that improve them."""

    def __init__(
        self,
        problem: AlignmentProblem,
        deadline: float,
        warm_start: WarmStart,
        seed: int,
        threads: int | None,
        progress: ProgressHook | None,
    ) -> None:
        self.started = time.monotonic()
        self.limited = math.isfinite(deadline)
        left = max(deadline - self.started, 0.0)
        self.deadline = deadline - RESERVE * min(left, 1.0) if self.limited else deadline
        self.instance: Instance = read(problem)
        self.seed, self.threads, self.progress = seed, available_threads(threads), progress
        self.known = BestKnown(self.instance, self.started, progress)
        self.witness: Witness | None = None
        self.share = AIM
        self.vain, self.climbing = 0, 0.0
        self.other: LocalSearch | None = None
        self.prices: FloatArray | None = None
        self.stats: dict[str, Any] = {"method": "gap"}
        given = None if warm_start.alignment is None else self.instance.chosen(warm_start.alignment)
        if given is not None and np.isfinite(self.instance.value(given)):
            self.known.offer(given)

    def answer(self) -> Answer:
        """Run the steps and put together what came of them."""
        relaxed = self._relax()
        if relaxed is not None and self._open():
            self._search(relaxed)
        mine = self._told()
        if not self.limited and self._open():
            return self._by_ilp(mine)
        return mine

    def _told(self) -> Answer:
        real = self.instance.problem.num_experts
        late = self._out_of_time() and not self.known.done
        return Answer(
            x=None if self.known.best is None else self.instance.alignment(self.known.best),
            prices=None if self.prices is None else self.prices[:real],
            bound=-self.known.goal,
            witness=self.witness,
            infeasible=self.known.infeasible and self.known.best is None,
            stats={**self.stats, "stopped": "time limit"} if late else self.stats,
        )

    def _by_ilp(self, mine: Answer) -> Answer:
        """Let ``ilp`` go on: its cover cuts forbid exactly what HiGHS lets through by its tolerance."""
        start = WarmStart(None if self.known.best is None else self.instance.alignment(self.known.best), mine.prices)
        found = Ilp()(self.instance.problem, deadline=self.deadline, warm_start=start, seed=self.seed,
                      threads=self.threads, progress=self.progress)  # fmt: skip
        return replace(found, prices=mine.prices, stats={**mine.stats, **found.stats})

    def _relax(self) -> Outcome | None:
        """Solve the linear relaxation; None if that ends the search."""
        if not self.instance.open.any(axis=1).all():  # a client too heavy for every expert
            self._call_infeasible()
            return None
        outcome = program.relax(self.instance, self.deadline - time.monotonic())
        self.stats["relaxation_seconds"] = time.monotonic() - self.started
        if outcome.verdict is Verdict.INFEASIBLE:
            self._call_infeasible()
            return None
        if outcome.verdict is Verdict.FAILED:
            self.stats["relaxation"] = outcome.told
        self.prices = outcome.prices
        self.known.raise_to(outcome.lower, "relaxation")
        return outcome

    def _call_infeasible(self) -> None:
        self.known.infeasible = True
        self.witness = self._by_ilp(Answer()).witness  # along the prices of the elastic problem

    def _search(self, relaxed: Outcome) -> None:
        prices = np.zeros(self.instance.shape[1]) if relaxed.prices is None else relaxed.prices
        start = relaxed.chosen()
        start = self.instance.cost.argmin(axis=1) if start is None else start
        self.local = LocalSearch(self.instance, prices, start, self.seed)
        if self.known.best is not None:
            self.local.tell(self.known.best, self.known.value)
        self._descend(FIRST_DESCENTS, self.deadline)
        priced = self.instance.cost + prices * self.instance.load
        self.reduced = priced - priced.min(axis=1, keepdims=True)
        self.priced_lower = lowest_by_prices(self.instance, prices, priced)
        self.known.raise_to(self.priced_lower)
        self.multipliers = Multipliers(self.instance, priced.min(axis=1))
        self.trees = IteratedTree(self.instance)
        afresh, around = (
            Restrictions(self.instance, self.multipliers, around=each, trees=self.trees.pays) for each in (False, True)
        )
        self.undecided = afresh, around
        self._climb()
        if self.limited:
            self._first_trees()
            self._rounds()
            return
        self._grow(NODES, self.deadline)
        if self._open():
            self._descend(DESCENTS, self.deadline)
        while self._open():
            before = self.known.value, self.known.lower, self.share
            self._exact(self._aim(), self.deadline)
            if before == (self.known.value, self.known.lower, self.share):
                return

    def _descend(self, descents: float, deadline: float) -> None:
        """Local search; what it finds becomes the incumbent."""
        self.local.run(descents, deadline, goal=self.known.goal)
        self._take_local(self.local)

    def _take_local(self, local: LocalSearch) -> None:
        self.stats["descents"] = self.local.descents
        found = local.best
        if found is not None and local.value < self.known.value:
            self.known.offer(found)

    def _climb(self) -> None:
        """Let the multipliers climb towards the incumbent."""
        target = (
            self.known.value
            if math.isfinite(self.known.value)
            else self.known.lower + UNKNOWN * max(abs(self.known.lower), 1.0)
        )
        begun = time.monotonic()
        self.multipliers.climb(target, min(self.deadline, begun + self._climbing()), CLIMB)
        self.climbing += time.monotonic() - begun
        self.stats["climbed"] = self.multipliers.steps
        self.known.raise_to(self.multipliers.lower)

    def _climbing(self) -> float:
        """Seconds that the multipliers may still take."""
        return CLIMBING * max(self.deadline - self.started, 0.0) - self.climbing

    def _rounds(self) -> None:
        """Local search and integer program, beside each other or by turns, until the time is up."""
        seconds = ROUND * (self.deadline - time.monotonic())
        while self._open():
            self._climb()
            now = time.monotonic()
            end = self.deadline if now + (1.0 + GROWTH) * seconds > self.deadline else now + seconds
            pays = (self.trees.pays and self.known.best is not None) or not self._hopeless()
            if self.threads == 1:
                self._descend(math.inf, now if self._near() else 0.5 * (now + end) if pays else end)
                if pays:
                    self._programs(end)
            else:
                self._beside(partial(self._programs, end) if pays else None, end)
            seconds *= GROWTH
            self.stats["rounds"] = self.stats.get("rounds", 0) + 1

    def _beside(self, work: Callable[[], None] | None, end: float) -> None:
        """Run the local search beside some work, or beside a second local search if there is none."""
        searches = [self.local] if work is not None else [self.local, self._second()]
        run_beside(searches, end, self.known.goal, work)
        for each in searches:
            self._take_local(each)
        for each in searches:
            if self.known.best is not None:
                each.tell(self.known.best, self.known.value)

    def _second(self) -> LocalSearch:
        """Another local search with random numbers of its own, kept from round to round."""
        if self.other is None:
            self.other = self.local.sibling(self.seed + 1)
        return self.other

    def _programs(self, end: float) -> None:
        """Trees or integer programs until then: of undecided clients while that pays, then of what may beat the aim."""
        now = time.monotonic()
        share = LIKELY_TREES if self.trees.promising(self.deadline - now, 1.0) else TREES
        self._grow(math.inf, end if self._near() else now + share * (end - now))
        hopeless = self._hopeless()
        first = end if hopeless else end - (1.0 - UNDECIDED) * max(end - time.monotonic(), 0.0)
        while self._many() and self._open() and time.monotonic() < first:
            undecided = in_turn(*self.undecided, self.vain)
            if undecided is None:
                break
            self._decide(undecided, min(first, time.monotonic() + ATTEMPT * (self.deadline - self.started)))
        if self._open() and time.monotonic() < end and not hopeless:
            self._exact(self._aim(), end)

    def _hopeless(self) -> bool:
        """Whether too many pairs are open for an integer program of all of them."""
        return bool(self._may_beat(self._aim()).sum() > HOPELESS * self.instance.open.sum())

    def _near(self) -> bool:
        """Whether next to nothing but what the tree aims at is better than the incumbent, and the tree gets on."""
        near = self.known.best is not None and self.known.value - self.known.goal <= NEAR
        return near and self.trees.promising(self.deadline - time.monotonic(), UNLIKELY)

    def _first_trees(self) -> None:
        """Trees before anything else but the local search beside them."""
        end = time.monotonic() + FIRST_TREES * (self.deadline - time.monotonic())
        grow = partial(self._grow, math.inf, end)
        if self.threads == 1:
            grow()
        else:
            self._beside(grow, end)

    def _grow(self, nodes: float, end: float) -> None:
        """Trees for so many nodes or until then, each aiming one above the bound; local search may get there first."""
        most, before, found = self.trees.nodes + nodes, -1, Found.EXHAUSTED
        while found is Found.EXHAUSTED or (found is Found.MORE and before < self.trees.nodes < most):
            unlikely = self.limited and not self.trees.promising(self.deadline - time.monotonic(), UNLIKELY)
            beaten = self.known.best is None or self.local.value <= self.known.goal
            if unlikely or beaten or not (self.trees.pays and self._open()):
                return
            before, aim = self.trees.nodes, float(self.known.goal + 1)
            found = self.trees.run(aim, self._may_beat, self.multipliers.best, min(GLANCE, most - before), end)
            self.stats["nodes"] = self.trees.nodes
            if found is Found.ALIGNMENT and self.trees.best is not None:
                self.known.offer(self.trees.best)  # it costs what the bound is: the end of the search
            if found is Found.EXHAUSTED:
                self.known.raise_to(aim)

    def _decide(self, undecided: Restrictions, end: float) -> None:
        """Decide about the clients that the stronger relaxation is undecided about, in search of something better."""
        assert self.known.best is not None
        goal, aim, before = self.known.goal, self.known.value, self.known.value
        if not undecided.around:
            aim = min(aim, goal + max(AMBITION * (aim - goal), float(self.instance.whole)))
        self.stats["decided"] = self.stats.get("decided", 0) + 1
        begun = time.monotonic()
        rest = undecided.next(self.known.best, before, aim, end)
        if rest is None:
            return
        now = time.monotonic()
        brief = now + max(now - begun, BRIEF * (self.deadline - self.started))
        chosen, solved = rest.by_tree(aim, min(brief, end)) if undecided.trees else rest.by_program(end, self.seed)
        if chosen is not None:
            self.known.offer(chosen)
        value = math.inf if chosen is None else self.instance.value(chosen)
        self.vain = 0 if self.known.value < before else self.vain + 1
        undecided.learn(solved=solved, found=value, value=self.known.value)

    def _many(self) -> bool:
        """Whether there is an incumbent, and many pairs are open that may be in something better."""
        return self.known.best is not None and bool(
            self._may_beat(self.known.value).sum() > FEW * self.instance.shape[0]
        )

    def _aim(self) -> float:
        """The cost that the integer program is to stay below."""
        if not math.isfinite(self.known.value):
            return math.inf
        if not self._many() or self.share >= 1.0:
            return self.known.value
        return max(
            self.known.lower + self.share * (self.known.value - self.known.lower),
            self.known.goal + LEAST_AIM * self.instance.whole,
        )

    def _may_beat(self, aim: float) -> BoolArray:
        """Pairs that neither relaxation rules out of anything that costs less than the aim."""
        opened = self.instance.open
        if not math.isfinite(aim):
            return opened
        by_prices = better_than(self.instance, self.priced_lower + self.reduced, aim)
        return opened & by_prices & self.multipliers.open_pairs(aim)

    def _exact(self, aim: float, end: float) -> None:
        """Solve the integer program of what costs less than the aim; under a time limit where it can be stopped."""
        opened, start = self._may_beat(aim), None
        if self.known.best is not None and aim >= self.known.value:
            opened[np.arange(len(self.known.best)), self.known.best] = True
            start = self.known.best
        found = program.optimise_apart(self.instance, opened, start, end, seed=self.seed)
        if found is not None:
            self._take(found, aim)

    def _take(self, found: Answer, aim: float) -> None:
        """Take what the integer program found and what it proved: nothing costs less than its bound or its aim."""
        self.stats["integer"] = found.stats["told"]
        bound = found.bound
        if found.x is not None:
            chosen = np.asarray(found.x)
            self.known.offer(chosen)
            value = self.instance.value(chosen)
            if found.stats["optimal"] and self.instance.fits(chosen) and value - bound <= AGREES * abs(value):
                bound = value  # HiGHS calls this very alignment the best; the rest is its rounding
        if found.infeasible and not math.isfinite(aim):
            self.known.infeasible = self.known.best is None
        exhausted = found.infeasible or bound >= aim
        self.share = min(2.0 * self.share, 1.0) if exhausted else max(0.5 * self.share, SMALLEST_SHARE)
        self.known.raise_to(min(bound, aim, self.known.value))

    def _open(self) -> bool:
        """Whether there is something to look for and time to do it."""
        return not self.known.done and not self._out_of_time()

    def _out_of_time(self) -> bool:
        return time.monotonic() >= self.deadline

"""The search for generalised assignment with few experts: two relaxations give bounds, local search gives alignments.

1. *Linear relaxation* (program.py). Its duals are prices on the experts, which the front door can certify. Its
   solution is a first alignment, which may be over capacity here and there.
2. *Local search* (local_search.py) from there: path relinking with ejection chains (path_relinking.py, moves.py), by
   turns with a large neighbourhood search that re-aligns a few experts at a time (large_neighbourhood.py,
   meet_in_the_middle.py).
3. *Lagrangian relaxation* (multipliers.py): multipliers on the clients and a knapsack for each expert. Its bound is
   the stronger one. Pairs that either relaxation rules out of anything better than the incumbent are closed.
4. *Trees* on the Lagrangian relaxation (iterated_tree.py, tree.py), where costs and loads are whole. Each tree looks
   for an alignment that costs no more than the bound; if there is none, the bound rises by one. Where trees are small
   they are all that is needed. If the incumbent is within one of the bound, trees have all the time.
5. *Restricted problems* (restricted.py), where many pairs are left but the Lagrangian relaxation puts most clients
   with one expert. Only the clients about whom it is undecided are decided, for most of the time.
6. *Integer program* by HiGHS (program.py), over the pairs that something better may have. It looks for anything
   better than the incumbent where few pairs are left, and else for a cost not far above the bound. It proves the
   incumbent, betters it, or raises the bound. If most pairs are open it is hopeless; then, unless there are trees, a
   second local search runs in its place.

Steps 3 to 6 are in exact_search.py, the shares of time and the aims in parameters.py.

Under a time limit, local search and exact search take turns in longer and longer rounds; given two threads, they run
beside each other. Without a time limit they follow one another, so that the answer does not depend on threads, and
the integer program takes the time that it needs. The search ends as soon as the incumbent meets the bound.
"""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from alignsolve.certificate.witness import Witness
from alignsolve.data.alignment import Alignment
from alignsolve.numerics import FloatArray
from alignsolve.problem import AlignmentProblem
from alignsolve.runtime.threads import available_threads
from alignsolve.solver import Answer, ProgressHook, WarmStart
from alignsolve.solvers.generalised_assignment import program
from alignsolve.solvers.generalised_assignment.best_known import BestKnown
from alignsolve.solvers.generalised_assignment.clock import Clock
from alignsolve.solvers.generalised_assignment.exact_search import ExactSearch
from alignsolve.solvers.generalised_assignment.instance import Instance, read
from alignsolve.solvers.generalised_assignment.local_search import LocalSearch, run_beside
from alignsolve.solvers.generalised_assignment.multipliers import lowest_by_prices
from alignsolve.solvers.generalised_assignment.parameters import DEFAULTS, Parameters
from alignsolve.solvers.generalised_assignment.program import Outcome, Verdict
from alignsolve.solvers.ilp.solver import Ilp


def solve_generalised_assignment(
    problem: AlignmentProblem,
    *,
    deadline: float,
    warm_start: WarmStart,
    seed: int,
    threads: int | None,
    progress: ProgressHook | None,
    parameters: Parameters = DEFAULTS,
) -> Answer:
    """Solve a problem that is :func:`assignment_like`; a solver as in :class:`~alignsolve.solver.Solver`.

    Parameters
    ----------
    problem, deadline, warm_start, seed, threads, progress
        As in :class:`~alignsolve.solver.Solver`.
    parameters
        How the search shares its time, and what its steps aim at.

    Returns
    -------
    Answer
        The alignment, the experts' prices of the linear relaxation, and the best bound of all relaxations and of the
        integer program. Without an alignment it is infeasible if HiGHS says so; else nothing was found in time.
    """
    return _Search(problem, deadline, warm_start, seed, threads, progress, parameters).answer()


class _Search:
    """One solve: the linear relaxation, then rounds of local and exact search."""

    def __init__(
        self,
        problem: AlignmentProblem,
        deadline: float,
        warm_start: WarmStart,
        seed: int,
        threads: int | None,
        progress: ProgressHook | None,
        parameters: Parameters,
    ) -> None:
        self.parameters = parameters
        self.clock = Clock.start(deadline, parameters.reserve)
        self.instance: Instance = read(problem)
        self.seed, self.threads, self.progress = seed, available_threads(threads), progress
        self.known = BestKnown(self.instance, self.clock.started, progress)
        self.witness: Witness | None = None
        self.other: LocalSearch | None = None
        self.prices: FloatArray | None = None
        self.stats: dict[str, Any] = {"method": "gap"}
        given = None if warm_start.alignment is None else self.instance.chosen(warm_start.alignment)
        if given is not None and np.isfinite(self.instance.value(given)):
            self.known.offer(given)

    def answer(self) -> Answer:
        """Run the steps and put the answer together."""
        relaxed = self._relax()
        if relaxed is not None and self._open():
            self._search(relaxed)
            self._confirm()
        mine = self._told()
        if not self.clock.limited and self._open():
            return self._by_ilp(mine)
        return mine

    def _confirm(self) -> None:
        """Where HiGHS alone says that the search is over, let others say so too, or forget it."""
        if self.known.infeasible:
            self._call_infeasible()
        while self.known.rests_on_a_word:
            if self.exact.confirm(self.clock.deadline):
                self.stats["confirmed_by"] = ["highs", "highs, no presolve"]
                return
            found_better = not self.known.done
            self.known.take_back()
            if not found_better:
                self.stats["doubted"] = "only highs says so"

    def _told(self) -> Answer:
        """The answer as far as it is known."""
        real = self.instance.problem.num_experts
        late = self.clock.is_up and not self.known.done
        return Answer(
            x=None if self.known.best is None else self.instance.alignment(self.known.best),
            prices=None if self.prices is None else self.prices[:real],
            bound=-self.known.goal,
            witness=self.witness,
            infeasible=self.known.infeasible and self.known.best is None,
            stats={**self.stats, "stopped": "time limit"} if late else self.stats,
        )

    def _by_ilp(self, mine: Answer) -> Answer:
        """Let ``ilp`` go on: its cover cuts forbid exactly the overloads that HiGHS accepts within its tolerance."""
        start = WarmStart(None if self.known.best is None else self.instance.alignment(self.known.best), mine.prices)
        found = Ilp()(self.instance.problem, deadline=self.clock.deadline, warm_start=start, seed=self.seed,
                      threads=self.threads, progress=self.progress)  # fmt: skip
        return replace(found, prices=mine.prices, stats={**mine.stats, **found.stats})

    def _relax(self) -> Outcome | None:
        """Solve the linear relaxation; None if that ends the search."""
        if not self.instance.open.any(axis=1).all():  # a client too heavy for every expert
            self._call_infeasible()
            return None
        outcome = program.relax(self.instance, self.clock.left)
        self.stats["relaxation_seconds"] = time.monotonic() - self.clock.started
        if outcome.verdict is Verdict.INFEASIBLE:
            self._call_infeasible()
            return None
        if outcome.verdict is Verdict.FAILED:
            self.stats["relaxation"] = outcome.told
        self.prices = outcome.prices
        if outcome.prices is not None:
            priced = self.instance.cost + outcome.prices * self.instance.load
            self.known.raise_to(lowest_by_prices(self.instance, outcome.prices, priced), "relaxation")
        return outcome

    def _call_infeasible(self) -> None:
        """Ask ``ilp`` for the witness, or for a second opinion, or for an alignment after all."""
        # ``ilp`` finds a witness along the prices of the elastic problem.
        found = self._by_ilp(Answer())
        self.witness = found.witness
        self.known.infeasible = found.infeasible or found.witness is not None
        if "confirmed_by" in found.stats:
            self.stats["confirmed_by"] = found.stats["confirmed_by"]
        chosen = self.instance.chosen(found.x) if isinstance(found.x, Alignment) else None
        if chosen is not None:
            self.known.offer(chosen)

    def _search(self, relaxed: Outcome) -> None:
        """Improve incumbent and bound until they meet or the time is up."""
        prices = np.zeros(self.instance.shape[1]) if relaxed.prices is None else relaxed.prices
        start = relaxed.chosen()
        start = self.instance.cost.argmin(axis=1) if start is None else start
        self.local = LocalSearch(self.instance, prices, start, self.seed)
        # Step 2: a short local search gives the multipliers an incumbent to climb towards.
        if self.known.best is not None:
            self.local.tell(self.known.best, self.known.value)
        self._descend(self.parameters.first_descents, self.clock.deadline)
        # Step 3: the Lagrangian relaxation.
        self.exact = ExactSearch(
            self.instance,
            prices,
            self.known,
            self.local,
            clock=self.clock,
            parameters=self.parameters,
            seed=self.seed,
            stats=self.stats,
        )
        self.exact.climb()
        # Steps 4 to 6, in rounds under a time limit, else one after the other.
        if self.clock.limited:
            self._first_trees()
            self._rounds()
            return
        self.exact.grow_trees(self.parameters.nodes, self.clock.deadline)
        if self._open():
            self._descend(self.parameters.descents, self.clock.deadline)
        while self._open():
            before = self.known.value, self.known.lower, self.exact.aim_share
            self.exact.solve_program(self.exact.aim(), self.clock.deadline)
            if before == (self.known.value, self.known.lower, self.exact.aim_share):
                return

    def _descend(self, descents: float, deadline: float) -> None:
        """Run the local search; its best alignment becomes the incumbent if it is better."""
        self.local.run(descents, deadline, goal=self.known.goal)
        self._take_local(self.local)

    def _take_local(self, local: LocalSearch) -> None:
        """Make a local search's best alignment the incumbent if it is better."""
        self.stats["descents"] = self.local.descents
        found = local.best
        if found is not None and local.value < self.known.value:
            self.known.offer(found)

    def _rounds(self) -> None:
        """Run local and exact search, beside each other or by turns, until the time is up."""
        seconds = self.parameters.first_round * self.clock.left
        while self._open():
            self.exact.climb()
            now = time.monotonic()
            end = (
                self.clock.deadline
                if now + (1.0 + self.parameters.round_growth) * seconds > self.clock.deadline
                else now + seconds
            )
            pays = (self.exact.trees.pays and self.known.best is not None) or not self.exact.is_hopeless()
            if self.threads == 1:
                self._descend(math.inf, now if self.exact.is_near() else 0.5 * (now + end) if pays else end)
                if pays:
                    self.exact.run(end)
            else:
                self._beside(partial(self.exact.run, end) if pays else None, end)
            seconds *= self.parameters.round_growth
            self.stats["rounds"] = self.stats.get("rounds", 0) + 1

    def _beside(self, work: Callable[[], None] | None, end: float) -> None:
        """Run the local search beside some work, or beside a second local search if there is no work."""
        searches = [self.local] if work is not None else [self.local, self._second()]
        run_beside(searches, end, self.known.goal, work)
        for each in searches:
            self._take_local(each)
        for each in searches:
            if self.known.best is not None:
                each.tell(self.known.best, self.known.value)

    def _second(self) -> LocalSearch:
        """A second local search with random numbers of its own, kept from round to round."""
        if self.other is None:
            self.other = self.local.sibling(self.seed + 1)
        return self.other

    def _first_trees(self) -> None:
        """Grow trees before anything else, with the local search beside them if there is a thread for it."""
        end = time.monotonic() + self.parameters.first_tree_share * self.clock.left
        grow = partial(self.exact.grow_trees, math.inf, end)
        if self.threads == 1:
            grow()
        else:
            self._beside(grow, end)

    def _open(self) -> bool:
        """Whether incumbent and bound still differ and there is time left."""
        return not self.known.done and not self.clock.is_up

"""``sift``: a min-cost flow on the promising pairs, and a pass over all pairs that shows which were left out.

Where experts are many, a real model with thousands of them, hardly any pair is in doubt: most are so bad that nobody
wants them, or so good that both sides do. The search sifts them:

1. Estimate the experts' prices and what each client asks of one more expert (``estimate``). The pairs that neither side
   wants are out, those that both sides want are held, and the others, a tenth of all or less, are uncertain
   (``candidates``).
2. Build the flow network of the uncertain pairs (``network``). A group gets a node only where its bounds bind.
3. Find the best flow: first nearly, by cost scaling (``cost_scaling``), then exactly (``repair``). The potentials of
   the nodes come with it, and those of the experts are prices.
4. Price all pairs in one pass. A pair that is out but worth more than its client and its expert ask for comes in, and
   so does a pair that is held but worth less. The search goes on from the flow and the potentials that it has.
5. When no such pair is left, the prices prove the flow to be the best of the whole problem.

Sparse problems have a search of their own (``stored``): it begins with all stored pairs, and most are settled early.

Hard demands earn a reward for each unit. If some are unmet at the end, the reward was too small, and it grows; at its
largest, the problem is infeasible, and the prices lead to a witness.
"""

import math
import time
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from alignsolve.certificate.violations import violations
from alignsolve.certificate.witness import Witness, from_direction
from alignsolve.numerics import FloatArray
from alignsolve.problem import AlignmentProblem, Feature
from alignsolve.solver import CARDINALITY, Answer, Capabilities, ProgressHook, WarmStart
from alignsolve.solvers.common.elastic import elastic
from alignsolve.solvers.common.residual import cancel_negative_cycles
from alignsolve.solvers.common.warm_up import warm_up
from alignsolve.solvers.greedy.finish import finish
from alignsolve.solvers.greedy.incumbent import GREEDY, incumbents
from alignsolve.solvers.sift.flow_search import TimeUpError
from alignsolve.solvers.sift.search import Search
from alignsolve.solvers.sift.stored import StoredSearch, compile_search

POLISHED = 512
"""Experts up to which the answer is polished where potentials are so large that their rounding shows."""
FOR_SEARCH = 0.6
"""Share of the time after which a search that has not ended waits until there is some answer. Greed takes about half of
the time of a search."""


@dataclass(frozen=True)
class Sift:
    """Min-cost flow on the promising pairs, exact on all; cardinality class, made for many experts.

    Examples
    --------
    >>> from alignsolve import AlignmentProblem, solve
    >>> problem = AlignmentProblem([[0.7, 0.2], [0.6, 0.5]], expert_capacity=1)
    >>> solve(problem, solver=Sift()).x.tolist()
    [[True, False], [False, True]]
    """

    capabilities: ClassVar[Capabilities] = Capabilities(takes=CARDINALITY | {Feature.SPARSE}, exact=True, presolve=True)

    def __call__(
        self,
        problem: AlignmentProblem,
        *,
        deadline: float,
        warm_start: WarmStart,
        seed: int,
        threads: int | None,
        progress: ProgressHook | None,
    ) -> Answer:
        """Search until no pair is left out; under a deadline the best alignment reached, or the greedy one.

        When most of the time is over, or as soon as it is clear that the search will not get far, an answer is made
        that stands until a better one comes. Before, it would only take time from a search that ends.
        """
        now = time.monotonic()
        limited = deadline < math.inf and problem.stored is None
        soon = now + FOR_SEARCH * (deadline - now) if limited else deadline
        search = None
        try:
            search = _search(problem, warm_start, soon, progress, threads)
            return _outcome(problem, search, deadline)
        except TimeUpError:
            standing = _standing(problem, warm_start, search, deadline) if limited else Answer()
        if standing.witness is not None:
            return standing
        if search is None:
            return _better(problem, Answer(), standing)
        try:
            search.deadline = deadline
            search.look_at_clock()
            return _outcome(problem, search, deadline)
        except TimeUpError:
            return _better(problem, search.answer(), standing)

    def prepare(self, problem: AlignmentProblem) -> None:
        """Compile the search, and the greedy answer that stands in when time is short."""
        if problem.stored is not None:
            compile_search()
            return
        warm_up(self, problem)
        GREEDY.prepare(problem)


def _search(
    problem: AlignmentProblem,
    warm_start: WarmStart,
    deadline: float,
    progress: ProgressHook | None,
    threads: int | None = None,
) -> Search | StoredSearch:
    """The search that fits the problem: on all stored pairs where it is sparse."""
    if problem.stored is not None:
        return StoredSearch(problem, warm_start, deadline, progress)
    return Search(problem, warm_start, deadline, progress, threads)


def _outcome(problem: AlignmentProblem, search: Search | StoredSearch, deadline: float) -> Answer:
    """Run a search to its end, or on from where it was stopped; raises ``TimeUpError`` at its deadline."""
    if search.overfull.any():
        return Answer(witness=from_direction(problem, search.overfull.astype(np.float64)))
    search.run()
    if search.unmet:
        return Answer(prices=search.prices, witness=_witness(problem, search.prices, deadline), stats=search.stats)
    return _polished(problem, search.answer(), deadline) if search.coarse else search.answer()


def _polished(problem: AlignmentProblem, answer: Answer, deadline: float) -> Answer:
    """Undo rounding: cancel what negative cycles are left between single experts, where these are not too many."""
    if answer.x is None or problem.num_experts > POLISHED:
        return answer
    alignment, prices, cycles = cancel_negative_cycles(problem, answer.x, deadline)
    return replace(answer, x=alignment, prices=prices, stats={**answer.stats, "cycles": cycles})


def _better(problem: AlignmentProblem, answer: Answer, standing: Answer) -> Answer:
    """The better alignment of two; prices and numbers are those of the first, if it has any."""
    known = [x for x in (answer.x, standing.x) if x is not None]
    best = max(known, key=problem.objective, default=None)
    prices = standing.prices if answer.prices is None else answer.prices
    return replace(answer, x=best, prices=prices, stats={**answer.stats, "stopped": "time limit"})


def _standing(
    problem: AlignmentProblem, warm_start: WarmStart, search: Search | StoredSearch | None, deadline: float
) -> Answer:
    """An answer that stands until a better one comes: the unfinished flow made feasible, or the greedy one."""
    if isinstance(search, Search):
        finished = finish(problem, search.alignment(), deadline)
        if finished is not None:
            warm = warm_start.alignment
            usable = warm is not None and not violations(problem, warm)
            return _better(problem, Answer(finished, search.prices), Answer(warm if usable else None))
    for found in incumbents(problem, warm_start, deadline):
        if found.x is not None or found.witness is not None:
            return found
    return Answer()


def _witness(problem: AlignmentProblem, prices: FloatArray, deadline: float) -> Witness | None:
    """Find why hard demands cannot be met, from the prices under the largest reward or those of the elastic problem."""
    witness = from_direction(problem, prices)
    if witness is not None:
        return witness
    search = _search(elastic(problem), WarmStart(), deadline, None)
    try:
        search.run()
    except TimeUpError:
        return None
    return from_direction(problem, search.prices)

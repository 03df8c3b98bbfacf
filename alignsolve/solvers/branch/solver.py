"""``branch``: the general class with few experts, exactly, with a tree of prices as proof.

1. Every client's choices are listed (:mod:`.choices`). Where they are too many, a greedy alignment is all.
2. A first alignment: the warm start, else a greedy one. If there is none, experts that cannot keep their bounds
   together are looked for. If there are none either, a search for any alignment finds one, or proves by a tree of price
   directions that there is none.
3. The search for the best one (:mod:`.search`). Once it is exhausted, what it has written is the proof.
"""

import math
import time
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from alignsolve.certificate.violations import violations
from alignsolve.certificate.worth import worth
from alignsolve.data.alignment import Alignment
from alignsolve.data.blocks import RowBlocks
from alignsolve.numerics import FloatArray
from alignsolve.problem import AlignmentProblem, ProblemClass
from alignsolve.runtime.interruptible import late
from alignsolve.solver import EVERYTHING, Answer, Capabilities, Progress, ProgressHook, WarmStart
from alignsolve.solvers.branch.choices import Choices, list_choices
from alignsolve.solvers.branch.search import Found, Search
from alignsolve.solvers.common.elastic import quick_witness
from alignsolve.solvers.greedy.incumbent import GREEDY

MOST_CHOICES = 1 << 18
"""Choices of all clients up to which they are listed."""
USUAL_CHOICES = 1 << 13
"""Choices of all clients in a usual problem."""
SOME = 4096
"""Nodes between two reports of progress."""
AIMS = tuple(2.0**k for k in range(-8, 1))
"""How far below the root's bound a search aims, as a share of the way to the best alignment known."""
CHECK = 0.2
"""Time that the check of a tree takes, as a share of the search's: twice what was measured."""


@dataclass(frozen=True)
class Branch:
    """Branch and bound on prices.

    Parameters
    ----------
    gap
        Relative gap at which the search may stop.
    nodes
        Nodes after which it gives up; fewer where there are more than ``USUAL_CHOICES`` choices, as nodes take longer.
        The answer is then the best alignment found, with the bound of the root's prices.
    share
        Share of the time limit that it may take.

    Examples
    --------
    >>> from alignsolve import AlignmentProblem, solve
    >>> problem = AlignmentProblem([[3.0, 2.0], [2.0, 1.5]], expert_capacity=3, client_load=[3.0, 2.0])
    >>> solution = solve(problem, solver=Branch())
    >>> solution.objective, str(solution.status)
    (4.5, 'OPTIMAL')
    """

    gap: float = 0.0
    nodes: float = math.inf
    share: float = 1.0

    capabilities: ClassVar[Capabilities] = Capabilities(takes=EVERYTHING, exact=True, presolve=True)

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
        """Solve a problem of the general class; others go to ``price``, as prices alone prove them."""
        if problem.class_ is ProblemClass.CARDINALITY:
            from alignsolve.solvers.price import Price  # noqa: PLC0415

            ask = Price()
            return ask(problem, deadline=deadline, warm_start=warm_start, seed=seed, threads=threads, progress=progress)
        now = time.monotonic()
        return _Run(self, problem, now + self.share * (deadline - now), progress).answer(warm_start)

    def prepare(self, problem: AlignmentProblem) -> None:
        """Compile the search, by solving a tiny problem."""
        GREEDY.prepare(problem)
        tiny = AlignmentProblem([[3.0, 2.0], [2.0, 1.5]], expert_capacity=3, client_load=[3.0, 2.0])
        choices = list_choices(tiny, MOST_CHOICES)
        assert choices is not None
        Search(tiny, choices, np.zeros(2), 0.0).run(1, math.inf)


class _Run:
    """One solve."""

    def __init__(
        self, branch: Branch, problem: AlignmentProblem, deadline: float, progress: ProgressHook | None
    ) -> None:
        self.branch, self.problem, self.deadline, self.progress = branch, problem, deadline, progress
        self.started, self.left = time.monotonic(), branch.nodes
        self.stats: dict[str, object] = {}

    def answer(self, warm_start: WarmStart) -> Answer:
        first = self._first(warm_start)
        in_memory = not isinstance(self.problem.fitness, RowBlocks)
        choices = list_choices(self.problem, MOST_CHOICES) if in_memory else None
        if first.witness is not None:
            return first
        if choices is None:
            why = f"its clients have more than {MOST_CHOICES} choices" if in_memory else "its fitness is read in blocks"
            return replace(first, stats={"stopped": f"no search: {why}"})
        self.left *= min(1.0, USUAL_CHOICES / max(len(choices.experts), 1))
        prices = np.zeros(self.problem.num_experts) if first.prices is None else first.prices
        alignment = first.x if isinstance(first.x, Alignment) else None
        if alignment is None:
            witness = quick_witness(self.problem, self.deadline)
            if witness is not None:
                return Answer(witness=witness)
            search = Search(self.problem, choices, np.zeros(self.problem.num_experts), None)
            found = self._run(search, "any alignment")
            if found is Found.EXHAUSTED:
                return Answer(tree=search.tree(), stats=self.stats)
            alignment = search.alignment
            if alignment is None:
                return Answer(prices=first.prices, stats=self.stats)
        return self._best(choices, alignment, prices)

    def _first(self, warm_start: WarmStart) -> Answer:
        """The warm start if it is feasible, else the greedy answer."""
        known = warm_start.alignment
        if known is not None and not violations(self.problem, known):
            return Answer(known, warm_start.prices)
        last = Answer()
        for answer in GREEDY.answers(self.problem, self.deadline, warm_start):
            if isinstance(answer, Answer):
                last = answer
        return last

    def _best(self, choices: Choices, alignment: Alignment, prices: FloatArray) -> Answer:
        """Search for the best alignment, from one that is known.

        The search is short where its aim is near the bound. So it first aims at something better than is known, close
        to the root's bound. If there is no such thing, that much is proven, and the next aim lies farther away.
        """
        known = float(worth(self.problem, alignment).objective)
        root = Search(self.problem, choices, prices, known, self.branch.gap)
        root.run(1, math.inf)
        prices, far, found = root.prices, root.gap, Found.MORE
        for share in AIMS:
            aim = max(known, known + (1.0 - share) * far)
            search = Search(self.problem, choices, prices, aim, self.branch.gap)
            found = self._run(search, "branch")
            better = search.alignment
            if better is not None and not violations(self.problem, better):
                alignment = better
            if found is not Found.EXHAUSTED or better is not None:
                break
        tree = search.tree() if found is Found.EXHAUSTED else None
        return Answer(alignment, prices, tree=tree, stats=self.stats)

    def _run(self, search: Search, phase: str) -> Found:
        """Run a search to its end, or until nodes or time are used up."""
        found = Found.MORE
        # The check of the tree takes time too, a share of what the search took.
        end = self.started + (self.deadline - self.started) / (1.0 + CHECK)
        while found is Found.MORE and self.left > 0 and not late(end):
            before = search.nodes
            found = search.run(math.ceil(min(SOME, self.left)), end)
            self.left -= search.nodes - before
            if self.progress is not None:
                self.progress(Progress(phase, time.monotonic() - self.started, search.objective))
        self.stats["nodes"] = int(self.stats.get("nodes", 0)) + search.nodes  # type: ignore[call-overload]
        if found is Found.GIVEN_UP:
            self.stats["stopped"] = "the tree became too large"
        elif found is Found.MORE:
            self.stats["stopped"] = "time limit" if self.left > 0 else "nodes"
        return found

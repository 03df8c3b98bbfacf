"""The pipeline: applies the reductions in order, solves apart what falls apart, and takes the answer back.

Each reduction sees the problem that the one before left. Impossible pairs go first, as costs and loads may be equal
without them. Budgets that become counts tighten the clients' capacities, by which groups may become idle.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from alignsolve.certificate.bound import bound
from alignsolve.certificate.exact_bound import exact_bound
from alignsolve.certificate.precision import is_precise
from alignsolve.certificate.tree import tree_bound
from alignsolve.certificate.witness import Witness, confirm
from alignsolve.data.alignment import Alignment, as_alignment
from alignsolve.data.blocks import RowBlocks
from alignsolve.numerics import is_proven
from alignsolve.presolve.budgets import count_budgets
from alignsolve.presolve.components import components, couples
from alignsolve.presolve.far_bounds import move_far_bounds
from alignsolve.presolve.groups import drop_groups
from alignsolve.presolve.idle_bounds import drop_idle_bounds
from alignsolve.presolve.impossible_pairs import drop_impossible_pairs
from alignsolve.presolve.joint_progress import JointProgress
from alignsolve.presolve.loads import count_loads
from alignsolve.presolve.parts import Split, is_infeasible, usable_prices
from alignsolve.presolve.reduction import Reduction, Rule
from alignsolve.presolve.scale import scale_extremes
from alignsolve.presolve.sets import drop_sets
from alignsolve.problem import AlignmentProblem, ProblemClass
from alignsolve.runtime.threads import available_threads, map_in_order
from alignsolve.solver import Answer, ProgressHook, WarmStart

PRESOLVE_PAIRS = 1 << 8
"""Pairs (clients × experts) from which a presolve is worth its time."""
RULES: tuple[Rule, ...] = (drop_impossible_pairs, count_budgets, drop_sets, drop_idle_bounds, count_loads, drop_groups)
"""The reductions, in their order."""

PART_SECONDS = 0.1
"""Time that the smallest part should have: child processes and checks take hundredths of a second."""

SIMPLER, TREE = "prices of the simpler problem", "the tree of the simpler problem"
"""What ``stats["confirmed_by"]`` says where our own bound, or tree, of the simpler problem closes the gap."""

Ask = Callable[[AlignmentProblem, float, WarmStart, int | None, ProgressHook | None], Answer]
"""Asks the solver: ``ask(problem, deadline, warm_start, threads, progress)``."""


@dataclass(frozen=True, eq=False)
class Presolved:
    """A problem, its reductions, and its parts.

    Attributes
    ----------
    given
        The problem as given.
    reductions
        What was simplified, in order.
    split, parts
        What falls apart, each part presolved in its turn; None and empty if nothing does.
    """

    given: AlignmentProblem
    reductions: tuple[Reduction, ...] = ()
    split: Split | None = None
    parts: tuple["Presolved", ...] = ()

    @property
    def problem(self) -> AlignmentProblem:
        """The simplest single problem."""
        return self.reductions[-1].problem if self.reductions else self.given

    @property
    def told(self) -> list[str]:
        """What was simplified, in words."""
        apart = [f"falls apart into {len(self.parts)} parts"] if self.parts else []
        return [*(reduction.told for reduction in self.reductions), *apart]

    def asked(self) -> list[AlignmentProblem]:
        """The problems that the solver may get: the parts, or all in one where time is short."""
        return [self.problem, *(part.problem for part in self.parts)]

    def answer(
        self, ask: Ask, warm: WarmStart, *, deadline: float, threads: int | None, progress: ProgressHook | None
    ) -> Answer:
        """Ask the solver, and return the answer to the problem as given.

        Parameters
        ----------
        ask
            The solver.
        warm
            What is known of the problem as given.
        deadline, threads, progress
            As in :class:`~alignsolve.solver.Solver`.
        """
        for reduction in self.reductions:
            warm = reduction.lower_warm_start(warm)
        if self.split is not None and _leaves_time(self.split, deadline):
            answer = self._answer_apart(self.split, ask, warm, deadline, threads, progress)
        else:
            answer = ask(self.problem, deadline, warm, threads, progress)
        more = [reduction for reduction in self.reductions if reduction.proves_more]
        if more:
            rounding = all(reduction.only_by_rounding for reduction in more)
            answer = _with_claims(self.problem, answer, threads, deadline, rounding=rounding)
        for reduction in reversed(self.reductions):
            answer = reduction.lift_answer(answer)
        return replace(answer, stats={**answer.stats, "presolve": self.told}) if self.told else answer

    def _answer_apart(
        self,
        split: Split,
        ask: Ask,
        warm: WarmStart,
        deadline: float,
        threads: int | None,
        progress: ProgressHook | None,
    ) -> Answer:
        """Ask for every part.

        A solver that may stop at a relative gap does so in each part.

        Without a deadline, the parts are solved on several threads. With one, they follow one another, and each has the
        share of the time that its pairs have: solvers that can be stopped run in child processes, and a fork beside
        other threads at work may hang (:mod:`alignsolve.runtime.child_process`).
        """
        starts = split.lower_warm_start(warm)
        hooks = JointProgress(progress, len(self.parts)).hooks()
        limited = math.isfinite(deadline)
        workers = 1 if limited else min(available_threads(threads), len(self.parts))
        inside = threads if workers == 1 else max(1, available_threads(threads) // workers)
        pairs = np.cumsum([part.pairs for part in split.parts][::-1])[::-1]

        def solve(k: int) -> Answer:
            share = split.parts[k].pairs / float(pairs[k])
            now = time.monotonic()
            end = now + share * (deadline - now) if limited else deadline
            return self.parts[k].answer(ask, starts[k], deadline=end, threads=inside, progress=hooks[k])

        answers: list[Answer] = []
        for answer in map_in_order(solve, range(len(self.parts)), workers):
            answers.append(answer)
            if is_infeasible(answer):
                break
        return split.join(answers)


def tamed(problem: AlignmentProblem) -> tuple[AlignmentProblem, tuple[Reduction, ...]]:
    """Scale extreme numbers and move far bounds: what back ends cannot compute with; itself if it is tame."""
    reductions: list[Reduction] = []
    for rule in (move_far_bounds, scale_extremes):
        reduction = rule(problem)
        if reduction is not None:
            reductions.append(reduction)
            problem = reduction.problem
    return problem, tuple(reductions)


def _leaves_time(split: Split, deadline: float) -> bool:
    """Whether the smallest part's share of the time is long enough."""
    if math.isinf(deadline):
        return True
    pairs = [part.pairs for part in split.parts]
    return min(pairs) * (deadline - time.monotonic()) >= PART_SECONDS * sum(pairs)


def presolve(problem: AlignmentProblem, *, rules: tuple[Rule, ...] = RULES, apart: bool = True) -> Presolved:
    """Simplify a problem.

    Parameters
    ----------
    problem
        It is not changed.
    rules
        The reductions to apply, in order.
    apart
        Whether to look for parts that can be solved apart. Fitness that is read in blocks is never cut.
    """
    reductions: list[Reduction] = []
    simpler = problem
    for rule in rules:
        reduction = rule(simpler)
        if reduction is not None:
            reductions.append(reduction)
            simpler = reduction.problem
    found = components(simpler) if apart and not isinstance(simpler.fitness, RowBlocks) else []
    if not found:
        return Presolved(problem, tuple(reductions))
    split = Split.of(simpler, found)
    parts = tuple(presolve(part, rules=rules, apart=False) for part in split.problems)
    return Presolved(problem, tuple(reductions), split, parts)


def _with_claims(
    problem: AlignmentProblem, answer: Answer, threads: int | None, deadline: float, *, rounding: bool
) -> Answer:
    """Add what prices and witness prove about the simpler problem, as claims about the one before.

    They count in the general class only, as a back end's word does: there the same prices may prove less, and no exact
    sums are made where rounding decides. The price of an expert without bounds becomes 0, which proves the most.
    Where they can prove more only by ``rounding``, and it does not decide, no claim is needed.
    """
    if answer.witness is not None and _adds_up(problem, answer.witness):
        return replace(answer, infeasible=True, stats={**answer.stats, "confirmed_by": [SIMPLER]})
    if answer.tree is not None:
        answer = _with_trees_claim(problem, answer)
    given = usable_prices(problem, answer)
    if given is None:
        return answer
    prices = given
    if problem.sets is None:
        prices = np.where(couples(problem), problem.experts.project(given), 0.0)
    if problem.class_ is ProblemClass.GENERAL and math.isfinite(answer.bound):
        return replace(answer, prices=prices)
    if rounding and is_precise(problem, _alignment(problem, answer), prices):
        return replace(answer, prices=prices)
    claimed, lifted = bound(problem, prices, threads=threads, deadline=deadline)
    if claimed <= answer.bound:
        answer = replace(answer, stats={**answer.stats, "confirmed_by": [SIMPLER]})
    if problem.class_ is ProblemClass.CARDINALITY and not is_proven(claimed, claimed - 2.0 * lifted, 0.0):
        claimed = min(claimed, exact_bound(problem, prices))
    return replace(answer, prices=prices, bound=min(answer.bound, claimed))


def _adds_up(problem: AlignmentProblem, witness: Witness) -> bool:
    """Whether a witness proves that a problem has no alignment."""
    return confirm(problem, witness.experts, witness.side, witness.sets) is not None


def _with_trees_claim(problem: AlignmentProblem, answer: Answer) -> Answer:
    """Add what a tree proves about the simpler problem."""
    assert answer.tree is not None
    shown = tree_bound(problem, answer.tree).value
    if answer.x is not None and shown < answer.bound:
        return replace(answer, bound=shown, stats={**answer.stats, "confirmed_by": [TREE]})
    if answer.x is None and shown == -math.inf:
        return replace(answer, infeasible=True, stats={**answer.stats, "confirmed_by": [TREE]})
    return answer


def _alignment(problem: AlignmentProblem, answer: Answer) -> Alignment | None:
    """The alignment of an answer; None if it has none, or what it returned is none."""
    try:
        return None if answer.x is None else as_alignment(answer.x, *problem.shape)
    except ValueError:
        return None

"""A second opinion: what one back end claims counts only once another one, or other settings of it, claim the same.

Back ends compute with tolerances, and they have faults: HiGHS has called a worse alignment optimal, and a feasible
problem infeasible. In the general class their word may be all there is. So a claim that closes the search, an optimum
or infeasibility, is held back until two of them agree and no feasible alignment contradicts it.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from alignsolve.certificate.tree import tree_bound
from alignsolve.certificate.violations import violations
from alignsolve.certificate.witness import confirm
from alignsolve.certificate.worth import Worth, is_optimum, worth
from alignsolve.data.alignment import Alignment
from alignsolve.numerics import REFUTED, Number
from alignsolve.problem import AlignmentProblem, ProblemClass
from alignsolve.solution import SolveError
from alignsolve.solver import Answer, Progress

AGREES = 1e-7
"""Largest distance of a bound that still agrees with an optimum, as a share of the sizes of its terms: what a back end
loses by rounding. At least one of the two bounds must prove the optimum."""


@dataclass(frozen=True)
class Opinion:
    """Another way to solve a problem.

    Attributes
    ----------
    name
        What ``stats["confirmed_by"]`` calls it: the back end and its settings.
    ask
        ``ask(known, deadline)``: the answer of this back end alone. ``known.x`` is a feasible alignment to start from,
        or None.
    """

    name: str
    ask: Callable[[Answer, float], Answer]


def with_second_opinion(
    problem: AlignmentProblem,
    answers: Iterator[Answer | Progress],
    first: str,
    others: Callable[[], Sequence[Opinion]],
    witnesses: Callable[[Answer], Iterator[Answer]],
    trusted: Callable[[str], bool],
    deadline: float,
) -> Iterator[Answer | Progress]:
    """Pass on what a back end yields; a claim that ends the search is held back until another opinion agrees.

    Parameters
    ----------
    problem
        What is solved. In the cardinality class nothing is held back: there only prices count.
    answers
        Better and better answers of one back end.
    first
        Its name.
    others
        Called when there is a claim: the opinions to ask, in this order, until one agrees.
    witnesses
        Called with the claim: answers of our own methods, any of which may contradict it by an alignment, or prove it
        by a witness or a tree.
    trusted
        Whether the arithmetic of a back end, given its name, suits this problem. One of those who agree must be such.
    deadline
        On the clock of :func:`time.monotonic`. The others share the time that the first one left.

    Yields
    ------
    Answer or Progress
        The last answer has ``stats["confirmed_by"]``, the names of those who agree, if two do. Otherwise it claims
        neither an optimum nor infeasibility; its bound is one that two of them claim, or inf, and ``stats["doubted"]``
        tells that they disagree.
    """
    last: Answer | None = None
    for message in answers:
        if isinstance(message, Answer):
            last = message
            yield _withheld(message) if _is_claim(problem, message) else message
        else:
            yield message
    if last is not None and _is_claim(problem, last):
        yield from _Inquiry(problem, first, last, deadline).answers(others(), witnesses(last), trusted)


class _Inquiry:
    """The opinions on one claim, and the best alignment that anybody knows."""

    def __init__(self, problem: AlignmentProblem, first: str, claim: Answer, deadline: float) -> None:
        self.problem, self.claim, self.deadline = problem, claim, deadline
        self.opinions = {first: claim}
        self.best: Alignment | None = None
        self.worth: Worth | None = None
        self._take(claim.x)

    def answers(
        self, others: Sequence[Opinion], witnesses: Iterator[Answer], trusted: Callable[[str], bool]
    ) -> Iterator[Answer]:
        """Ask one after the other, until two agree; yield what is known after each."""
        for own in witnesses:
            if self._is_proof(own):
                yield replace(own, stats={**self.claim.stats, **own.stats})
                return
            self._take(own.x)
        for k, other in enumerate(others):
            now = time.monotonic()
            if now >= self.deadline:
                break
            end = now + (self.deadline - now) / (len(others) - k)
            try:
                found = other.ask(replace(self.claim, x=self.best, infeasible=False), end)
            except SolveError:
                continue
            if self._is_proof(found):
                yield replace(found, stats={**self.claim.stats, **found.stats})
                return
            self._take(found.x)
            self.opinions[other.name] = found
            agreed = self._agreed()
            if agreed is not None and any(map(trusted, self._agreeing())):
                yield agreed
                return
            yield self._known()
        alone = self._agreeing()
        doubt = f"only {' and '.join(alone)} says so" if alone else "the back ends disagree"
        known = self._known()
        yield replace(known, stats={**known.stats, "doubted": doubt})

    def _take(self, x: object) -> None:
        """Keep a feasible alignment if it is the best."""
        if not isinstance(x, Alignment) or violations(self.problem, x):
            return
        reached = worth(self.problem, x)
        if self.worth is None or reached.objective > self.worth.objective:
            self.best, self.worth = x, reached

    def _is_proof(self, answer: Answer) -> bool:
        """Whether an answer has a witness that adds up, or a tree that closes."""
        witness = answer.witness
        if witness is not None and confirm(self.problem, witness.experts, witness.side, witness.sets) is not None:
            return True
        if answer.tree is None:
            return False
        shown = tree_bound(self.problem, answer.tree).value
        if isinstance(answer.x, Alignment) and not violations(self.problem, answer.x):
            return is_optimum(self.problem, shown, worth(self.problem, answer.x))
        return answer.x is None and shown == -math.inf

    def _agreeing(self) -> list[str]:
        """The names of those whose claim nothing contradicts."""
        return [name for name, answer in self.opinions.items() if self._agrees(answer)]

    def _agrees(self, answer: Answer) -> bool:
        if self.worth is None:
            return answer.infeasible
        if answer.infeasible or self._is_refuted(answer.bound):
            return False
        if self.problem.integral:
            return bool(answer.bound <= self.worth.objective)
        return bool(answer.bound - self.worth.objective <= AGREES * self.worth.magnitude)

    def _is_refuted(self, bound: Number) -> bool:
        """Whether a bound lies below what was reached by more than a back end's tolerance."""
        assert self.worth is not None
        size = max(self.worth.magnitude, abs(self.worth.objective))
        return bool(self.worth.objective - bound > REFUTED * size)

    def _agreed(self) -> Answer | None:
        """The answer on which two agree; None as long as they do not."""
        names = self._agreeing()
        if len(names) < 2:
            return None
        stats = {**self.claim.stats, "confirmed_by": names}
        if self.worth is None:
            return Answer(infeasible=True, stats=stats)
        bound = min(max(self.opinions[name].bound, self.worth.objective) for name in names)
        if not is_optimum(self.problem, bound, self.worth):
            return None
        return Answer(self.best, self.claim.prices, bound, stats=stats)

    def _known(self) -> Answer:
        """What is known without anybody's word: the best alignment, and a bound that two claim."""
        standing = [
            -math.inf if answer.infeasible else answer.bound
            for answer in self.opinions.values()
            if self.worth is None or not (answer.infeasible or self._is_refuted(answer.bound))
        ]
        bound = sorted(standing)[1] if len(standing) > 1 else math.inf
        if bound == -math.inf:
            bound = math.inf
        return Answer(self.best, self.claim.prices, bound, stats=self.claim.stats)


def _is_claim(problem: AlignmentProblem, answer: Answer) -> bool:
    """Whether an answer ends the search by a back end's word alone."""
    if problem.class_ is not ProblemClass.GENERAL or answer.witness is not None:
        return False
    if answer.infeasible:
        return True
    if answer.x is None or not math.isfinite(answer.bound):
        return False
    reached = worth(problem, answer.x)
    if not is_optimum(problem, max(answer.bound, reached.objective), reached):
        return False
    return answer.prices is None or not is_optimum(problem, problem.bound(answer.prices), reached)


def _withheld(answer: Answer) -> Answer:
    """An answer without the claim that ends the search."""
    return replace(answer, bound=math.inf, infeasible=False)

"""``greedy`` and ``regret``: take what gains most while everything fits, then repair the demands that are not met.

1. *Fill* (:mod:`.fill`): pairs by descending gain, or clients by descending regret. In the general class a second
   time by gain per load and budget used; the better of the two is kept.
2. *Complete* (:mod:`.complete`): rows that greed left short of their own demands are completed, each optimally.
3. *Repair* the experts' hard bounds. Where loads count clients, by augmenting paths (:mod:`.paths`), which find an
   alignment whenever there is one and else a witness. Otherwise by moves in bulk (:mod:`.mend`), then by shifts,
   trades and ejection chains (:mod:`.chains`).
4. *Fill again* what the repair made room for. Optional demands repeat all this with experts closed or kept open
   (:mod:`.openings`). Sets of experts repeat it with quotas of experts (:mod:`.quotas`).
5. *Prices* (:mod:`alignsolve.solvers.common.level_method`): a bound, so that the gap is known.

Each step yields an answer as soon as it has one, so that a stopped solver still has its best answer. Under a deadline
the work is done in a child process that can be stopped, because no step looks at the clock within a pass over the
clients.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from alignsolve.certificate.witness import Witness
from alignsolve.certificate.worth import worth
from alignsolve.data.alignment import Alignment
from alignsolve.numerics import Number
from alignsolve.problem import AlignmentProblem, ProblemClass
from alignsolve.runtime.interruptible import late
from alignsolve.solver import EVERYTHING, OPTIONAL, SETS, Answer, Capabilities, Progress, ProgressHook, WarmStart
from alignsolve.solvers.common.last_answer import ahead_of, last_answer
from alignsolve.solvers.common.level_method import prices_by_level_method
from alignsolve.solvers.common.warm_up import warm_up
from alignsolve.solvers.greedy.openings import Openings, build_with_openings
from alignsolve.solvers.greedy.quotas import Quotas, build_with_quotas, without_sets

if TYPE_CHECKING:
    from alignsolve.solvers.greedy.paths import Blame
    from alignsolve.solvers.greedy.state import State

EARLY_SHARE = 4
"""Of the passes in search of prices, one in this number is made before the second attempt."""
Fill = Callable[[], None]
"""Fills a state that it is bound to."""
Rule = Callable[["State"], Fill]
"""Makes the filling of a state by gain or by regret."""


@dataclass(frozen=True)
class Greedy:
    """The pair that gains most goes first. Both classes.

    Parameters
    ----------
    passes
        Passes over the clients in search of prices; 0 for none: then the bound is that of prices of zero.

    Examples
    --------
    >>> from alignsolve import AlignmentProblem, solve
    >>> problem = AlignmentProblem([[3.0, 2.0], [2.5, 0.5]], expert_capacity=1)
    >>> solve(problem, solver=Greedy()).objective, solve(problem, solver="flow").objective
    (3.5, 4.5)
    """

    passes: int = 60
    capabilities: ClassVar[Capabilities] = Capabilities(takes=EVERYTHING | SETS | OPTIONAL, presolve=True)

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
        """Fill, repair, price. Nothing is random."""
        return _stopped_at(deadline, self.answers(problem, deadline, warm_start, threads), progress)

    def answers(
        self,
        problem: AlignmentProblem,
        deadline: float,
        warm_start: WarmStart,
        threads: int | None = None,
        *,
        priced_by: float = math.inf,
    ) -> Iterator[Answer | Progress]:
        """Yield better and better answers, in this process: for solvers that use them as incumbents.

        Prices are sought until ``priced_by`` or the deadline, whichever is earlier.
        """
        from alignsolve.solvers.greedy.fill import fill_by_gain, rank_clients  # noqa: PLC0415

        def rule(state: "State") -> Fill:
            return partial(fill_by_gain, state, rank_clients(state, threads, deadline))

        yield from _answers(problem, rule, self.passes, deadline, warm_start, priced_by)

    def prepare(self, problem: AlignmentProblem) -> None:
        """Compile the code for a problem of this kind."""
        _prepare(self, problem)


@dataclass(frozen=True)
class Regret:
    """The client that would lose most if its best expert were gone goes first. Both classes.

    Parameters
    ----------
    passes
        Passes over the clients in search of prices; 0 for none: then the bound is that of prices of zero.

    Examples
    --------
    >>> from alignsolve import AlignmentProblem, solve
    >>> solve(AlignmentProblem([[3.0, 2.0], [2.5, 0.5]], expert_capacity=1), solver=Regret()).objective
    4.5
    """

    passes: int = 60
    capabilities: ClassVar[Capabilities] = Capabilities(takes=EVERYTHING | SETS | OPTIONAL, presolve=True)

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
        """Fill, repair, price. Nothing is random."""
        from alignsolve.solvers.greedy.fill import fill_by_regret  # noqa: PLC0415

        def rule(state: "State") -> Fill:
            return partial(fill_by_regret, state)

        return _stopped_at(deadline, _answers(problem, rule, self.passes, deadline, warm_start), progress)

    def prepare(self, problem: AlignmentProblem) -> None:
        """Compile the code for a problem of this kind."""
        _prepare(self, problem)


def _prepare(solver: Greedy | Regret, problem: AlignmentProblem) -> None:
    """Compile a solver, and the repair in bulk where a problem of the cardinality class needs it."""
    from alignsolve.solvers.greedy.mend import compile_mending  # noqa: PLC0415
    from alignsolve.solvers.greedy.paths import takes_long  # noqa: PLC0415

    if problem.sets is not None:  # greed within quotas
        problem = without_sets(problem)
    warm_up(solver, problem)
    if problem.optional_demand is not None:  # greed repairs the problem without them
        _prepare(solver, replace(problem, optional_demand=None))
    if problem.class_ is ProblemClass.CARDINALITY and takes_long(problem):
        compile_mending()


@dataclass(frozen=True)
class _Found:
    """The best alignment so far."""

    alignment: Alignment | None = None
    objective: Number = -math.inf
    ranking: str = ""


def _stopped_at(deadline: float, answers: Iterator[Answer | Progress], progress: ProgressHook | None) -> Answer:
    """Take the last answer; under a deadline from a child process that is stopped then."""
    answer = last_answer(lambda: answers, deadline, progress)
    return answer or Answer(stats={"stopped": _why_none(deadline)})


def _answers(
    problem: AlignmentProblem,
    rule: Rule,
    passes: int,
    deadline: float,
    warm_start: WarmStart,
    priced_by: float = math.inf,
) -> Iterator[Answer | Progress]:
    """Try the rankings, keep the best alignment, and find prices for it."""
    started, priced_by = time.monotonic(), min(priced_by, ahead_of(deadline))
    found, prices = _Found(), warm_start.prices
    for ranking in _rankings(problem):
        if late(deadline):
            break
        alignment, witness = _built(problem, rule, deadline, dense=ranking == "gain per use")
        if witness is not None:
            yield Answer(witness=witness)
            return
        objective = -math.inf if alignment is None else worth(problem, alignment).objective
        if objective > found.objective:
            first = found.alignment is None
            found = _Found(alignment, objective, ranking)
            yield Answer(alignment, prices, stats={"ranking": ranking})
            if first and len(_rankings(problem)) > 1:  # rough prices before the next attempt, which may be the last
                early = prices_by_level_method(
                    problem, target=objective, start=prices, passes=passes // EARLY_SHARE, deadline=priced_by
                )
                prices = next(early).prices
                yield Answer(alignment, prices, stats={"ranking": ranking})
    built = time.monotonic()
    yield Progress("filled", built - started, objective=found.objective)
    target = None if found.alignment is None else found.objective
    for ascent in prices_by_level_method(problem, target=target, start=prices, passes=passes, deadline=priced_by):
        stats = {
            "ranking": found.ranking,
            "fill_seconds": built - started,
            "ascent_seconds": time.monotonic() - built,
            "passes": ascent.passes,
            **({} if found.alignment else {"stopped": _why_none(deadline)}),
        }
        yield Answer(found.alignment, ascent.prices, stats=stats)


def _rankings(problem: AlignmentProblem) -> list[str]:
    """The rankings to try: by gain, and in the general class also by gain per load and budget used."""
    plain = problem if problem.sets is None else without_sets(problem)
    return ["gain"] if plain.class_ is ProblemClass.CARDINALITY else ["gain", "gain per use"]


def _why_none(deadline: float) -> str:
    """Why there is no alignment, for the stats."""
    if late(deadline):
        return "the time limit came first"
    return "the repair found no way to meet the experts' bounds, which does not prove that there is none"


def _built(
    problem: AlignmentProblem, rule: Rule, deadline: float, *, dense: bool
) -> tuple[Alignment | None, Witness | None]:
    """Construct an alignment in which optional demands and bounds of sets hold too."""
    if problem.sets is None:
        return _built_without_sets(problem, rule, deadline, dense=dense)
    plain = without_sets(problem)

    def build(quotas: Quotas) -> tuple[Alignment | None, Witness | None]:
        return _built_without_sets(plain, rule, deadline, dense=dense, quotas=quotas)

    return build_with_quotas(problem, build, deadline)


def _built_without_sets(
    problem: AlignmentProblem, rule: Rule, deadline: float, *, dense: bool, quotas: Quotas | None = None
) -> tuple[Alignment | None, Witness | None]:
    """Construct an alignment in which optional demands hold, within quotas where there are any."""
    impose, blame = (None, None) if quotas is None else (quotas.impose, quotas.blame)
    if not problem.experts.opening.any():
        return _construct(problem, rule, deadline, dense=dense, limit=impose, blame=blame)
    plain = replace(problem, optional_demand=None)

    def build(openings: Openings) -> tuple[Alignment | None, Witness | None]:
        def limit(state: "State") -> None:
            if impose is not None:
                impose(state)
            openings.impose(problem, state)

        return _construct(plain, rule, deadline, dense=dense, limit=limit, blame=blame)

    return build_with_openings(problem, build)


def _construct(
    problem: AlignmentProblem,
    rule: Rule,
    deadline: float,
    *,
    dense: bool,
    limit: Callable[["State"], None] | None = None,
    blame: "Blame | None" = None,
) -> tuple[Alignment | None, Witness | None]:
    """Fill, complete, repair, fill again; None if the deadline came first or the repair failed.

    A ``limit`` changes the experts' bounds of the state before; ``blame`` hears where an exact repair is stuck.
    """
    from alignsolve.solvers.greedy import state as states  # noqa: PLC0415  (numba is loaded only when needed)
    from alignsolve.solvers.greedy.complete import complete_rows  # noqa: PLC0415

    began = time.monotonic()
    state = states.gather(problem)
    if limit is not None:
        limit(state)
    if dense:
        state = state._replace(weight=states.usage(state))
    fill = rule(state)
    # Filling does not look at the clock; it takes about as long as what comes before it. An order that a Ctrl-C left
    # incomplete names clients that do not exist.
    if late(deadline) or 2.0 * time.monotonic() - began > deadline:
        return None, None
    fill()
    if not complete_rows(problem, state, deadline):
        return None, None
    if state.broken.any():
        witness = repair(problem, state, deadline, blame)
        if witness is not None or state.broken.any():
            return None, witness
        fill()
    return states.to_alignment(state), None


def repair(problem: AlignmentProblem, state: "State", deadline: float, blame: "Blame | None" = None) -> Witness | None:
    """Repair the experts' hard bounds; return the witness if that is proven impossible, and tell ``blame``."""
    from alignsolve.solvers.greedy.chains import load_units, repair_by_chains  # noqa: PLC0415
    from alignsolve.solvers.greedy.mend import mend_in_bulk  # noqa: PLC0415
    from alignsolve.solvers.greedy.paths import repair_exactly, takes_long  # noqa: PLC0415

    counts, unit = problem.class_ is ProblemClass.CARDINALITY, load_units(state)
    if not counts or takes_long(problem):
        mend_in_bulk(state, unit, deadline)
    if counts:
        return repair_exactly(problem, state, deadline, blame) if state.broken.any() else None
    repair_by_chains(state, unit, deadline)
    return None


__all__ = ["Greedy", "Regret"]

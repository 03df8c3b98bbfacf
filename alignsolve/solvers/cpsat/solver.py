"""``cpsat``: both classes by OR-Tools CP-SAT, which searches by constraint propagation, clause learning and relaxation.

1. CP-SAT works in whole numbers only. So the integer program of ``ilp`` is relaxed to whole numbers (:mod:`.whole`).
2. The program is solved. If rounding made an infeasible answer possible, cover inequalities forbid this answer, and the
   program is solved again, until the answer is feasible.
3. In the cardinality class the answer is improved on the residual graph to an exact optimum, and prices prove it. In
   the general class the proof rests on CP-SAT's result alone.

Each program is a relaxation. So its bound is a bound for the problem, and if it is infeasible, the problem is too.

By default CP-SAT runs one search strategy. The answer is then repeatable, and on two cores it is no worse than with
several strategies at once.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from alignsolve.certificate.violations import violations
from alignsolve.certificate.worth import worth
from alignsolve.data.alignment import Alignment
from alignsolve.numerics import BoolArray, Number
from alignsolve.problem import AlignmentProblem, ProblemClass
from alignsolve.solution import SolveError
from alignsolve.solver import EVERYTHING, Answer, Capabilities, Progress, ProgressHook, WarmStart
from alignsolve.solvers.common.integer_program import Verdict
from alignsolve.solvers.common.last_answer import last_answer
from alignsolve.solvers.common.model_size import model_fits
from alignsolve.solvers.common.residual import cancel_negative_cycles
from alignsolve.solvers.greedy.incumbent import GREEDY, incumbents

if TYPE_CHECKING:
    from alignsolve.solvers.cpsat.engine import Outcome
    from alignsolve.solvers.ilp.model import Model

MARGIN = 0.1
"""Share of the remaining time that CP-SAT does not get, because it overruns its limit.

Without it CP-SAT would be killed before it returns its incumbent and its bound.
"""
SECONDS_PER_PAIR = 2e-6
"""Seconds to build the model, per pair."""


@dataclass(frozen=True)
class CpSat:
    """OR-Tools CP-SAT, for both classes.

    One kind of problem is proven only to about 1e-8. It belongs to the general class, has soft bounds, and its loads
    are not multiples of a power of two. All other problems are proven exactly.

    Parameters
    ----------
    gap
        Relative gap at which CP-SAT may stop.
    workers
        Number of search strategies that run in parallel, each on a thread. With more than one, the answer is not
        repeatable.

    Examples
    --------
    >>> from alignsolve import AlignmentProblem, solve
    >>> problem = AlignmentProblem([[3.0, 2.0], [2.0, 1.5]], expert_capacity=3, client_load=[3.0, 2.0])
    >>> solution = solve(problem, solver=CpSat())
    >>> solution.objective, str(solution.status)
    (4.5, 'OPTIMAL')
    """

    gap: float = 0.0
    workers: int = 1

    capabilities: ClassVar[Capabilities] = Capabilities(takes=EVERYTHING, presolve=True)  # except as named above

    def __post_init__(self) -> None:
        """Refuse a number of workers below 1."""
        if not isinstance(self.workers, int) or self.workers < 1:
            raise ValueError(f"workers is {self.workers!r}; it must be a whole number, 1 or more")

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
        """Solve a problem; with a deadline, in a child process that can be stopped.

        The greedy answer is the first incumbent.
        """
        search = _Search(problem, self, seed, deadline)
        return last_answer(lambda: search.answers(warm_start), deadline, progress) or Answer(
            stats={"stopped": "time limit"}
        )

    def prepare(self, problem: AlignmentProblem) -> None:
        """Compile the code of the greedy answer."""
        GREEDY.prepare(problem)


class _Search:
    """One solve: the best answer so far, and the steps that improve it."""

    def __init__(self, problem: AlignmentProblem, settings: CpSat, seed: int, deadline: float) -> None:
        self.problem = problem
        self.settings = settings
        self.seed = seed
        self.deadline = deadline
        self.started = time.monotonic()
        self.flow = problem.class_ is ProblemClass.CARDINALITY
        self.best = Answer()
        self.reached: Number = -math.inf
        self.stats: dict[str, Any] = {"cuts": 0}

    def answers(self, warm_start: WarmStart) -> Iterator[Answer | Progress]:
        """Yield better and better answers; the last one is the best."""
        # The greedy answer and the warm start.
        for standing in incumbents(self.problem, warm_start, self.deadline):
            self.best = standing
            self.stats |= standing.stats
            yield standing
            if standing.witness is not None:
                return
        if self.best.x is not None:
            self.reached = worth(self.problem, self.best.x).objective
        if not model_fits(self.problem, "cpsat", SECONDS_PER_PAIR, self.deadline):
            yield replace(self.best, stats=self._told("too many pairs to write down in the time that is left"))
            return
        yield from self._search(warm_start.alignment if self.best.x is None else self.best.x)

    def _search(self, hint: Alignment | None) -> Iterator[Answer | Progress]:
        """Solve the program in whole numbers, with more and more cuts, until its answer is feasible."""
        from alignsolve.solvers.cpsat.engine import Engine  # noqa: PLC0415  (only now OR-Tools is needed)
        from alignsolve.solvers.cpsat.whole import in_whole_numbers, whole_row  # noqa: PLC0415
        from alignsolve.solvers.ilp.covers import cuts  # noqa: PLC0415
        from alignsolve.solvers.ilp.model import build  # noqa: PLC0415

        model = build(self.problem)
        program = in_whole_numbers(model)
        self.unit = math.ldexp(model.cost_unit, -program.cost_bits)
        engine = Engine(program, model.num_pairs, model.forced)
        self.stats["build_seconds"] = time.monotonic() - self.started
        while True:
            # Start from the best alignment, and pass on every better one.
            hint = hint if self.best.x is None else self.best.x
            if hint is not None:
                engine.hint(hint.to_dense(self.problem.num_experts)[model.clients, model.experts])
            seconds = (1.0 - MARGIN) * (self.deadline - time.monotonic())
            found = engine.solve(
                seconds=max(seconds, 0.0), seed=self.seed, workers=self.settings.workers, gap=self.settings.gap
            )
            for outcome in found:
                if outcome.verdict is Verdict.INCUMBENT and self._take(outcome, model):
                    yield replace(self.best, stats=self._told("time limit"))
                    yield Progress("found", time.monotonic() - self.started, self.reached, self.best.bound)
            # The end of this program: infeasible, out of time, or optimal.
            if outcome.verdict is Verdict.INFEASIBLE:
                yield self._infeasible()
                return
            if outcome.verdict is not Verdict.OPTIMAL:
                yield self._finished("time limit")
                return
            # An optimum that breaks no bound is the answer. Otherwise cuts forbid it.
            self._take(outcome, model)
            wrong = cuts(self.problem, model, outcome.taken)
            if not wrong:
                yield self._finished()
                return
            self.stats["cuts"] += len(wrong)
            for row in wrong:
                engine.add(whole_row(row))

    def _take(self, outcome: "Outcome", model: "Model") -> bool:
        """Keep a lower bound, and a feasible and better alignment; return whether the alignment was kept."""
        self.best = replace(self.best, bound=min(self.best.bound, self._bound(outcome.bound)))
        alignment = _alignment(model, outcome.taken, self.problem.num_clients)
        if violations(self.problem, alignment):
            return False
        reached = worth(self.problem, alignment).objective
        if reached <= self.reached:
            return False
        self.best, self.reached = replace(self.best, x=alignment), reached
        self.stats.pop("standing", None)
        return True

    def _bound(self, lower: float) -> Number:
        """Return CP-SAT's bound in the problem's units, rounded down if all objectives are whole numbers."""
        bound = -lower * self.unit
        return math.floor(bound) if self.problem.integral and math.isfinite(bound) else bound

    def _finished(self, stopped: str = "") -> Answer:
        """Return the final answer; in the cardinality class, improved to a proof."""
        if self.flow and self.best.x is not None:
            alignment, prices, cycles = cancel_negative_cycles(self.problem, self.best.x, self.deadline)
            self.stats["cycles"] = cycles
            self.best = replace(self.best, x=alignment, prices=self.best.prices if prices is None else prices)
        return replace(self.best, stats=self._told(stopped))

    def _infeasible(self) -> Answer:
        """Return a witness, found by greedy repair, in the cardinality class; in the general class, CP-SAT's result."""
        if not self.flow:
            return Answer(infeasible=True, stats=self._told())
        *_, found = (one for one in GREEDY.answers(self.problem, math.inf, WarmStart()) if isinstance(one, Answer))
        if found.witness is None:
            raise SolveError("cpsat: CP-SAT calls the problem infeasible, but no witness says so")
        return Answer(witness=found.witness, stats=self._told())

    def _told(self, stopped: str = "") -> dict[str, Any]:
        told = {**self.stats, "seconds": time.monotonic() - self.started}
        return {**told, "stopped": stopped} if stopped else told


def _alignment(model: "Model", taken: BoolArray, num_clients: int) -> Alignment:
    return Alignment.from_pairs(model.clients[taken], model.experts[taken], num_clients)

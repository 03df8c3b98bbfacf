"""One search by CP-SAT: the program in whole numbers, and cuts until its answer is feasible.

Nothing but CP-SAT's word stands behind its last answer in the general class; ``solver.py`` asks for a second opinion.
Other solvers ask this search for theirs.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from alignsolve.certificate.violations import violations
from alignsolve.certificate.witness import Witness
from alignsolve.certificate.worth import worth
from alignsolve.data.alignment import Alignment
from alignsolve.numerics import BoolArray, Number
from alignsolve.problem import AlignmentProblem, ProblemClass
from alignsolve.solution import SolveError
from alignsolve.solver import Answer, Progress, WarmStart
from alignsolve.solvers.common.elastic import witness_from_elastic
from alignsolve.solvers.common.integer_program import Verdict
from alignsolve.solvers.common.model_size import model_fits
from alignsolve.solvers.common.residual import cancel_negative_cycles
from alignsolve.solvers.cpsat.settings import Settings
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


class Search:
    """One solve: the best answer so far, and the steps that improve it."""

    def __init__(self, problem: AlignmentProblem, settings: Settings, deadline: float) -> None:
        self.problem = problem
        self.settings = settings
        self.deadline = deadline
        self.started = time.monotonic()
        self.flow = problem.class_ is ProblemClass.CARDINALITY
        self.best = Answer()
        self.reached: Number = -math.inf
        self.stats: dict[str, Any] = {"cuts": 0}

    @classmethod
    def last(cls, problem: AlignmentProblem, settings: Settings, known: Answer, deadline: float) -> Answer:
        """Return the last answer of a search in this process that starts from a feasible ``known.x``, or from None."""
        start = known.x if isinstance(known.x, Alignment) else None
        last = Answer()
        for message in cls(problem, settings, deadline).answers(WarmStart(start, known.prices)):
            last = message if isinstance(message, Answer) else last
        return last

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
            found = engine.solve(self.settings, seconds=max(seconds, 0.0))
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
        if not self.problem.features <= GREEDY.capabilities.takes:
            return Answer(witness=self._witness_from_flow(), stats=self._told())
        *_, found = (one for one in GREEDY.answers(self.problem, math.inf, WarmStart()) if isinstance(one, Answer))
        if found.witness is None:
            raise SolveError("cpsat: CP-SAT calls the problem infeasible, but no witness says so")
        return Answer(witness=found.witness, stats=self._told())

    def _witness_from_flow(self) -> Witness:
        """Return a witness that the min-cost flow of the elastic problem shows, where greedy repair is no way."""
        from alignsolve.solvers.flow import Network  # noqa: PLC0415

        witness = witness_from_elastic(self.problem, lambda relaxed: Network(relaxed).solve())
        if witness is None:
            raise SolveError("cpsat: CP-SAT calls the problem infeasible, but no witness says so")
        return witness

    def _told(self, stopped: str = "") -> dict[str, Any]:
        told = {**self.stats, "seconds": time.monotonic() - self.started}
        return {**told, "stopped": stopped} if stopped else told


def _alignment(model: "Model", taken: BoolArray, num_clients: int) -> Alignment:
    return Alignment.from_pairs(model.clients[taken], model.experts[taken], num_clients)

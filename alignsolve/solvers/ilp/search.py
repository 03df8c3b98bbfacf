"""One search by HiGHS or CBC: a relaxation, an integer program, and cuts until its answer is feasible.

Nothing but the back end's word stands behind its last answer in the general class; ``solver.py`` asks for a second
opinion. Other solvers ask this search for theirs.
"""

import math
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from alignsolve.certificate.violations import violations
from alignsolve.certificate.witness import Witness, from_direction
from alignsolve.certificate.worth import is_optimum, worth
from alignsolve.data.alignment import Alignment
from alignsolve.numerics import FloatArray, Number, relative_gap
from alignsolve.problem import AlignmentProblem, ProblemClass
from alignsolve.solution import SolveError
from alignsolve.solver import Answer, WarmStart
from alignsolve.solvers.common.elastic import elastic
from alignsolve.solvers.common.integer_program import Verdict
from alignsolve.solvers.common.model_size import model_fits
from alignsolve.solvers.common.residual import cancel_negative_cycles, prices_of
from alignsolve.solvers.greedy.incumbent import incumbents
from alignsolve.solvers.ilp.backends import Outcome, Program, Settings
from alignsolve.solvers.ilp.covers import cuts
from alignsolve.solvers.ilp.model import Model, build

MARGIN = 0.1
"""Share of the remaining time that a back end does not get, because back ends overrun their limits.

Without it the back end would be killed before it returns its incumbent.
"""
AGREES = 1e-7
"""Largest relative difference between a back end's bound and the objective of its optimal x."""
NEARLY_ONE = 0.5
"""Largest difference between the two where objectives are whole numbers: they differ by 1 at least."""
WHOLE = 1e-6
"""A relaxation is integral if all its values are this close to 0 or 1."""
SECONDS_PER_PAIR = 5e-6
"""Seconds to build the model for CBC, per pair; HiGHS takes less."""


class Search:
    """One solve: the best answer so far, and the steps that improve it."""

    def __init__(self, problem: AlignmentProblem, settings: Settings, deadline: float) -> None:
        self.problem = problem
        self.settings = settings
        self.deadline = deadline
        self.started = time.perf_counter()
        self.flow = problem.class_ is ProblemClass.CARDINALITY
        self.stats: dict[str, Any] = {"backend": settings.backend, "cuts": 0}

    @classmethod
    def last(cls, problem: AlignmentProblem, settings: Settings, known: Answer, deadline: float) -> Answer:
        """Return the last answer of a search in this process that starts from a feasible ``known.x``, or from None.

        The back end has a folder of its own for its files.
        """
        start = known.x if isinstance(known.x, Alignment) else None
        with tempfile.TemporaryDirectory(prefix="alignsolve-") as folder:
            search = cls(problem, replace(settings, folder=Path(folder)), deadline)
            *_, last = search.answers(WarmStart(start, known.prices))
        return last

    def answers(self, warm_start: WarmStart) -> Iterator[Answer]:
        """Yield better and better answers; the last one is the best."""
        # The greedy answer and the warm start.
        best = Answer(stats=self.stats)
        for standing in incumbents(self.problem, warm_start, self.deadline):
            self.stats |= standing.stats
            best = replace(standing, stats=self._told())
            yield best
            if best.witness is not None:
                return
        if not model_fits(self.problem, "ilp", SECONDS_PER_PAIR, self.deadline):
            yield replace(
                best, stats={**best.stats, "stopped": "too many pairs to write down in the time that is left"}
            )
            return
        # The linear relaxation, which gives prices and a bound, and the answer if it is integral.
        self.started = time.perf_counter()
        self.model = build(self.problem)
        program = Program(self.model, self.settings)
        self.stats["build_seconds"] = time.perf_counter() - self.started
        relaxed = self._run(program, relaxed=True)
        if relaxed.verdict is Verdict.INFEASIBLE:
            yield self._infeasible()
            return
        if relaxed.verdict is not Verdict.OPTIMAL:
            yield replace(best, stats=self._told(stopped="time limit"))
            return
        best = replace(
            best,
            prices=self._better_prices(best.prices, relaxed.prices),
            bound=self._bound(relaxed.bound),
            stats=self._told(),
        )
        whole = self._whole(relaxed)
        if whole is not None:
            best = self._finished(whole, best)
        yield best
        if whole is not None and self._proven(best):
            return
        yield from self._integer_answers(program, best)

    def _integer_answers(self, program: Program, best: Answer) -> Iterator[Answer]:
        """Solve the integer program, with more and more cuts, until its answer is feasible."""
        while True:
            # Solve, and keep the better bound.
            outcome = self._run(program, relaxed=False)
            if outcome.verdict is Verdict.INFEASIBLE:
                yield self._infeasible()
                return
            bound = min(best.bound, self._bound(outcome.bound))
            best = replace(best, bound=bound, stats=self._told(stopped="time limit"))
            if outcome.verdict is Verdict.NOTHING:
                yield best
                return
            # An answer that breaks no bound is the last one. Otherwise cuts forbid it.
            taken = outcome.x > 0.5
            wrong = cuts(self.problem, self.model, taken)
            if not wrong:
                yield self._last(outcome, self._alignment(taken), best)
                return
            yield best
            self.stats["cuts"] += len(wrong)
            program.add(wrong)

    def _last(self, outcome: Outcome, alignment: Alignment, best: Answer) -> Answer:
        """Return the final answer of the integer program."""
        if outcome.verdict is not Verdict.OPTIMAL:
            return self._finished(alignment, best)
        best = self._finished(alignment, replace(best, stats=self._told()))
        reached = self.problem.objective(best.x)
        near = relative_gap(best.bound, reached) <= AGREES
        if self.problem.integral:
            near = near and best.bound - reached < NEARLY_ONE
        if self.settings.gap == 0.0 and near:
            # The back end calls this x optimal. Its bound differs only because its x is not exactly integral.
            return replace(best, bound=reached)
        return best

    def _proven(self, answer: Answer) -> bool:
        """Return whether the answer's bound or its prices prove it optimal."""
        assert answer.x is not None
        if self.flow and answer.prices is not None:
            return True
        reached = worth(self.problem, answer.x)
        bounds = [answer.bound] if answer.prices is None else [answer.bound, self.problem.bound(answer.prices)]
        return is_optimum(self.problem, min(bounds), reached)

    def _run(self, program: Program, *, relaxed: bool) -> Outcome:
        started = time.perf_counter()
        seconds = (1.0 - MARGIN) * (self.deadline - time.monotonic())
        outcome = program.solve(relaxed=relaxed, seconds=max(seconds, 0.0))
        if outcome.backend != self.settings.backend:
            self.stats |= {"backend": outcome.backend, "gave_up": self.settings.backend}
        key = "relaxation_seconds" if relaxed else "integer_seconds"
        self.stats[key] = self.stats.get(key, 0.0) + time.perf_counter() - started
        return outcome

    def _better_prices(self, known: FloatArray | None, found: FloatArray) -> FloatArray:
        """Return the prices with the lower bound; in the cardinality class always those of the relaxation.

        With budgets the relaxation's prices may be worse, because it can assign fractions of experts.
        """
        if known is None or self.flow or self.problem.bound(found) <= self.problem.bound(known):
            return found
        return known

    def _told(self, **more: str) -> dict[str, Any]:
        return {**self.stats, **more}

    def _alignment(self, taken: Any) -> Alignment:
        return Alignment.from_pairs(self.model.clients[taken], self.model.experts[taken], self.problem.num_clients)

    def _feasible(self, alignment: Alignment | None) -> Alignment | None:
        """Return the alignment if every bound holds, otherwise None."""
        if alignment is None or violations(self.problem, alignment):
            return None
        return alignment

    def _whole(self, relaxed: Outcome) -> Alignment | None:
        """Return the relaxation's solution as an alignment, if it is integral and feasible."""
        if np.abs(relaxed.x - np.rint(relaxed.x)).max(initial=0.0) > WHOLE:
            return None
        return self._feasible(self._alignment(relaxed.x > 0.5))

    def _finished(self, alignment: Alignment, best: Answer) -> Answer:
        """Return the better of the alignment and the incumbent; in the cardinality class, improved to a proof."""
        if best.x is not None and self.problem.objective(best.x) > self.problem.objective(alignment):
            alignment = best.x
        else:
            self.stats.pop("standing", None)
            best = replace(best, stats={key: told for key, told in best.stats.items() if key != "standing"})
        if not self.flow:
            return replace(best, x=alignment)
        if self._feasible(alignment) is None:
            raise SolveError(f"ilp: {self.settings.backend} returned an alignment that breaks constraints")
        alignment, prices, cycles = cancel_negative_cycles(self.problem, alignment, self.deadline)
        best = replace(best, x=alignment, stats={**best.stats, "cycles": cycles})
        return best if prices is None else replace(best, prices=prices)

    def _bound(self, bound: Number) -> Number:
        """Return a back end's bound, rounded down if all objectives are whole numbers."""
        if self.problem.integral and math.isfinite(bound) and abs(bound) * 1e-6 < 0.5:
            return math.floor(bound + 1e-6 * max(1.0, abs(bound)))
        return bound

    def _infeasible(self) -> Answer:
        witness = self._witness()
        if witness is None and self.flow:
            raise SolveError(f"ilp: {self.settings.backend} calls the problem infeasible, but no witness says so")
        return Answer(witness=witness, infeasible=witness is None, stats=self._told())

    def _witness(self) -> Witness | None:
        """Search for a witness along the prices of the elastic problem."""
        problem = elastic(self.problem)
        model = build(problem)
        outcome = Program(model, self.settings).solve(relaxed=True, seconds=math.inf)
        if outcome.verdict is not Verdict.OPTIMAL:
            return None
        found = from_direction(self.problem, outcome.prices)
        if found is None and self.flow:
            found = from_direction(self.problem, _exact_prices(problem, model, outcome))
        return found


def _exact_prices(problem: AlignmentProblem, model: Model, outcome: Outcome) -> FloatArray:
    """Return exact prices of an elastic problem of the cardinality class, without the back end's tolerance."""
    taken = outcome.x > 0.5
    rough = Alignment.from_pairs(model.clients[taken], model.experts[taken], problem.num_clients)
    exact, _, _ = cancel_negative_cycles(problem, rough)
    prices = prices_of(problem, exact)
    if prices is None:
        raise SolveError("ilp: the elastic problem has no proven optimum, so infeasibility has no witness")
    return prices

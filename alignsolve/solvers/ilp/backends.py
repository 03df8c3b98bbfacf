"""HiGHS and CBC behind one interface: they get the model, and every reply is checked.

A status that is missing in the table below is an error. Both back ends run on one thread.
"""

import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pulp

from alignsolve.numerics import FloatArray, IntArray
from alignsolve.solution import SolveError
from alignsolve.solvers.common import highs
from alignsolve.solvers.common.integer_program import Reply, Verdict
from alignsolve.solvers.common.sparse_rows import Row, SparseRows
from alignsolve.solvers.ilp.cbc import Cbc
from alignsolve.solvers.ilp.model import Model

Backend = Literal["highs", "cbc"]

STATUS_MAP: dict[Any, Verdict] = {
    highs.Status.kOptimal: Verdict.OPTIMAL,
    highs.Status.kTimeLimit: Verdict.INCUMBENT,  # NOTHING if there are no feasible values
    highs.Status.kInfeasible: Verdict.INFEASIBLE,
    highs.Status.kUnboundedOrInfeasible: Verdict.INFEASIBLE,  # no column has a negative cost and no upper bound
    highs.Status.kSolveError: Verdict.NOTHING,
    highs.Status.kUnknown: Verdict.NOTHING,
    (pulp.LpStatusOptimal, pulp.LpSolutionOptimal): Verdict.OPTIMAL,
    (pulp.LpStatusOptimal, pulp.LpSolutionIntegerFeasible): Verdict.INCUMBENT,
    (pulp.LpStatusInfeasible, pulp.LpSolutionInfeasible): Verdict.INFEASIBLE,
    (pulp.LpStatusInfeasible, pulp.LpSolutionNoSolutionFound): Verdict.INFEASIBLE,  # CBC: "Integer infeasible"
    (pulp.LpStatusNotSolved, pulp.LpSolutionNoSolutionFound): Verdict.NOTHING,
}
"""Verdict by status: HiGHS's model status, or for CBC PuLP's status and solution status."""


@dataclass(frozen=True)
class Settings:
    """The settings of a back end.

    Attributes
    ----------
    backend, gap, seed, msg
        As in :class:`~alignsolve.solvers.ilp.solver.Ilp` and :func:`alignsolve.solve`.
    folder
        Where CBC keeps its files.
    other
        Whether HiGHS presolves where it usually does not, and does not where it usually does.
    """

    backend: Backend
    gap: float
    seed: int
    msg: bool
    folder: Path
    other: bool = False


@dataclass(frozen=True)
class Outcome:
    """The result of a back end.

    Attributes
    ----------
    verdict
        The back end's verdict, which holds within its tolerances only.
    x
        (num_pairs,) values of the pairs; 0 if the back end returned none.
    bound
        Upper bound on the objective, in the problem's units; inf if the back end returned none.
    prices
        (num_experts + num_sets,) prices from the duals of the rows of experts and of sets; meaningless for integer
        programs.
    backend
        The back end that answered.
    """

    verdict: Verdict
    x: FloatArray
    bound: float
    prices: FloatArray
    backend: Backend


class Program:
    """A model that can be solved, as it is or relaxed, and solved again after rows were added."""

    def __init__(self, model: Model, settings: Settings) -> None:
        self.model = model
        self.settings = settings
        self.rows = model.rows
        self.cbc: Cbc | None = None

    def add(self, rows: list[Row]) -> None:
        """Add rows."""
        added = SparseRows.of(rows)
        self.rows = SparseRows.joined([self.rows, added])
        if self.cbc is not None:
            self.cbc.add(added.chosen(~added.empty))

    def solve(self, *, relaxed: bool, seconds: float) -> Outcome:
        """Run the back end.

        Raises
        ------
        SolveError
            If the back end ends early without an answer, or with a status that is not in the table.
        """
        # Programs that no back end needs to see: a row that cannot hold, or no columns.
        num_pairs, num_prices = self.model.num_pairs, len(self.model.load_unit)
        backend = self.settings.backend
        if self.rows.contradictory.any():
            return Outcome(Verdict.INFEASIBLE, np.zeros(num_pairs), math.inf, np.zeros(num_prices), backend)
        if not len(self.model.cost):
            return Outcome(Verdict.OPTIMAL, np.zeros(0), 0.0, np.zeros(num_prices), backend)
        # Run the back end, and CBC instead if HiGHS gives up.
        started = time.monotonic()
        reply = self._run(backend, relaxed, seconds)
        verdict = _verdict(reply)
        early = time.monotonic() - started < seconds / 2
        if backend == "highs" and early and verdict in {None, Verdict.NOTHING}:
            # HiGHS gives up on some small programs with costs of very different sizes (kSolveError); CBC does not.
            backend = "cbc"
            reply = self._run(backend, relaxed, seconds)
            verdict = _verdict(reply)
        if verdict is None or (verdict is Verdict.NOTHING and early):
            raise SolveError(f"ilp: {backend} ended with status {reply.told}")
        # The bound in the problem's units. An optimum's own objective is a bound too.
        values = np.zeros(len(self.model.cost)) if reply.values is None else reply.values
        bound = reply.bound
        if verdict is Verdict.OPTIMAL and (relaxed or self.settings.gap == 0.0):
            bound = float(np.cumsum(values * self.model.cost)[-1])
        bound = -bound * self.model.cost_unit if math.isfinite(bound) else math.inf
        return Outcome(verdict, values[:num_pairs], bound, self._prices(reply), backend)

    def _run(self, backend: Backend, relaxed: bool, seconds: float) -> Reply:
        return (self._run_highs if backend == "highs" else self._run_cbc)(relaxed, seconds)

    def _run_highs(self, relaxed: bool, seconds: float) -> Reply:
        model, rows = self.model, self.rows.chosen(~self.rows.empty)
        num_columns, num_whole = len(model.cost), model.num_whole
        num_missed = num_columns - num_whole
        order = _order(num_whole, num_missed)
        place = np.empty(num_columns, dtype=np.int64)
        place[order] = np.arange(num_columns)
        program = highs.MatrixProgram(
            cost=model.cost[order],
            lower=np.concatenate([model.forced, np.zeros(num_columns - model.num_pairs)])[order],
            upper=np.concatenate([np.ones(num_whole), np.full(num_missed, np.inf)])[order],
            whole=None if relaxed else order < num_whole,
            row_lower=rows.least,
            row_upper=rows.most,
            by_rows=True,
            start=rows.start,
            index=place[rows.columns],
            value=rows.coefficients,
        )
        told = self.settings
        options = highs.options(seed=told.seed, seconds=seconds, relative_gap=told.gap, absolute_gap=0.0, show=told.msg)
        if not relaxed and told.other != bool(num_missed):
            # The presolve of HiGHS 1.14 can return a wrong optimum of an integer program with two soft bounds on the
            # same sum, such as Σx + short ≥ 2 and Σx − over ≤ 1, at costs of 10 and 1 per unit. So it is off there.
            options["presolve"] = "off"
        reply = highs.run(program, options)
        return reply if reply.values is None else replace(reply, values=reply.values[place])

    def _run_cbc(self, relaxed: bool, seconds: float) -> Reply:
        if self.cbc is None:
            self.cbc = Cbc(self.model, self.settings.folder)
            self.cbc.add(self.rows.chosen(~self.rows.empty))
        told = self.settings
        return self.cbc.solve(relaxed=relaxed, seconds=seconds, gap=told.gap, seed=told.seed, show=told.msg)

    def _prices(self, reply: Reply) -> FloatArray:
        """Return prices from the duals of the rows of experts and sets: unscaled, and with the opposite sign.

        The program minimises, so a binding capacity has a dual ≤ 0. Its price is ≥ 0.
        """
        model = self.model
        prices = np.zeros(len(model.load_unit))
        if reply.duals is not None:
            duals = np.zeros(len(self.rows))
            duals[~self.rows.empty] = reply.duals
            units = model.cost_unit / model.load_unit[model.row_experts]
            np.subtract.at(prices, model.row_experts, duals[model.expert_rows] * units)
        if model.sets is not None:  # clients pay for the sets around an expert too
            num_experts = model.sets.members.shape[1]
            prices[:num_experts] += model.sets.around(prices[num_experts:])
        return prices


def _order(num_whole: int, num_missed: int) -> IntArray:
    """Return the columns in the order of their names: m0, m1, m10, m2, …, then x0, x1, x10, x2, ….

    PuLP gives CBC the columns in this order. HiGHS gets the same order. The order decides which of several optimal
    alignments HiGHS returns, and earlier versions, which called HiGHS through PuLP, had this order too.
    """
    return np.concatenate([num_whole + _alphabetical(num_missed), _alphabetical(num_whole)])


def _alphabetical(number: int) -> IntArray:
    """Return the numbers 0, 1, … in alphabetical order of their digits.

    The sort key is the number with zeros appended up to a common length. Numbers with equal keys keep their order.
    """
    numbers = np.arange(number)
    digits = np.searchsorted(10 ** np.arange(1, 19), numbers, side="right")
    return np.argsort(numbers * 10 ** (digits.max(initial=0) - digits), kind="stable")


def _verdict(reply: Reply) -> Verdict | None:
    """Return the verdict of a reply; None if its status is not in the table."""
    verdict = STATUS_MAP.get(reply.status)
    return Verdict.NOTHING if verdict is Verdict.INCUMBENT and not reply.feasible else verdict

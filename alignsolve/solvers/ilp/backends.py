"""HiGHS and CBC behind one door: the model handed over, and their replies read with suspicion.

A status that the table below does not name is an error. Both back ends run on one thread.
"""

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pulp

from alignsolve.numerics import FloatArray
from alignsolve.solution import SolveError
from alignsolve.solvers.common import highs
from alignsolve.solvers.common.integer_program import Reply, Verdict
from alignsolve.solvers.common.sparse_rows import Row, SparseRows
from alignsolve.solvers.ilp.cbc import Cbc
from alignsolve.solvers.ilp.model import Model

Backend = Literal["highs", "cbc"]

STATUS_MAP: dict[Any, Verdict] = {
    highs.Status.kOptimal: Verdict.OPTIMAL,
    highs.Status.kTimeLimit: Verdict.INCUMBENT,  # or nothing, where it has no feasible values
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
"""HiGHS's model status, or PuLP's status and solution status for CBC."""


@dataclass(frozen=True)
class Settings:
    """How to run a back end."""

    backend: Backend
    gap: float
    seed: int
    msg: bool
    folder: Path


@dataclass(frozen=True)
class Outcome:
    """What a back end returned.

    Attributes
    ----------
    verdict
        Not to be trusted further than its tolerances.
    x
        (num_pairs,) values of the pairs, if there are any.
    bound
        No objective exceeds it, in the problem's units; inf if the back end told none.
    prices
        (num_experts,) from the duals of the experts' rows; meaningless for integer programs.
    backend
        Who answered.
    """

    verdict: Verdict
    x: FloatArray
    bound: float
    prices: FloatArray
    backend: Backend


class Program:
    """A model to be solved as it is or relaxed, and again with more rows."""

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
            If it ends early without an answer, or with a status that no table names.
        """
        num_pairs, num_experts = self.model.num_pairs, len(self.model.load_unit)
        backend = self.settings.backend
        if self.rows.contradictory.any():
            return Outcome(Verdict.INFEASIBLE, np.zeros(num_pairs), math.inf, np.zeros(num_experts), backend)
        if not len(self.model.cost):
            return Outcome(Verdict.OPTIMAL, np.zeros(0), 0.0, np.zeros(num_experts), backend)
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
        num_missed = len(model.cost) - model.num_pairs
        program = highs.MatrixProgram(
            cost=model.cost,
            lower=np.concatenate([model.forced.astype(np.float64), np.zeros(num_missed)]),
            upper=np.concatenate([np.ones(model.num_pairs), np.full(num_missed, np.inf)]),
            whole=None if relaxed else np.arange(len(model.cost)) < model.num_pairs,
            row_lower=rows.least,
            row_upper=rows.most,
            by_rows=True,
            start=rows.start,
            index=rows.columns,
            value=rows.coefficients,
        )
        told = self.settings
        options = highs.options(seed=told.seed, seconds=seconds, relative_gap=told.gap, absolute_gap=0.0, show=told.msg)
        if num_missed and not relaxed:
            # Where a row has a column for what is short and the same row again one for what is over, the presolve of
            # HiGHS 1.14 calls integer programs solved at the wrong optimum (Σx + short ≥ 2 beside Σx − over ≤ 1, at
            # 10 and 1 a unit).
            options["presolve"] = "off"
        return highs.run(program, options)

    def _run_cbc(self, relaxed: bool, seconds: float) -> Reply:
        if self.cbc is None:
            self.cbc = Cbc(self.model, self.settings.folder)
            self.cbc.add(self.rows.chosen(~self.rows.empty))
        told = self.settings
        return self.cbc.solve(relaxed=relaxed, seconds=seconds, gap=told.gap, seed=told.seed, show=told.msg)

    def _prices(self, reply: Reply) -> FloatArray:
        """Duals of the experts' rows, unscaled. Minimising, a binding capacity has a dual ≤ 0, and its price is ≥ 0."""
        model = self.model
        prices = np.zeros(len(model.load_unit))
        if reply.duals is not None:
            duals = np.zeros(len(self.rows))
            duals[~self.rows.empty] = reply.duals
            units = model.cost_unit / model.load_unit[model.row_experts]
            np.subtract.at(prices, model.row_experts, duals[model.expert_rows] * units)
        return prices


def _verdict(reply: Reply) -> Verdict | None:
    """Read a status; None if the table does not name it. An incumbent without feasible values is none."""
    verdict = STATUS_MAP.get(reply.status)
    return Verdict.NOTHING if verdict is Verdict.INCUMBENT and not reply.feasible else verdict

"""PuLP and its back ends: the model handed over in bulk, and what they answer read with suspicion.

PuLP calls an unproven incumbent "Optimal", so the status is read from its solution status, and from nothing that the
table below does not name. Both back ends run on one thread: CBC's answer depends on the number of threads, and HiGHS
keeps a pool of threads that a forked process would wait for in vain.
"""

import math
import re
import time
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pulp

from alignsolve.numerics import FloatArray
from alignsolve.solution import SolveError
from alignsolve.solvers.ilp.model import Model, Row

Backend = Literal["highs", "cbc"]
CBC_TOLERANCE = 1e-9
"""Of CBC's rows, reduced costs and integrality, absolute: the smallest that it takes well."""
CBC_DIGITS = 1e-3
"""CBC prints its bound with three decimals."""


class Verdict(Enum):
    """What a back end knows when it returns."""

    OPTIMAL = auto()
    INCUMBENT = auto()
    INFEASIBLE = auto()
    NOTHING = auto()


STATUS_MAP = {
    (pulp.LpStatusOptimal, pulp.LpSolutionOptimal): Verdict.OPTIMAL,
    (pulp.LpStatusOptimal, pulp.LpSolutionIntegerFeasible): Verdict.INCUMBENT,
    (pulp.LpStatusInfeasible, pulp.LpSolutionInfeasible): Verdict.INFEASIBLE,
    (pulp.LpStatusInfeasible, pulp.LpSolutionNoSolutionFound): Verdict.INFEASIBLE,  # CBC: "Integer infeasible"
    (pulp.LpStatusNotSolved, pulp.LpSolutionNoSolutionFound): Verdict.NOTHING,
}


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
    """A model in PuLP, to be solved as it is or relaxed, and again with more rows.

    CBC's answers come as text with eight digits: good enough for x and for its bound, seldom for prices that prove.
    """

    def __init__(self, model: Model, settings: Settings) -> None:
        self.model = model
        self.settings = settings
        self.lp = pulp.LpProblem("alignment", pulp.LpMinimize)
        lowest = enumerate(model.forced.astype(int).tolist())
        pairs = [self.lp.add_variable(f"x{k}", low, 1, pulp.LpInteger) for k, low in lowest]
        missed = [self.lp.add_variable(f"m{k}", 0, None) for k in range(len(model.cost) - len(pairs))]
        self.columns = pairs + missed
        self.lp += pulp.LpAffineExpression(list(zip(self.columns, model.cost.tolist(), strict=True)))
        self.constraints: list[pulp.LpConstraint] = []
        self.contradicted = False
        for row in model.rows:
            self.add(row)

    def add(self, row: Row) -> None:
        """Add a row; one without columns only tells whether there can be any solution."""
        self.contradicted |= not len(row.columns) and not row.holds_empty
        terms = [(self.columns[k], c) for k, c in zip(row.columns.tolist(), row.coefficients.tolist(), strict=True)]
        constraint = pulp.LpConstraint(pulp.LpAffineExpression(terms), int(row.sense), rhs=row.bound)
        self.constraints.append(constraint)
        if terms:
            self.lp.addConstraint(constraint, f"r{len(self.constraints)}")

    def solve(self, *, relaxed: bool, seconds: float) -> Outcome:
        """Run the back end."""
        num_pairs, num_experts = self.model.num_pairs, len(self.model.load_unit)
        backend = self.settings.backend
        if self.contradicted:
            return Outcome(Verdict.INFEASIBLE, np.zeros(num_pairs), math.inf, np.zeros(num_experts), backend)
        if not self.columns:
            return Outcome(Verdict.OPTIMAL, np.zeros(0), 0.0, np.zeros(num_experts), backend)
        run = self._run_highs if backend == "highs" else self._run_cbc
        started = time.monotonic()
        bound = run(relaxed, seconds)
        early = time.monotonic() - started < seconds / 2
        verdict = STATUS_MAP.get((self.lp.status, self.lp.sol_status))
        if backend == "highs" and early and verdict in {None, Verdict.NOTHING}:
            # HiGHS gives up on some small programs with costs of very different sizes (kSolveError); CBC does not.
            backend = "cbc"
            bound = self._run_cbc(relaxed, seconds)
            verdict = STATUS_MAP.get((self.lp.status, self.lp.sol_status))
        if verdict is None or (verdict is Verdict.NOTHING and early):
            told = f"{pulp.LpStatus.get(self.lp.status)}, {pulp.LpSolution.get(self.lp.sol_status)}"
            raise SolveError(f"ilp: {backend} ended with status {told}")
        x = np.array([column.varValue or 0.0 for column in self.columns[:num_pairs]])
        if verdict is Verdict.OPTIMAL and (relaxed or self.settings.gap == 0.0):
            bound = self.lp.objective.value()
        bound = -bound * self.model.cost_unit
        return Outcome(verdict, x, bound if math.isfinite(bound) else math.inf, self._prices(), backend)

    def _prices(self) -> FloatArray:
        """Duals of the experts' rows, unscaled. Minimising, a binding capacity has a dual ≤ 0, and its price is ≥ 0."""
        prices = np.zeros(len(self.model.load_unit))
        for k, j in self.model.expert_rows.items():
            prices[j] -= (self.constraints[k].pi or 0.0) * self.model.cost_unit / self.model.load_unit[j]
        return prices

    @property
    def _has_misses(self) -> bool:
        """Whether there are columns for missed bounds.

        Where a row has one for what is short and the same row again one for what is over, the presolve of HiGHS 1.14
        calls integer programs solved at the wrong optimum (Σx + short ≥ 2 beside Σx − over ≤ 1, at 10 and 1 a unit).
        """
        return len(self.columns) > self.model.num_pairs

    def _run_highs(self, relaxed: bool, seconds: float) -> float:
        solver = pulp.HiGHS(
            mip=not relaxed,
            msg=self.settings.msg,
            gapAbs=0.0,
            gapRel=self.settings.gap,
            threads=1,
            timeLimit=seconds if math.isfinite(seconds) else None,
            parallel="off",
            random_seed=self.settings.seed % 2**31,
            presolve="off" if self._has_misses and not relaxed else "choose",
        )
        self.lp.solve(solver)
        if relaxed:
            return -math.inf
        bound: float = self.lp.solverModel.getInfo().mip_dual_bound
        return bound

    def _run_cbc(self, relaxed: bool, seconds: float) -> float:
        log = self.settings.folder / "cbc.log"
        seed = self.settings.seed % 2**31
        limit: dict[str, Any] = {"timeLimit": max(seconds, 0.0)} if math.isfinite(seconds) else {}
        solver = pulp.COIN_CMD(
            path=pulp.PULP_CBC_CMD.pulp_cbc_path,
            mip=not relaxed,
            msg=False,
            gapAbs=0.0,
            gapRel=self.settings.gap,
            threads=None,
            logPath=str(log),
            options=[
                f"primalTolerance {CBC_TOLERANCE}",
                f"dualTolerance {CBC_TOLERANCE}",
                f"integerTolerance {CBC_TOLERANCE}",
                f"increment {CBC_TOLERANCE}",
                f"randomSeed {seed}",
                f"randomCbcSeed {seed}",
            ],
            **limit,
        )
        solver.tmpDir = str(self.settings.folder)
        self.lp.solve(solver)
        told = log.read_text()
        if self.settings.msg:
            print(told)
        found = re.findall(r"^Lower bound:\s+(\S+)", told, flags=re.MULTILINE)
        return -math.inf if relaxed or not found else float(found[-1]) - CBC_DIGITS

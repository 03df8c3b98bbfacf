"""CBC through PuLP: one Python object for each column, and communication by files.

CBC's answers are text with eight digits. This precision is enough for the columns and the bound, but seldom for prices
that prove optimality. CBC runs on one thread, because its answer depends on the number of threads.
"""

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pulp

from alignsolve.solvers.common.integer_program import Reply
from alignsolve.solvers.common.sparse_rows import SparseRows
from alignsolve.solvers.ilp.model import Model

TOLERANCE = 1e-9
"""Absolute tolerance of rows, reduced costs and integrality: the smallest with which CBC works well."""
DIGITS = 1e-3
"""CBC prints its bound with three decimals; the bound is lowered by this."""


class Cbc:
    """A model in PuLP that can be solved, as it is or relaxed, and solved again after rows were added."""

    def __init__(self, model: Model, folder: Path) -> None:
        self.folder = folder
        self.lp = pulp.LpProblem("alignment", pulp.LpMinimize)
        lowest = enumerate(model.forced.astype(int).tolist())
        pairs = [self.lp.add_variable(f"x{k}", low, 1, pulp.LpInteger) for k, low in lowest]
        openings = [self.lp.add_variable(f"o{k}", 0, 1, pulp.LpInteger) for k in range(model.num_openings)]
        missed = [self.lp.add_variable(f"m{k}", 0, None) for k in range(len(model.cost) - model.num_whole)]
        self.columns = pairs + openings + missed
        self.lp += pulp.LpAffineExpression(list(zip(self.columns, model.cost.tolist(), strict=True)))
        self.constraints: list[pulp.LpConstraint] = []

    def add(self, rows: SparseRows) -> None:
        """Add rows, each with at least one column."""
        for row in rows:
            columns = [self.columns[k] for k in row.columns.tolist()]
            terms = pulp.LpAffineExpression(list(zip(columns, row.coefficients.tolist(), strict=True)))
            constraint = pulp.LpConstraint(terms, int(row.sense), rhs=row.bound)
            self.constraints.append(constraint)
            self.lp.addConstraint(constraint, f"r{len(self.constraints)}")

    def solve(self, *, relaxed: bool, seconds: float, gap: float, seed: int, show: bool) -> Reply:
        """Solve; ``show`` prints CBC's log.

        The reply's status is the pair of PuLP's status and solution status. The status alone is not enough: PuLP calls
        an unproven incumbent "Optimal" too.
        """
        log = self.folder / "cbc.log"
        limit: dict[str, Any] = {"timeLimit": max(seconds, 0.0)} if math.isfinite(seconds) else {}
        solver = pulp.COIN_CMD(
            path=pulp.PULP_CBC_CMD.pulp_cbc_path,
            mip=not relaxed,
            msg=False,
            gapAbs=0.0,
            gapRel=gap,
            threads=None,
            logPath=str(log),
            options=[
                f"primalTolerance {TOLERANCE}",
                f"dualTolerance {TOLERANCE}",
                f"integerTolerance {TOLERANCE}",
                f"increment {TOLERANCE}",
                f"randomSeed {seed % 2**31}",
                f"randomCbcSeed {seed % 2**31}",
            ],
            **limit,
        )
        # Run CBC in the given folder.
        solver.tmpDir = str(self.folder)
        self.lp.solve(solver)
        log_text = log.read_text()
        if show:
            print(log_text)
        # PuLP does not return CBC's bound, so it is read from the log.
        found = re.findall(r"^Lower bound:\s+(\S+)", log_text, flags=re.MULTILINE)
        return Reply(
            status=(self.lp.status, self.lp.sol_status),
            told=f"{pulp.LpStatus.get(self.lp.status)}, {pulp.LpSolution.get(self.lp.sol_status)}",
            feasible=self.lp.sol_status in {pulp.LpSolutionOptimal, pulp.LpSolutionIntegerFeasible},
            values=np.array([column.varValue or 0.0 for column in self.columns]),
            duals=np.array([constraint.pi or 0.0 for constraint in self.constraints]),
            bound=-math.inf if relaxed or not found else float(found[-1]) - DIGITS,
        )

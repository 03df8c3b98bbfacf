"""The linear relaxation by HiGHS as a solver of its own: it returns prices, and ``solve()`` computes their bound.

Where clients have budgets that few items fill, these prices are often better than those that a search finds in the
same time. The alignment of the warm start is passed on.
"""

import math
import time
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from alignsolve import AlignmentProblem, Answer, Capabilities
from alignsolve.solver import EVERYTHING, ProgressHook, WarmStart
from benchmarks.peers.highs import pass_program
from problems.linear import linear_program


@dataclass(frozen=True)
class Relaxed:
    """Prices of the linear relaxation; see :mod:`benchmarks.references`."""

    capabilities: ClassVar[Capabilities] = Capabilities(takes=EVERYTHING)

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
        """Solve the relaxation until the deadline; prices of a simplex that was stopped are prices, too."""
        import highspy  # noqa: PLC0415

        program = linear_program(problem)
        highs = highspy.Highs()
        highs.silent()
        pass_program(highs, program, np.zeros_like(program.integral))
        if math.isfinite(deadline):
            highs.setOptionValue("time_limit", max(deadline - time.monotonic(), 0.0))
        highs.run()
        solution = highs.getSolution()
        prices = np.asarray(solution.row_dual)[program.expert_rows] if solution.dual_valid else None
        told = highs.modelStatusToString(highs.getModelStatus())
        return Answer(warm_start.alignment, prices, stats={"relaxation": told})

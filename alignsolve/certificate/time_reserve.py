"""What of a time limit is kept back for checking the answer, which counts against the limit like everything else."""

import time
from collections.abc import Callable

import numpy as np

from alignsolve.certificate.evaluate import rows_are_compiled, sums_are_compiled
from alignsolve.data.alignment import Alignment
from alignsolve.data.blocks import ClientBlock, block_rows
from alignsolve.numerics import FloatArray
from alignsolve.problem import AlignmentProblem
from alignsolve.runtime.threads import available_threads
from alignsolve.subproblem.row import RowOptima, best_rows

NEGLIGIBLE = 1 << 15
"""Pairs up to which checking takes a few milliseconds."""
TIMED_KNAPSACKS = 256
"""Clients that are timed where each of them is a knapsack; else a block of them."""
AS_MUCH_AGAIN = 2.0
"""Violations, objective and loads take about as long as the bound, and other prices may take longer than 0."""
LARGEST_SHARE = 0.25
"""Share of the limit that is kept back at most: an answer is worth more than a low bound, and what has not been bounded
by then is bounded more cheaply."""


def prepare_checks(problem: AlignmentProblem) -> None:
    """Compile what checking needs, on one client."""
    if not problem.num_clients or not problem.num_experts:
        return
    block = problem.block(0, 1)
    best_rows(block, np.zeros(problem.num_experts))
    if sums_are_compiled(problem):
        from alignsolve.subproblem.row_compiled import selected_sums  # noqa: PLC0415  (loads numba)

        nobody = Alignment.from_pairs([], [], 1)
        selected_sums(block, nobody.indptr, nobody.experts)
    if rows_are_compiled(problem):
        from alignsolve.subproblem.row_compiled import best_rows_compiled, summed  # noqa: PLC0415  (loads numba)

        best_rows_compiled(block, np.zeros(problem.num_experts))
        summed(np.zeros(1))


def checking_seconds(problem: AlignmentProblem, limit: float, threads: int | None) -> float:
    """Estimate what checking an answer takes, from the first clients; at most a share of the limit."""
    if problem.num_clients * problem.num_experts <= NEGLIGIBLE:
        return 0.0
    knapsacks = problem.client_budget is not None
    rows = min(problem.num_clients, TIMED_KNAPSACKS if knapsacks else block_rows(problem.num_experts))
    optimise: Callable[[ClientBlock, FloatArray], RowOptima] = best_rows
    if rows_are_compiled(problem):
        from alignsolve.subproblem.row_compiled import best_rows_compiled  # noqa: PLC0415  (loads numba)

        optimise = best_rows_compiled
    block = problem.block(0, rows)
    started = time.perf_counter()
    optimise(block, np.zeros(problem.num_experts))
    seconds = (time.perf_counter() - started) * problem.num_clients / rows
    if knapsacks:
        seconds /= min(2, available_threads(threads))
    return min(AS_MUCH_AGAIN * seconds, LARGEST_SHARE * limit)

"""The part of a time limit that is kept back for checking the answer: the check counts against the limit too."""

import math
import time
from dataclasses import replace

import numpy as np

from alignsolve.certificate.bound import adder
from alignsolve.certificate.worth import sums_are_compiled
from alignsolve.data.alignment import Alignment
from alignsolve.data.blocks import RowBlocks
from alignsolve.data.problem_view import ProblemView
from alignsolve.runtime.threads import available_threads
from alignsolve.subproblem.dispatch import relaxed_rows, row_engine

NEGLIGIBLE = 1 << 15
"""Pairs up to which checking takes a few milliseconds."""
TIMED_KNAPSACKS = 256
"""Clients that are timed where each of them is a knapsack; otherwise a block is timed."""
AS_MUCH_AGAIN = 2.0
"""Factor on the time of a bound at prices 0: violations, objective and loads take about as long again, and a bound at
other prices may take longer."""
TO_STOP = 0.1
"""Seconds for a search to come to its end, where clients have budgets: a bound that comes too late is without these."""
LARGEST_SHARE = 0.25
"""Largest share of the limit that is kept back: an answer is worth more than a low bound, and clients that are not
bounded by then are bounded more cheaply."""
READS = 2
"""Times that the check reads the fitness: for the objective, and for the bound."""


def prepare_checks(problem: ProblemView) -> None:
    """Compile what checking needs, on one client."""
    if not problem.num_clients or not problem.num_experts:
        return
    block, engine = problem.block(0, 1), row_engine(problem)
    if block.budget is not None:
        # A knapsack whose demands bind may take a second, which is no time for compiling.
        freed = None if block.group_demand is None else np.zeros_like(block.group_demand)
        block = replace(block, demand=np.zeros_like(block.demand), group_demand=freed)
        relaxed_rows(block, np.zeros(problem.num_experts))
        if block.group is not None and block.load is None:
            # Clients whose turn comes far too late are taken without their budgets.
            from alignsolve.subproblem.row_compiled import best_rows_compiled  # noqa: PLC0415  (loads numba)

            best_rows_compiled(replace(block, budget=None, cost=None), np.zeros(problem.num_experts))
    adder(problem, engine)(engine.optimise(block, np.zeros(problem.num_experts)).value)
    if sums_are_compiled(problem):
        from alignsolve.certificate.sums_compiled import selected_sums  # noqa: PLC0415  (loads numba)

        nobody = Alignment.from_pairs([], [], 1)
        selected_sums(block, nobody.indptr, nobody.experts)


def checking_seconds(problem: ProblemView, limit: float, threads: int | None) -> float:
    """Estimate what checking an answer takes, from the first clients; at most a share of the limit, and the reading.

    Fitness that is read in blocks is read twice by the check, and without that an answer is worth nothing.
    """
    read_in_blocks = isinstance(problem.fitness, RowBlocks)
    if problem.num_clients * problem.num_experts <= NEGLIGIBLE and not read_in_blocks:
        return 0.0
    started = time.perf_counter()
    block = next(problem.blocks())
    reading = READS * (time.perf_counter() - started) * math.ceil(problem.num_clients / block.num_clients)
    knapsacks = problem.client_budget is not None
    engine, most = row_engine(problem), LARGEST_SHARE * limit
    shared = min(2, available_threads(threads)) if knapsacks else 1
    started, timed = time.perf_counter(), 0
    last = min(TIMED_KNAPSACKS, block.num_clients) if knapsacks else block.num_clients
    while timed < last:
        # One knapsack may take a second: so one at first, then twice as many, until the share is reached in any case.
        more = min(timed + 1, last - timed) if knapsacks else last
        engine.optimise(block.pick(slice(timed, timed + more)), np.zeros(problem.num_experts))
        timed += more
        spent = time.perf_counter() - started
        seconds = AS_MUCH_AGAIN * spent * problem.num_clients / (timed * shared)
        if AS_MUCH_AGAIN * spent >= most:
            break
    return min(seconds + TO_STOP * knapsacks, most) + reading * read_in_blocks

"""Completing the rows that greed left short of their own demands: each optimally, whatever load the experts get."""

import numpy as np

from alignsolve.numerics import IntArray
from alignsolve.problem import AlignmentProblem
from alignsolve.runtime.interruptible import late
from alignsolve.solvers.greedy.state import FIXED, HELD, SHUT, State, choose, recount
from alignsolve.subproblem.dispatch import best_rows

ROUNDS = 32
"""Rows are completed in at most this number of portions; each portion sees the loads of those before."""


def complete_rows(problem: AlignmentProblem, state: State, deadline: float) -> bool:
    """Give every client that lacks experts a complete row; whether all have one, which only the deadline can prevent.

    A row prefers the experts that it holds, then experts that have room for it, then value.
    """
    lacking = state.lacking
    for portion in np.array_split(lacking, min(ROUNDS, max(1, len(lacking)))):
        if late(deadline):
            return False
        _complete(problem, state, portion)
    if len(lacking):
        recount(state)
    return True


def _complete(problem: AlignmentProblem, state: State, clients: IntArray) -> None:
    """Complete the rows of some clients."""
    block = problem.block(0, problem.num_clients).pick(clients)
    status = state.status[clients]
    value = np.where(status == SHUT, 0.0, state.value[clients])
    value /= max(float(np.abs(value).max(initial=0.0)), float(np.finfo(np.float64).tiny))
    load = state.load[clients] if state.load.size else 1.0
    held = (status == HELD) | (status == FIXED)
    full = ~held & (state.loads + load > state.most)
    # No sum of values, now within −1..1, matters as much.
    outweighs = 2.0 * problem.num_experts
    preferred = value + outweighs * held - outweighs * full
    optima = best_rows(block.valued(preferred), np.zeros(problem.num_experts), choose=True)
    assert optima.chosen is not None
    choose(state, clients, optima.chosen)

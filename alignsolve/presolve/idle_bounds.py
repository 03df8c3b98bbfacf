"""Capacities of experts that all eligible clients together cannot exceed become unbounded.

This changes little by itself. But loads of an expert without bounds need not be counts, and such an expert couples no
clients.
"""

import numpy as np

from alignsolve.numerics import EPSILON, FloatArray, slack
from alignsolve.presolve.reduction import Reduction, Rewritten, able, changed, portions
from alignsolve.problem import AlignmentProblem


def drop_idle_bounds(problem: AlignmentProblem) -> Reduction | None:
    """Drop the capacities that never bind; None if there are none."""
    if np.isinf(problem.expert_capacity).all():
        return None
    bounds = problem.experts
    load = largest_loads(problem)
    hard = bounds.hard_capacity & ~(load - bounds.most > slack(bounds.most, load))
    soft = np.isfinite(bounds.overload) & (load <= bounds.capacity)
    idle = np.isfinite(bounds.capacity) & (hard | soft)
    if not idle.any():
        return None
    return Rewritten(
        changed(problem, expert_capacity=np.where(idle, np.inf, bounds.capacity)),
        f"{int(idle.sum())} expert capacities never bind",
        unit=np.where(idle & (bounds.demand == 0), 0.0, 1.0),
        unbounded=idle,
    )


def largest_loads(problem: AlignmentProblem) -> FloatArray:
    """The load of each expert if it takes every eligible client, (num_experts,), or a rounding more."""
    n, e = problem.shape
    if problem.client_load is None:
        return np.full(e, float(n)) if problem.eligible is None else problem.eligible.sum(axis=0).astype(np.float64)
    load = np.zeros(e)
    for rows in portions(problem):
        load += np.where(able(problem, rows), problem.client_load[rows], 0.0).sum(axis=0)
    rounded: FloatArray = load * (1.0 + 2.0 * n * EPSILON)
    return rounded

"""``gap``: generalised assignment with few experts, each client on one at most. solver.py tells the story."""

from alignsolve.solvers.lagrangian.gap.instance import assignment_like
from alignsolve.solvers.lagrangian.gap.solver import prepare_gap, solve_gap

__all__ = ["assignment_like", "prepare_gap", "solve_gap"]

"""``gap``: generalised assignment with few experts, every client on exactly (or at most) one. solver.py tells the story."""

from alignsolve.solvers.lagrangian.gap.instance import assignment_like
from alignsolve.solvers.lagrangian.gap.solver import solve_gap

__all__ = ["assignment_like", "solve_gap"]

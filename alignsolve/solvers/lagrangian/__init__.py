"""``lagrangian``: prices, repair, exchanges, and a small integer program, for the general class. See solver.py."""

from alignsolve.solvers.lagrangian.solver import Lagrangian

__all__ = ["Lagrangian"]

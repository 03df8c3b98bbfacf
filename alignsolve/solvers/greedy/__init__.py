"""Greedy construction by gain or by regret, then repair; solver.py tells how.

The front door, ``auto`` and the exact solvers (for an incumbent) call it; ``lagrangian`` shares its state. It may
import solvers/common and what lies below the solvers, and no other solver.
"""

from alignsolve.solvers.greedy.solver import Greedy, Regret

__all__ = ["Greedy", "Regret"]

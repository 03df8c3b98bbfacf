"""``lagrangian``: prices, repair, chains of moves and a small integer program, for the general class; see solver.py.

The front door and ``auto`` call it. It may import solvers/common, ``greedy``, ``generalised_assignment`` and ``ilp``,
and what lies below the solvers.
"""

from alignsolve.solvers.lagrangian.solver import Lagrangian

__all__ = ["Lagrangian"]

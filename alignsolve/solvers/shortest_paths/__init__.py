"""``augment``: shortest augmenting paths with duals, for one-to-one problems and nearly so (see solver.py).

The front door and ``auto`` call it. It may import solvers/common and what lies below the solvers, and no other
solver.
"""

from alignsolve.solvers.shortest_paths.solver import Augment

__all__ = ["Augment"]

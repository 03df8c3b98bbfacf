"""``price``: the exact solver of the cardinality class, which searches one price for each expert (see solver.py).

The front door and ``auto`` call it. It may import solvers/common and what lies below the solvers, and no other
solver.
"""

from alignsolve.solvers.price.solver import Price

__all__ = ["Price"]

"""``cpsat``: OR-Tools CP-SAT on whole numbers. solver.py describes the algorithm; the other files are its steps.

The front door calls it.
It imports what lies below the solvers, ``solvers/common``, and the model and the cover cuts of ``ilp``.
"""

from alignsolve.solvers.cpsat.solver import CpSat

__all__ = ["CpSat"]

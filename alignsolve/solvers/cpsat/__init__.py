"""OR-Tools CP-SAT on whole numbers; :mod:`.solver` tells how."""

from alignsolve.solvers.cpsat.solver import CpSat

__all__ = ["CpSat"]

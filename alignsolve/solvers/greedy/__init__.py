"""Greedy construction by gain or by regret, repaired; :mod:`.solver` tells how."""

from alignsolve.solvers.greedy.solver import Greedy, Regret

__all__ = ["Greedy", "Regret"]

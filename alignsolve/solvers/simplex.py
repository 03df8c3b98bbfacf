"""The earlier module of ``networkx``'s solver, kept for programs that import it from here."""

from alignsolve.solvers.network_simplex import NetworkX

__all__ = ["NetworkX"]

"""``price``: the exact solver of the cardinality class, built on the fact that its dual has one variable an expert."""

from alignsolve.solvers.price.solver import Price

__all__ = ["Price"]

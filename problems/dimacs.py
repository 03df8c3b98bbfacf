"""DIMACS files: the reader of :mod:`alignsolve.io.dimacs`, beside the families."""

from alignsolve.io.dimacs import read

__all__ = ["read"]

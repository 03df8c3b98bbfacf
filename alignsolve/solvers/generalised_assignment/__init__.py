"""Generalised assignment with few experts, each client on one at most; solver.py tells how its parts work together.

``lagrangian`` calls it for problems of this kind. It imports what lies below the solvers, and ``ilp``.
"""

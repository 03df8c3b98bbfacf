"""Generalised assignment with few experts, at most one for each client; solver.py tells how the parts work together.

``lagrangian`` calls it for problems of this kind, and so does the benchmark of these problems. It may import what
lies below the solvers, solvers/common, and ``ilp``.
"""

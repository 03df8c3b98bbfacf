"""Methods that several solvers share: samples, the level method, the residual graph, the elastic problem, warming up.

Solvers and :mod:`alignsolve.diagnose` call them. They import what lies below the solvers, and no solver.
"""

"""Methods that several solvers share.

For prices: samples, the level method. For flows: the residual graph, the elastic problem. For integer programs: their
rows and their size. For all: work that is stopped at a deadline, warming up.

Solvers and :mod:`alignsolve.diagnose` call them. They import what lies below the solvers, and no solver.
"""

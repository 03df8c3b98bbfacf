"""What several solvers share: samples, the incumbent, prices by the level method, the residual graph, warming up.

Solvers and :mod:`alignsolve.diagnose` call it. It imports what lies below the solvers.
"""

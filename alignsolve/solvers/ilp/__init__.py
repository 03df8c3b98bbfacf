"""``ilp``: integer programming by HiGHS or CBC. solver.py describes the algorithm; the other files are its steps.

The front door, ``auto``, ``lagrangian``, ``cpsat`` and :mod:`alignsolve.diagnose` call it.
It imports what lies below the solvers, and ``solvers/common``.
"""

"""What the commands of ``alignsolve`` need beside the library: what they print, a made example, races of solvers.

:mod:`alignsolve.cli` calls it, and benchmarks calls the race. It imports problem, solution, front, diagnose and io.
"""

"""How the package runs: how it compiles, its threads, and child processes that can be stopped.

Everybody may call it. It imports :mod:`alignsolve.numerics` at most.
"""

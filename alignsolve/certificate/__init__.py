"""What decides: objective, violations, bound and witness, recomputed from the problem's own data.

The front door, the diagnosis and the solvers call it. It imports data, subproblem and runtime, and never a solver.
"""

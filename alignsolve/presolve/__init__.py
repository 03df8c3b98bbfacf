"""Presolve: a simpler problem with the same optimum, and the way back for its answer and its warm start.

Each reduction is one file with one function: ``reduce(problem)`` returns a :class:`.reduction.Reduction`, or None where
there is nothing to simplify. :mod:`.pipeline` applies them in order, and then solves apart what falls apart.

The front door calls it. It imports problem, solver, certificate, data, numerics and runtime, and never a solver.
"""

"""What decides: worth, violations, bound and witness, recomputed from the problem's own data; judge and verify on top.

The front door, the diagnosis and the solvers call it. It imports data, subproblem and runtime, and knows a problem by
its view; judge and verify import problem, solution and solver too. It never imports a solver or the front door.
"""

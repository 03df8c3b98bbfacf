"""Branch and bound on expert prices, for few experts: the best alignment and a tree that proves it.

``solver.py`` is the way in, ``search.py`` tells the algorithm, ``node.py`` is its compiled core, and ``choices.py``
lists what each client may choose. It may import all rooms below the solvers, and ``greedy``.
"""

from alignsolve.solvers.branch.solver import Branch

__all__ = ["Branch"]

"""``budgets``: near-optimal, where experts are many and clients have budgets: rates on budgets, a flow for the rest.

``solver`` tells the whole search. It may import ``solvers/common``, ``greedy``, ``sift``, and the rooms below the
solvers; the front door and ``auto`` call it.
"""

from alignsolve.solvers.budgets.solver import Budgets

__all__ = ["Budgets"]

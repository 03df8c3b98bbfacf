"""``sift``: exact, for the cardinality class where experts are many: a min-cost flow on the promising pairs.

``solver`` tells the whole search. It may import ``solvers/common`` and the rooms below the solvers; the front door and
``auto`` call it.
"""

from alignsolve.solvers.sift.solver import Sift

__all__ = ["Sift"]

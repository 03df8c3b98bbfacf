"""Many identical clients as one row with a count.

``solve`` has the one function. The room may import the certificate, ``solvers/flow`` and what lies below; the package's
root offers its names.
"""

from alignsolve.client_types.solve import TypeSolution, solve_types

__all__ = ["TypeSolution", "solve_types"]

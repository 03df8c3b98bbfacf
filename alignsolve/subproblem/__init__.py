"""One client's own problem at given prices, solved exactly: in plain NumPy, compiled, and as a knapsack with budgets.

The certificate, the solvers and the diagnosis call it through :mod:`.dispatch`; compiled code calls its parts. It
imports data, runtime and numerics.
"""

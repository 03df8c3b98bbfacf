"""How this package compiles: cached on disk, without Python's lock; inner functions without a door to Python.

Whatever is compiled takes one of these decorators. Only what Python itself calls is a ``kernel``: to call another from
Python ends the process, so a test of the architecture looks for such calls.
"""

import numba

kernel = numba.njit(cache=True, nogil=True)
"""For functions that Python calls."""

INNER = {"nogil": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
inner = numba.njit(cache=True, **INNER)
"""For functions that only compiled code calls: half of the time to compile a small one goes into its door to Python."""

within = numba.njit(cache=True, forceinline=True, **INNER)
"""For inner functions so short that calling them takes longer than they do."""

part = numba.njit(inline="always", nogil=True)
"""For inner functions with one caller that call others: compiled within it, where they would be compiled twice."""

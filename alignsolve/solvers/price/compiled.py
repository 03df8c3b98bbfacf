"""How this package compiles: cached on disk, without Python's lock; inner functions without a door to Python."""

import numba

kernel = numba.njit(cache=True, nogil=True)
"""For functions that Python calls."""

INNER = {"nogil": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
inner = numba.njit(cache=True, **INNER)
"""For functions that only kernels call: half of the time to compile one goes into its door to Python."""

part = numba.njit(inline="always", nogil=True)
"""For inner functions with one caller that call others: compiled within it, where they would be compiled twice."""

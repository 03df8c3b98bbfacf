# mypy: allow-untyped-decorators
"""How this package compiles: cached on disk, without Python's lock; inner functions without a door to Python.

Whatever is compiled takes one of these decorators. Only what Python itself calls is a ``kernel``: to call another from
Python ends the process, so a test of the architecture looks for such calls.

Compiled code takes no None: numba would compile every function once more for it. An array that a problem does not
have (no loads, say, or nothing required) is one without rows, made by :func:`absent`; compiled code asks
:func:`present`. What is counted, groups or resources, has an axis of length 0 where there are none.
"""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

kernel = numba.njit(cache=True, nogil=True)
"""For functions that Python calls."""

INNER = {"nogil": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
inner = numba.njit(cache=True, **INNER)
"""For functions that only compiled code calls: half of the time to compile a small one goes into its door to Python."""

within = numba.njit(cache=True, forceinline=True, **INNER)
"""For inner functions so short that calling them takes longer than they do."""

part = numba.njit(inline="always", nogil=True)
"""For inner functions with one caller that call others: compiled within it, where they would be compiled twice."""


def absent(dtype: npt.DTypeLike, ndim: int = 2) -> npt.NDArray[Any]:
    """Make what stands for an array that a problem does not have: one without rows, of the type that is read."""
    return np.zeros((0,) * ndim, dtype=dtype)


@within
def present(array: Any) -> bool:
    """Whether a problem has this array; for compiled code."""
    return len(array) > 0

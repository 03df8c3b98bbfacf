# mypy: allow-untyped-decorators
"""How this package compiles: cached on disk, without Python's lock; inner functions without a door to Python.

Whatever is compiled takes one of these decorators. Only what Python itself calls is a ``kernel``: to call another from
Python ends the process, so a test of the architecture looks for such calls.

Where the cache cannot be read or written (a read-only installation without a home, a full disk), functions are compiled
without it, in every process anew. A warning says so once.

Compiled code takes no None: numba would compile every function once more for it. An array that a problem does not
have (no loads, say, or nothing required) is one without rows, made by :func:`absent`; compiled code asks
:func:`present`. What is counted, groups or resources, has an axis of length 0 where there are none.
"""

import pickle
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from numba.core.caching import FunctionCache


def _on_disk(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Decorate like ``numba.njit(cache=True, …)``, but compile without a cache where there is no place for one."""

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = numba.njit(**options)(function)
        if dispatcher is function:  # the compiler is switched off
            return function
        try:
            dispatcher._cache = _Cache(function)
        except RuntimeError as error:
            if "no locator available" not in str(error):
                raise
            _warn()
        return dispatcher

    return decorate


UNREADABLE = (ImportError, AttributeError, pickle.UnpicklingError, EOFError)
"""Errors of numba's loader where the cache was written by another version, of which a module or a type has moved."""


class _Cache(FunctionCache):  # type: ignore[misc]  # numba has no types
    """Numba's cache of one function.

    After an error of the file system it is switched off. What an earlier version left is emptied and written anew.
    """

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return what the cache holds for these types; None if that is nothing or cannot be read."""
        try:
            return super().load_overload(sig, target_context)
        except UNREADABLE:
            self._empty()
        except OSError:
            self._give_up()
        return None

    def _empty(self) -> None:
        try:
            self.flush()
        except OSError:
            self._give_up()

    def save_overload(self, sig: Any, data: Any) -> None:
        """Write what was compiled, if that is possible."""
        try:
            super().save_overload(sig, data)
        except OSError:
            self._give_up()

    def _give_up(self) -> None:
        self.disable()
        _warn()


@cache
def _warn() -> None:
    """Tell once per process."""
    warnings.warn(
        "compiled code cannot be kept on disk, so every process compiles anew: "
        "set NUMBA_CACHE_DIR to a folder that can be written",
        stacklevel=3,
    )


kernel = _on_disk(nogil=True)
"""For functions that Python calls."""

INNER = {"nogil": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
inner = _on_disk(**INNER)
"""For functions that only compiled code calls: half of the time to compile a small one goes into its door to Python."""

within = _on_disk(forceinline=True, **INNER)
"""For inner functions so short that the call would take longer than the function."""

part = numba.njit(inline="always", nogil=True)
"""For inner functions with one caller that call others: compiled within it, where they would be compiled twice."""


def absent(dtype: npt.DTypeLike, ndim: int = 2) -> npt.NDArray[Any]:
    """Make what stands for an array that a problem does not have: one without rows, of the type that is read."""
    return np.zeros((0,) * ndim, dtype=dtype)


@within
def present(array: Any) -> bool:
    """Whether a problem has this array; for compiled code."""
    return len(array) > 0

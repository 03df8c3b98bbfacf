"""Checks of estimators' parameters and of cohorts. Every error names the value and the allowed values."""

from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt

from alignsolve.numerics import IntArray


def between(field: str, value: float, low: float, high: float) -> None:
    """Refuse a number that is not between ``low`` and ``high``; both are allowed."""
    if not low <= value <= high:
        raise ValueError(f"{field} is {value}; it must lie between {low:g} and {high:g}")


def weight(field: str, value: float) -> None:
    """Refuse a number that is not above 0 and at most 1."""
    if not 0 < value <= 1:
        raise ValueError(f"{field} is {value}; it must be above 0 and at most 1")


def positive(field: str, value: float) -> None:
    """Refuse a number that is not above 0 and finite."""
    if not 0 < value < np.inf:
        raise ValueError(f"{field} is {value}; it must be above 0 and finite")


def amount(field: str, value: float) -> None:
    """Refuse a number that is negative or not finite."""
    if not 0 <= value < np.inf:
        raise ValueError(f"{field} is {value}; it must be finite and 0 or more")


def whole(field: str, value: Any, least: int = 0) -> None:
    """Refuse a value that is not a whole number of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{field} is {value!r}; it must be a whole number, {least} or more")


def choice(field: str, value: Any, choices: Collection[str]) -> None:
    """Refuse a value that is not one of the choices."""
    if value not in choices:
        raise ValueError(f"{field} is {value!r}; it must be {' or '.join(repr(one) for one in choices)}")


def cohort(given: npt.ArrayLike, num_clients: int) -> IntArray:
    """Read a cohort: indices of clients, ascending and distinct; refuse any other."""
    clients = np.asarray(given)
    if clients.ndim != 1 or not len(clients):
        raise ValueError(f"cohort must be a list of at least one client index; its shape is {clients.shape}")
    if clients.dtype.kind not in "iu":
        raise ValueError(f"cohort must be integers, not {clients.dtype}")
    clients = clients.astype(np.int64)
    if clients.min() < 0 or clients.max() >= num_clients:
        raise ValueError(
            f"cohort names clients {clients.min()}..{clients.max()}, there are 0..{num_clients - 1}; "
            "state.grow makes room for clients that join"
        )
    unsorted = np.flatnonzero(np.diff(clients) <= 0)
    if len(unsorted):
        r = int(unsorted[0])
        raise ValueError(
            f"cohort must be ascending, each client once: client {clients[r + 1]} follows client {clients[r]}"
        )
    return clients

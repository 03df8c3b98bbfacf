"""Reads the loads that clients put on experts."""

from typing import Any

from alignsolve.data import validation
from alignsolve.numerics import BoolArray, FloatArray


def read_loads(given: Any, eligible: BoolArray | None, shape: tuple[int, int]) -> FloatArray | None:
    """Validate ``client_load``, (num_clients, num_experts) in the end; None where every eligible pair loads by 1.

    Parameters
    ----------
    given
        (num_clients,) or (num_clients, num_experts); None: all are 1.
    eligible
        (num_clients, num_experts) bools; None: all pairs are.
    shape
        (num_clients, num_experts).

    Raises
    ------
    ValueError
        If a load of an eligible pair is negative or no number, or the shape does not fit.
    """
    if given is None:
        return None
    axes, load = ("num_clients", "num_experts"), validation.numbers("client_load", given)
    if load.ndim == 1:
        validation.spread("client_load", load, shape[:1], axes[:1])
        load = load[:, None]
    load = validation.spread("client_load", load, shape, axes)
    load = validation.refuse_bad_amounts("client_load", load, axes, infinite=False, eligible=eligible)
    unit = load == 1.0 if eligible is None else (load == 1.0) | ~eligible
    return None if unit.all() else load

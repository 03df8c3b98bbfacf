"""Converts the state of any estimator to named arrays and back, for checkpoints."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Self, TypeVar, cast

import numpy as np
import numpy.typing as npt

T = TypeVar("T")
MANY_CLIENTS = 1 << 16
"""Clients that a state may name in any case: some estimators keep nothing of them."""


@dataclass(frozen=True)
class NoState:
    """The state of an estimator that learns nothing."""

    def grow(self, num_clients: int) -> Self:
        """Return the state itself: it holds nothing per client."""
        return self


def to_arrays(state: Any) -> dict[str, npt.NDArray[Any]]:
    """Return a state's arrays and numbers by dotted name; members of a tuple are named by their index.

    Examples
    --------
    >>> @dataclass(frozen=True)
    ... class Count:
    ...     rounds: int
    >>> to_arrays(Count(3))
    {'rounds': array(3)}
    """
    arrays: dict[str, npt.NDArray[Any]] = {}
    for name, value in _members(state):
        if is_dataclass(value) or isinstance(value, tuple):
            arrays |= {f"{name}.{inner}": array for inner, array in to_arrays(value).items()}
        else:
            arrays[name] = np.asarray(value)
    return arrays


def _members(state: Any) -> list[tuple[str, Any]]:
    """Return names and values of a state's fields, or of a tuple's members."""
    if isinstance(state, tuple):
        return [(str(k), member) for k, member in enumerate(state)]
    return [(field.name, getattr(state, field.name)) for field in fields(state)]


def from_arrays(like: T, arrays: Mapping[str, npt.NDArray[Any]], *, prefix: str = "") -> T:
    """Build a state from the arrays of :func:`to_arrays`; ``like`` is a state of the same structure and shapes.

    An axis of length 0 in ``like`` takes any length: some estimators learn the size of an update from the first report.

    Raises
    ------
    ValueError
        If an array is missing, unknown, or has another shape or type than that of ``like``.
    """
    if not prefix:
        unknown = sorted(set(arrays) - set(to_arrays(like)))
        if unknown:
            raise ValueError(f"the state holds {', '.join(unknown)}, which these estimators do not have")
    values: dict[str, Any] = {}
    for member, template in _members(like):
        name = prefix + member
        nested = is_dataclass(template) or isinstance(template, tuple)
        values[member] = from_arrays(template, arrays, prefix=f"{name}.") if nested else _one(name, template, arrays)
    return cast("T", tuple(values.values()) if isinstance(like, tuple) else type(like)(**values))


def whole(name: str, arrays: Mapping[str, npt.NDArray[Any]]) -> int:
    """Return a state's whole number, 0 or more."""
    if name not in arrays:
        raise ValueError(f"the state lacks {name}")
    array = np.asarray(arrays[name])
    if array.shape or array.dtype.kind not in "iu" or array < 0:
        raise ValueError(f"{name} is {array.dtype} {array.shape}, expected a whole number, 0 or more")
    return int(array)


def check_sizes(num_clients: int, num_experts: int, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Refuse sizes that the arrays do not bear out, before memory is taken for them.

    There is a price for each expert. States hold numbers for each client, or take no memory for them.
    """
    if "prices" not in arrays:
        raise ValueError("the state lacks prices")
    prices = np.asarray(arrays["prices"])
    if prices.shape != (num_experts,):
        raise ValueError(f"prices is {prices.dtype} {prices.shape}, expected one for each of {num_experts} experts")
    held = sum(np.size(array) for array in arrays.values())
    if num_clients > max(held, MANY_CLIENTS):
        raise ValueError(f"num_clients is {num_clients}, but the state holds only {held} numbers")


def _one(name: str, template: Any, arrays: Mapping[str, npt.NDArray[Any]]) -> Any:
    if name not in arrays:
        raise ValueError(f"the state lacks {name}")
    array, wanted = np.asarray(arrays[name]), np.asarray(template)
    fits = array.ndim == wanted.ndim and all(
        own in (0, one) for own, one in zip(wanted.shape, array.shape, strict=True)
    )
    # JSON does not tell the type of an array without numbers.
    if not fits or (array.size and array.dtype.kind != wanted.dtype.kind):
        raise ValueError(f"{name} is {array.dtype} {array.shape}, expected {wanted.dtype} {wanted.shape}")
    return array.astype(wanted.dtype, copy=False) if isinstance(template, np.ndarray) else array.item()

"""States as named arrays and back: what a checkpoint stores, for any estimator's state without its help."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar("T")


@dataclass(frozen=True)
class NoState:
    """The state of an estimator that learns nothing."""

    def grow(self, num_clients: int) -> Self:
        """Return itself: it holds nothing per client."""
        return self


def to_arrays(state: Any) -> dict[str, npt.NDArray[Any]]:
    """Take a state apart: its arrays and numbers by dotted name.

    Examples
    --------
    >>> @dataclass(frozen=True)
    ... class Count:
    ...     rounds: int
    >>> to_arrays(Count(3))
    {'rounds': array(3)}
    """
    arrays: dict[str, npt.NDArray[Any]] = {}
    for field in fields(state):
        value = getattr(state, field.name)
        if is_dataclass(value):
            arrays |= {f"{field.name}.{name}": array for name, array in to_arrays(value).items()}
        else:
            arrays[field.name] = np.asarray(value)
    return arrays


def from_arrays(like: T, arrays: Mapping[str, npt.NDArray[Any]], *, prefix: str = "") -> T:
    """Put a state together again from :func:`to_arrays`; ``like`` is a state of the same structure and shapes.

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
    for field in fields(like):  # type: ignore[arg-type]
        name, template = prefix + field.name, getattr(like, field.name)
        nested = is_dataclass(template)
        values[field.name] = (
            from_arrays(template, arrays, prefix=f"{name}.") if nested else _one(name, template, arrays)
        )
    return type(like)(**values)


def _one(name: str, template: Any, arrays: Mapping[str, npt.NDArray[Any]]) -> Any:
    if name not in arrays:
        raise ValueError(f"the state lacks {name}")
    array, wanted = np.asarray(arrays[name]), np.asarray(template)
    if array.shape != wanted.shape or array.dtype.kind != wanted.dtype.kind:
        raise ValueError(f"{name} is {array.dtype} {array.shape}, expected {wanted.dtype} {wanted.shape}")
    return array if isinstance(template, np.ndarray) else array.item()

"""The operations for slicing and merging weights, each for numpy arrays and torch tensors alike.

Torch is never imported here. If torch is not loaded yet, no value can be a torch tensor.
"""

import sys
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias, TypeGuard

import numpy as np

from alignsolve.numerics import FloatArray

Array: TypeAlias = Any
"""A numpy array or a torch tensor."""


def is_dense(value: object) -> bool:
    """Whether a value is a numpy array, or a torch tensor with all its values in memory."""
    if isinstance(value, np.ndarray):
        return True
    return _is_tensor(value) and value.layout is _torch().strided and value.device.type != "meta"


def new(like: Array, shape: tuple[int, ...]) -> Array:
    """Return an uninitialised array of the same kind, type and device."""
    return like.new_empty(shape) if _is_tensor(like) else np.empty(shape, dtype=like.dtype)


def copy(value: Array) -> Array:
    """Return a copy; a tensor is detached from its gradient history."""
    return value.detach().clone() if _is_tensor(value) else value.copy()


def plain(value: Array) -> Array:
    """Return an array as it is, and a tensor detached from its gradient history; the memory is shared."""
    return value.detach() if _is_tensor(value) else value


def contiguous(value: Array) -> Array:
    """Return an array with contiguous memory: the array itself if it is contiguous, else a copy."""
    return value.contiguous() if _is_tensor(value) else np.ascontiguousarray(value)


def widen(value: Array, like: Array) -> Array:
    """Return a copy in float64, on the device of ``like``. Sums of many small numbers stay accurate in float64."""
    if _is_tensor(value):
        return value.detach().to(device=like.device, dtype=_torch().float64, copy=True)
    return value.astype(np.float64)


def narrow(value: Array, like: Array) -> Array:
    """Convert to the type of ``like``."""
    return value.to(like.dtype) if _is_tensor(value) else np.asarray(value, dtype=like.dtype)


def weighted_mean(values: Iterable[tuple[Array, float]], like: Array) -> Array | None:
    """Return the weighted mean of values; None if no weight is above 0.

    The values are added one by one in their order, in float64. The result has the type and the device of ``like``.
    """
    total, weight = None, 0.0
    for value, share in values:
        if share > 0.0:
            term = widen(value, like)
            term *= share
            total = term if total is None else total + term
            weight += share
    return None if total is None else narrow(total / weight, like)


def flatten(values: Sequence[Array]) -> FloatArray:
    """Join the entries of arrays into one float64 vector."""
    flat = [
        value.detach().double().cpu().numpy() if _is_tensor(value) else value.astype(np.float64) for value in values
    ]
    return np.concatenate([value.reshape(-1) for value in flat])


def unflatten(vector: FloatArray, likes: Sequence[Array]) -> list[Array]:
    """Cut a vector into arrays with the kinds, shapes and types of ``likes``."""
    sizes = [int(np.prod(like.shape, dtype=np.int64)) for like in likes]
    parts = np.split(vector, np.cumsum(sizes)[:-1])
    return [_unflattened(part.reshape(tuple(like.shape)), like) for part, like in zip(parts, likes, strict=True)]


def _unflattened(values: FloatArray, like: Array) -> Array:
    if _is_tensor(like):
        return _torch().from_numpy(values.copy()).to(device=like.device, dtype=like.dtype)
    return values.astype(like.dtype)


def largest(value: Array) -> float:
    """Return the largest absolute value; NaN if an entry is NaN.

    An empty array and an array that is not of a floating-point type give 0.
    """
    if not is_real(value) or 0 in value.shape:
        return 0.0
    return float(abs(plain(value)).max())


def is_real(value: Array) -> bool:
    """Whether the array has a floating-point type, so that a mean makes sense."""
    return bool(value.dtype.is_floating_point) if _is_tensor(value) else value.dtype.kind == "f"


def kind(value: Array) -> str:
    """Return the library and the type of the entries as text, such as ``torch.float32`` or ``numpy.float32``."""
    if _is_tensor(value):
        return str(value.dtype)
    return f"numpy.{value.dtype}"


def num_bytes(value: Array) -> int:
    """Return the size of the values in bytes: the amount to send."""
    return int(np.prod(value.shape, dtype=np.int64)) * int(value.dtype.itemsize)


def _is_tensor(value: object) -> TypeGuard[Any]:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _torch() -> Any:
    return sys.modules["torch"]

"""The few operations on numpy arrays and torch tensors alike that slicing and merging weights take.

Torch is never imported here: where it is not loaded already, nobody can hold one of its tensors.
"""

import sys
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias, TypeGuard

import numpy as np

from alignsolve.numerics import FloatArray

Array: TypeAlias = Any
"""A numpy array or a torch tensor."""


def is_dense(value: object) -> bool:
    """Whether it is a numpy array, or a torch tensor that has all its values in memory."""
    if isinstance(value, np.ndarray):
        return True
    return _is_tensor(value) and value.layout is _torch().strided and value.device.type != "meta"


def new(like: Array, shape: tuple[int, ...]) -> Array:
    """Return an array of the same kind, type and device, not filled."""
    return like.new_empty(shape) if _is_tensor(like) else np.empty(shape, dtype=like.dtype)


def copy(value: Array) -> Array:
    """Copy; a tensor without its history."""
    return value.detach().clone() if _is_tensor(value) else value.copy()


def plain(value: Array) -> Array:
    """Return a tensor without its history, sharing its memory; an array as it is."""
    return value.detach() if _is_tensor(value) else value


def contiguous(value: Array) -> Array:
    """Return an array whose entries lie one after the other: itself, if they do."""
    return value.contiguous() if _is_tensor(value) else np.ascontiguousarray(value)


def widen(value: Array, like: Array) -> Array:
    """Copy to float64, where ``like`` is: sums of many small numbers keep their digits."""
    if _is_tensor(value):
        return value.detach().to(device=like.device, dtype=_torch().float64, copy=True)
    return value.astype(np.float64)


def narrow(value: Array, like: Array) -> Array:
    """Convert to the type of ``like``."""
    return value.to(like.dtype) if _is_tensor(value) else np.asarray(value, dtype=like.dtype)


def weighted_mean(values: Iterable[tuple[Array, float]], like: Array) -> Array | None:
    """Average values by their weights, in float64, added one by one in their order; None where no weight is above 0.

    The result has the type of ``like``, and is where that is.
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
    """Join the entries of arrays to one vector of float64."""
    flat = [
        value.detach().double().cpu().numpy() if _is_tensor(value) else value.astype(np.float64) for value in values
    ]
    return np.concatenate([value.reshape(-1) for value in flat])


def unflatten(vector: FloatArray, likes: Sequence[Array]) -> list[Array]:
    """Cut a vector into arrays with the kinds, shapes and types of these."""
    sizes = [int(np.prod(like.shape, dtype=np.int64)) for like in likes]
    parts = np.split(vector, np.cumsum(sizes)[:-1])
    return [_unflattened(part.reshape(tuple(like.shape)), like) for part, like in zip(parts, likes, strict=True)]


def _unflattened(values: FloatArray, like: Array) -> Array:
    if _is_tensor(like):
        return _torch().from_numpy(values.copy()).to(device=like.device, dtype=like.dtype)
    return values.astype(like.dtype)


def largest(value: Array) -> float:
    """Largest size of an entry; NaN if one is not a number, and 0 where entries are not fractions or there is none."""
    if not is_real(value) or 0 in value.shape:
        return 0.0
    return float(abs(plain(value)).max())


def is_real(value: Array) -> bool:
    """Whether its type holds fractions, so that a mean makes sense."""
    return bool(value.dtype.is_floating_point) if _is_tensor(value) else value.dtype.kind == "f"


def kind(value: Array) -> str:
    """Name whose array it is and the type of its entries."""
    if _is_tensor(value):
        return str(value.dtype)
    return f"numpy.{value.dtype}"


def num_bytes(value: Array) -> int:
    """Bytes of the values: what it takes to send them."""
    return int(np.prod(value.shape, dtype=np.int64)) * int(value.dtype.itemsize)


def _is_tensor(value: object) -> TypeGuard[Any]:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _torch() -> Any:
    return sys.modules["torch"]

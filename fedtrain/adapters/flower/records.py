"""Converts weights to Flower's records and back.

Flower stores arrays in numpy's file format. This format has no bfloat16, and its header of 128 bytes per tensor is
large compared with small tensors. The plain format of this module stores the bytes of a tensor only. Both formats are
read here. Nothing is unpickled, and the claimed length of an array is always checked.
"""

import io
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord

from fedtrain.aggregate import arrays

PLAIN = "alignsolve.bytes"
"""Name of the plain format. ``dtype`` names the library and the type, such as ``torch.float32``; data are the bytes."""
FLOWERS = "numpy.ndarray"
TYPES = frozenset({"bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64"})
"""Names of the types that can be sent, the same in numpy and torch."""


class RecordError(ValueError):
    """An array cannot be sent, or its data do not match its description; the message names the array."""


def pack(weights: Mapping[str, arrays.Array], *, plain: bool = True) -> ArrayRecord:
    """Make a record of weights.

    Parameters
    ----------
    weights
        Numpy arrays or torch tensors by name.
    plain
        Whether to use this module's plain format. False: the format of Flower's own ``ArrayRecord(state_dict)``, which
        the methods of ``ArrayRecord`` can read.

    Raises
    ------
    RecordError
        If a tensor has a type that cannot be sent, such as complex numbers.

    Examples
    --------
    >>> record = pack({"weight": np.arange(3, dtype=np.float32)})
    >>> len(record["weight"].data), unpack(record)
    (12, {'weight': array([0., 1., 2.], dtype=float32)})
    """
    return ArrayRecord({name: _packed(name, value) if plain else Array(value) for name, value in weights.items()})


def unpack(record: ArrayRecord) -> dict[str, arrays.Array]:
    """Read a record's weights. Torch tensors and numpy arrays come back as they were packed; all are writable.

    Arrays in Flower's own format become numpy arrays.

    Raises
    ------
    RecordError
        If an array's type is unknown or its data do not have the length that its shape and type need.
    """
    return {name: _unpacked(name, array) for name, array in record.items()}


def is_plain(record: ArrayRecord) -> bool:
    """Whether a record is in the plain format of this module; an answer to it should then be as well."""
    return any(array.stype == PLAIN for array in record.values())


def _packed(name: str, value: arrays.Array) -> Array:
    """Return a tensor in the plain format."""
    kind = arrays.kind(value)
    if kind.partition(".")[2] not in TYPES:
        raise RecordError(
            f"tensor {name} is {kind}, which does not travel; those that do are {', '.join(sorted(TYPES))}"
        )
    return Array(dtype=kind, shape=tuple(value.shape), stype=PLAIN, data=_bytes_of(value))


def _bytes_of(value: arrays.Array) -> bytes:
    if isinstance(value, np.ndarray):
        return value.tobytes()
    torch = _torch()
    flat = value.detach().cpu().contiguous().reshape(-1)
    return bytes(flat.view(torch.uint8).numpy().tobytes())


def _unpacked(name: str, array: Array) -> arrays.Array:
    """Read an array in either format."""
    if any(length < 0 for length in array.shape):
        raise RecordError(f"tensor {name} has shape {array.shape}")
    if array.stype == FLOWERS:
        return _from_file(name, array)
    if array.stype != PLAIN:
        raise RecordError(f"tensor {name} is stored as {array.stype!r}, expected {PLAIN!r} or {FLOWERS!r}")
    library, _, kind = array.dtype.partition(".")
    if library not in ("numpy", "torch") or kind not in TYPES or (library, kind) == ("numpy", "bfloat16"):
        raise RecordError(f"tensor {name} is of the unknown type {array.dtype!r}")
    return _from_bytes(name, array, library, kind)


def _from_bytes(name: str, array: Array, library: str, kind: str) -> arrays.Array:
    """Read an array in the plain format."""
    dtype = np.dtype(kind) if library == "numpy" else getattr(_torch(), kind)
    _check_length(name, array, dtype.itemsize, len(array.data))
    if library == "numpy":
        return np.frombuffer(array.data, dtype=dtype).reshape(array.shape).copy()
    if not array.data:
        return _torch().empty(array.shape, dtype=dtype)
    return _torch().frombuffer(bytearray(array.data), dtype=dtype).reshape(array.shape)


def _from_file(name: str, array: Array) -> Any:
    """Read numpy's file format. The header is checked before any memory is allocated."""
    file = io.BytesIO(array.data)
    try:
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError("not of version 1.0")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    except ValueError as error:
        raise RecordError(f"tensor {name} is not in numpy's format: {error}") from error
    if shape != array.shape or dtype.name not in TYPES:
        raise RecordError(f"tensor {name} says it is {array.shape}, and holds {dtype.name} {shape}")
    _check_length(name, array, dtype.itemsize, len(array.data) - file.tell())
    flat = np.frombuffer(array.data, dtype=dtype, offset=file.tell())
    return flat.reshape(shape, order="F" if fortran else "C").astype(dtype.newbyteorder("="), order="C", copy=True)


def _check_length(name: str, array: Array, item_size: int, length: int) -> None:
    """Check that the data have the length that the shape and the type need."""
    expected = math.prod(array.shape) * item_size
    if length != expected:
        raise RecordError(f"tensor {name} is {array.dtype} {array.shape} and has {length} bytes instead of {expected}")


def _torch() -> Any:
    import torch  # noqa: PLC0415  (needed only for torch tensors)

    return torch

"""Record files: one flat record of named values, as .npz without pickle or as .json, written completely or not at all.

A record has a ``format``, a ``version``, plain values (texts, numbers) and arrays. In .npz each array is a member; all
other values are JSON text in one member, ``header``. In .json the record is one object, with arrays as nested lists (an
empty array as ``{"shape": [...]}``). Floats are written with all their digits and integers as integers, so both are
read back exactly. JSON has no infinities and no NaN, so the texts "inf", "-inf" and "nan" stand for them (a NaN's
payload bits are lost).
"""

import json
import lzma
import math
import os
import stat
import struct
import tokenize
import uuid
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

VERSION = 1
"""Version of both formats; a reader accepts only this version."""
NOT_FINITE = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}
DAMAGE = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, tokenize.TokenError, struct.error, EOFError, SyntaxError, TypeError,
    OverflowError, LookupError, AttributeError, AssertionError, RuntimeError, MemoryError, SystemError,
)  # fmt: skip
"""What NumPy and the zip reader raise for damaged members, besides ValueError."""
UNPACKED = 1 << 30
"""Bytes that an archive may hold unpacked in any case."""
PACKED = 100
"""Bytes that an archive larger than that may hold for each byte of the file."""
MAGIC = np.lib.format.MAGIC_PREFIX
READERS = {b"\x01\x00": np.lib.format.read_array_header_1_0, b"\x02\x00": np.lib.format.read_array_header_2_0}
"""Readers of a header by the two bytes of its version."""
LARGEST_EMPTY = 1 << 24
"""Largest product of the other axes of an array without entries."""
DEEPEST = 8
"""Most lists in one another: no array of a record has more axes."""
LONGEST = 400
"""Characters of a reason: it may quote what is in the file."""
HEADER, MEMBERS = "header", "members"
"""Members of an .npz. ``members`` in the header lists the arrays, since a damaged archive may silently lose one."""


class FileError(ValueError):
    """A file that cannot be written, or not read as the expected record; the message names the file and the reason."""

    def __init__(self, path: str | Path, why: str) -> None:
        super().__init__(f"{path}: {why if len(why) <= LONGEST else why[: LONGEST - 1] + '…'}")
        self.path = Path(path)


def write_record(
    path: str | Path,
    kind: str,
    values: Mapping[str, Any],
    arrays: Mapping[str, npt.NDArray[Any]],
    *,
    overwrite: bool = False,
) -> None:
    """Write a record to a .npz or .json file, through a temporary file beside it.

    Raises
    ------
    FileError
        If the suffix is neither .npz nor .json, the file exists (unless ``overwrite``) or cannot be written.
    """
    check_output(path, overwrite=overwrite)
    header = {"format": f"alignsolve {kind}", "version": VERSION, **values}
    if Path(path).suffix == ".json":
        text = json_text({**header, **arrays})
        _write_whole(path, lambda file: file.write(text.encode()))
    else:
        members = {HEADER: np.array(json_text({**header, MEMBERS: sorted(arrays)})), **arrays}
        _write_whole(path, lambda file: _write_npz(file, members))


def _write_npz(file: IO[bytes], members: Mapping[str, npt.NDArray[Any]]) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in members.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def write_text(path: str | Path, text: str, *, overwrite: bool = False) -> None:
    """Write a text file of any suffix, through a temporary file beside it.

    Raises
    ------
    FileError
        If the file exists (unless ``overwrite``) or cannot be written.
    """
    check_output(path, overwrite=overwrite, suffixes=(Path(path).suffix,))
    _write_whole(path, lambda file: file.write(text.encode()))


SUFFIXES = (".npz", ".json")
"""Suffixes of records."""


def check_output(path: str | Path, *, overwrite: bool = False, suffixes: Sequence[str] = SUFFIXES) -> None:
    """Raise :class:`FileError` if a file cannot be written: a check before hours of work, not after."""
    target = Path(path)
    _check_suffix(target, suffixes)
    try:
        exists, is_file = target.exists(), target.is_file()
    except OSError as error:
        raise FileError(path, f"cannot be written: {error.strerror or error}") from error
    if exists and not is_file:
        raise FileError(path, "is not a file: choose another name")
    if exists and not overwrite:
        raise FileError(path, "exists already: choose another name, or pass --overwrite (in Python: overwrite=True)")
    folder = Path(os.path.realpath(target)).parent
    if not folder.is_dir():
        raise FileError(path, f"cannot be written: there is no folder {folder}")
    if not os.access(folder, os.W_OK):
        raise FileError(path, f"cannot be written: the folder {folder} is write-protected")


def _check_suffix(path: Path, suffixes: Sequence[str] = SUFFIXES) -> None:
    if path.suffix not in suffixes:
        listed = f"{', '.join(suffixes[:-1])} or {suffixes[-1]}"
        raise FileError(path, f"has the suffix {path.suffix!r}; it must be {listed}")


def _write_whole(path: str | Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a temporary file and rename it: nobody sees a partial file, and a failure leaves the old file."""
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as file:
            write(file)
        temporary.replace(target)
    except OSError as error:
        raise FileError(path, f"cannot be written: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def json_text(value: Any) -> str:
    """Return strictly valid JSON, without NaN or Infinity tokens, for plain values, numpy arrays and scalars."""
    return json.dumps(_plain(value), allow_nan=False)


def _plain(value: Any) -> Any:
    """Convert a value to JSON types; values of other types become their text."""
    if isinstance(value, np.ndarray):
        if not value.size and value.ndim:
            return {"shape": list(value.shape)}
        value = value.tolist() if value.dtype.kind != "f" or np.isfinite(value).all() else _texts(value.tolist())
        return value
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return _texts(value)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(part) for part in value]
    return str(value)


def _texts(value: Any) -> Any:
    """Replace infinities and NaN in nested lists of floats by their texts."""
    if isinstance(value, list):
        return [_texts(part) for part in value]
    if math.isfinite(value):
        return value
    return str(value)


def read_record(path: str | Path, kind: str) -> dict[str, Any]:
    """Read a record: plain values, and arrays from .npz or nested lists from .json (see :func:`as_array`).

    Raises
    ------
    FileError
        If the file cannot be opened, is truncated, holds pickled objects, or has another format or version.
    """
    source = Path(path)
    _check_suffix(source)
    try:
        if not stat.S_ISREG(source.stat().st_mode):
            raise FileError(path, "cannot be read: it is not a file")
        with source.open("rb") as file:
            record = _read_json(path, file) if source.suffix == ".json" else _read_npz(path, file)
    except OSError as error:
        raise FileError(path, f"cannot be read: {error.strerror or error}") from error
    _check_format(path, kind, record.pop("format", None), record.pop("version", None))
    return record


def _check_format(path: str | Path, kind: str, format_: Any, version: Any) -> None:
    if not isinstance(format_, str) or not format_.startswith("alignsolve "):
        raise FileError(path, f"is not an alignsolve {kind}: it does not say 'format: alignsolve {kind}'")
    if format_ != f"alignsolve {kind}":
        raise FileError(path, f"is an {format_}, not an alignsolve {kind}")
    if version != VERSION or isinstance(version, bool):
        raise FileError(path, f"has the format's version {version!r}; this alignsolve reads version {VERSION}")


def _read_json(path: str | Path, file: IO[bytes]) -> dict[str, Any]:
    try:
        record = parse_json(file.read().decode())
    except UnicodeDecodeError as error:
        raise FileError(path, f"is not JSON: byte {error.start} is not UTF-8 text") from error
    except ValueError as error:
        raise FileError(path, f"is not valid JSON, or truncated: {error}") from error
    except RecursionError as error:
        raise FileError(path, "is not a record: its lists are nested too deeply") from error
    if not isinstance(record, dict):
        raise FileError(path, f"is not a record: its JSON is a {type(record).__name__}, not an object")
    return record


def parse_json(text: str) -> Any:
    """Parse strict JSON; refuse NaN and Infinity tokens, and names that occur twice in an object."""
    return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_unique)


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f'{text:.20} is too large for a float; write "inf" or "-inf" for infinity')
    return value


def _refuse_constant(token: str) -> float:
    raise ValueError(f'{token} is not JSON; write "inf", "-inf" or "nan"')


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        last = {name: k for k, (name, _) in enumerate(pairs)}
        twice = next(name for k, (name, _) in enumerate(pairs) if last[name] != k)
        raise ValueError(f"{twice!r:.80} is given twice")
    return result


def _read_npz(path: str | Path, file: IO[bytes]) -> dict[str, Any]:
    start = file.read(4)
    if not zipfile.is_zipfile(file):
        why = "is truncated" if start.startswith(b"PK") or not start else "is not an .npz file"
        raise FileError(path, why)
    file.seek(0)
    try:
        _check_sizes(path, file)
        file.seek(0)
        with np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except ValueError as error:
        if "allow_pickle" in str(error):
            raise FileError(path, "contains pickled objects, which are never loaded: they can run code") from error
        raise FileError(path, f"is damaged: {error}") from error
    except DAMAGE as error:
        raise FileError(path, f"is damaged: {error}") from error
    header = _read_header(path, arrays.pop(HEADER, None))
    members = header.pop(MEMBERS, sorted(arrays))
    if members != sorted(arrays):
        raise FileError(path, f"is damaged: it should hold {members}, it holds {sorted(arrays)}")
    return {**header, **arrays}


def _check_sizes(path: str | Path, file: IO[bytes]) -> None:
    """Refuse an archive whose members declare more than is there, before any memory is taken for them."""
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        size = os.fstat(file.fileno()).st_size
        unpacked = sum(member.file_size for member in members)
        if unpacked > max(UNPACKED, PACKED * size):
            raise FileError(path, f"is damaged: a file of {size} bytes cannot hold arrays of {unpacked} bytes")
        for member in members:
            with archive.open(member) as data:
                shape, itemsize = _declared(data)
                there = member.file_size - data.tell()
            if not all(type(length) is int and length >= 0 for length in shape):
                raise FileError(path, f"is damaged: {member.filename} has the shape {shape!r:.60}")
            if math.prod(shape) * itemsize > there:
                raise FileError(path, f"is damaged: {member.filename} declares {math.prod(shape) * itemsize} bytes, "
                                f"{there} are there")  # fmt: skip


def _declared(data: IO[bytes]) -> tuple[tuple[Any, ...], int]:
    """Read the shape and the size of an entry from the header of an .npy member.

    What is no array of a known version, and what holds objects, has no size here: it is refused later.
    """
    magic = data.read(len(MAGIC) + 2)
    read = READERS.get(magic[len(MAGIC) :]) if magic.startswith(MAGIC) else None
    if read is None:
        return (), 0
    shape, _, dtype = read(data)
    return shape, 0 if dtype.hasobject else dtype.itemsize


def _read_header(path: str | Path, header: Any) -> dict[str, Any]:
    if not isinstance(header, np.ndarray) or header.dtype.kind != "U" or header.ndim:
        raise FileError(path, "is not an alignsolve file: its member 'header' is missing or no text")
    try:
        values = parse_json(header.item())
    except ValueError as error:
        raise FileError(path, f"has a damaged header: {error}") from error
    if not isinstance(values, dict):
        raise FileError(path, "has a damaged header: it is not an object")
    return values


def as_array(path: str | Path, name: str, value: Any) -> npt.NDArray[Any] | None:
    """Return a record's value as an array of numbers or bools; None stays None.

    Raises
    ------
    FileError
        If the value is something else; the message names the field.
    """
    if value is None:
        return None
    if not isinstance(value, np.ndarray):
        value = _from_json(path, name, value)
    if value.dtype.kind not in "biuf":
        raise FileError(path, f"{name} must hold numbers or bools of at most 64 bits")
    return value.astype(value.dtype.newbyteorder("="), copy=False)


def _from_json(path: str | Path, name: str, value: Any) -> npt.NDArray[Any]:
    if isinstance(value, dict) and set(value) == {"shape"}:
        shape = value["shape"]
        if not is_shape(shape) or 0 not in shape:
            raise FileError(path, f"{name} has the shape {shape!r:.60}; only empty arrays are given by their shape")
        if math.prod(size for size in shape if size) > LARGEST_EMPTY:
            raise FileError(path, f"{name} is empty, and has the shape {shape!r:.60}: that is too large")
        return np.empty(shape)
    if _depth(value) > DEEPEST:
        raise FileError(path, f"{name} is not an array of numbers: its lists are nested too deeply")
    try:
        return np.asarray(_numbers(value))
    except (TypeError, ValueError, OverflowError) as error:
        raise FileError(path, f"{name} is not an array of numbers: {error}") from error


def _depth(value: Any) -> int:
    """How many lists are in one another, by the first entries: all rows of an array are as deep."""
    depth = 0
    while isinstance(value, list) and depth <= DEEPEST:
        depth, value = depth + 1, next((part for part in value if isinstance(part, list)), None)
    return depth


def is_shape(value: Any) -> bool:
    """Return whether a value is a list of whole numbers from 0 to 2³¹ − 1."""
    return isinstance(value, list) and all(type(size) is int and 0 <= size < 2**31 for size in value)


def _numbers(value: Any) -> Any:
    """Replace the texts "inf", "-inf" and "nan" in nested lists by numbers; refuse all other texts and objects."""
    if isinstance(value, list):
        return [_numbers(part) for part in value]
    if isinstance(value, str) and value in NOT_FINITE:
        return NOT_FINITE[value]
    if not isinstance(value, (bool, int, float)):
        raise TypeError(f"found {value!r:.40}")
    return value


__all__ = [
    "VERSION",
    "FileError",
    "as_array",
    "check_output",
    "is_shape",
    "json_text",
    "parse_json",
    "read_record",
    "write_record",
    "write_text",
]

"""A fitness matrix on disk that may be larger than memory: a folder of .npy files, mapped and read as RowBlocks.

The folder holds ``manifest.json``, such as ``{"format": "alignsolve fitness", "version": 1, "shape": [3, 2],
"dtype": "float32", "chunks": [{"file": "chunk-000000.npy", "rows": 2}, {"file": "chunk-000001.npy", "rows": 1}]}``, and
the files that it names, each of shape (rows, num_experts), in the order of the clients. The manifest is written last,
in one step. So a folder without a manifest is incomplete, and new chunks never overwrite chunks of an older manifest.
"""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from alignsolve.data import validation
from alignsolve.data.blocks import RowBlocks
from alignsolve.io.record_file import FileError, is_shape, read_record, write_record
from alignsolve.numerics import IntArray, RealArray

MANIFEST = "manifest.json"
DTYPES = ("float64", "float32", "float16", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)))
CHUNK_BYTES = 1 << 26
"""Approximate size of one file; a writer holds at most this much in memory."""
OURS = re.compile(r"chunk-(\d{6,})\.npy")
PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\.npy")
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def save_fitness(
    fitness: RowBlocks | npt.NDArray[Any] | Iterable[npt.ArrayLike],
    folder: str | Path,
    *,
    chunk_rows: int | None = None,
    overwrite: bool = False,
) -> None:
    """Write a fitness matrix as a folder, chunk by chunk.

    Parameters
    ----------
    fitness
        (num_clients, num_experts): an array, mapped or not; :class:`~alignsolve.RowBlocks`; or an iterable, such as a
        generator, of blocks of rows with one dtype and width. The caller may reuse a block's memory for the next block.
    folder
        Path of the folder; made if it does not exist.
    chunk_rows
        Clients per file; None: files of about 64 MiB. At most one chunk is held in memory.
    overwrite
        Replace the fitness in the folder. The old fitness stays until the new one is complete.

    Raises
    ------
    FileError
        If the folder is not empty (unless ``overwrite``) or cannot be written.
    ValueError
        If the blocks differ in width or dtype, or are not matrices of numbers.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_fitness(([[i, 2.0 * i]] for i in range(3)), f"{folder}/fitness", chunk_rows=2)
    ...     load_fitness(f"{folder}/fitness")[1:3].tolist()
    [[1.0, 2.0], [2.0, 4.0]]
    """
    if chunk_rows is not None and chunk_rows < 1:
        raise ValueError(f"chunk_rows is {chunk_rows}; it must be 1 or more")
    target = Path(folder)
    made = _prepare_folder(target, overwrite=overwrite)
    writer = _Writer(target, chunk_rows)
    try:
        writer.write(_blocks(fitness, chunk_rows))
    except BaseException as error:
        writer.remove(made=made)
        if isinstance(error, OSError):
            raise FileError(folder, f"cannot be written: {error.strerror or error}") from error
        raise
    _remove_others(target, keep={chunk["file"] for chunk in writer.chunks})


def _prepare_folder(target: Path, *, overwrite: bool) -> bool:
    """Make the folder, or check the existing one; return whether it was made."""
    try:
        target.mkdir()
    except FileExistsError:
        if not target.is_dir():
            raise FileError(target, "is not a folder: choose another name") from None
        if any(target.iterdir()) and not overwrite:
            raise FileError(target, "is not empty: choose another name, or pass overwrite=True") from None
        return False
    except OSError as error:
        raise FileError(target, f"cannot be made: {error.strerror or error}") from error
    return True


def _blocks(fitness: Any, chunk_rows: int | None) -> Iterator[RealArray]:
    """Yield the fitness in blocks, at least one, and check that all have one dtype and width."""
    if isinstance(fitness, (RowBlocks, np.ndarray)):
        whole: Any = validation.fitness(fitness)
        step = chunk_rows or _default_rows(whole.shape[1], np.dtype(whole.dtype))
        fitness = (whole[start : start + step] for start in range(0, max(1, whole.shape[0]), step))
    first = None
    for number, given in enumerate(fitness):
        block = np.asarray(given)
        first = block[:0] if first is None else first
        if block.ndim != 2 or block.dtype.name not in DTYPES:
            raise ValueError(f"block {number} of the fitness is {block.dtype} of shape {block.shape}; "
                             "it must be (rows, num_experts) numbers of at most 64 bits")  # fmt: skip
        if block.shape[1] != first.shape[1] or block.dtype != first.dtype:
            raise ValueError(f"block {number} of the fitness is {block.dtype} with {block.shape[1]} experts; "
                             f"the first is {first.dtype} with {first.shape[1]}")  # fmt: skip
        yield block
    if first is None:
        raise ValueError("the fitness has no blocks, so the number of experts is unknown")


def _default_rows(num_experts: int, dtype: np.dtype[Any]) -> int:
    return max(1, CHUNK_BYTES // max(1, num_experts * dtype.itemsize))


class _Writer:
    """Writes chunks, then the manifest."""

    def __init__(self, folder: Path, chunk_rows: int | None) -> None:
        self.folder, self.chunk_rows = folder, chunk_rows
        self.chunks: list[dict[str, Any]] = []
        used = [int(found.group(1)) for path in folder.iterdir() if (found := OURS.fullmatch(path.name))]
        self.first = max(used, default=-1) + 1

    def write(self, blocks: Iterator[RealArray]) -> None:
        """Gather blocks into chunks; rows of an incomplete chunk are copied, as the caller may reuse its blocks."""
        waiting: list[RealArray] = []
        for block in blocks:
            rest, full = block, self.chunk_rows or _default_rows(block.shape[1], block.dtype)
            like = block[:0]
            while len(rest):
                lacking = full - sum(map(len, waiting))
                piece, rest = rest[:lacking], rest[lacking:]
                if len(piece) == lacking:
                    self._write_chunk([*waiting, piece])
                    waiting = []
                else:
                    waiting.append(piece.copy())
        if waiting:
            self._write_chunk(waiting)
        shape = [sum(chunk["rows"] for chunk in self.chunks), like.shape[1]]
        values = {"shape": shape, "dtype": like.dtype.name, "chunks": self.chunks}
        write_record(self.folder / MANIFEST, "fitness", values, {}, overwrite=True)

    def _write_chunk(self, pieces: list[RealArray]) -> None:
        rows = sum(map(len, pieces))
        name = f"chunk-{self.first + len(self.chunks):06d}.npy"
        self.chunks.append({"file": name, "rows": rows})
        little = pieces[0].dtype.newbyteorder("<")
        header = {"descr": little.str, "fortran_order": False, "shape": (rows, pieces[0].shape[1])}
        with (self.folder / name).open("xb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for piece in pieces:
                file.write(np.ascontiguousarray(piece, dtype=little).data)

    def remove(self, *, made: bool) -> None:
        """Remove all chunks that were written, and the folder if it was made."""
        for chunk in self.chunks:
            (self.folder / chunk["file"]).unlink(missing_ok=True)
        if made:
            self.folder.rmdir()


def _remove_others(folder: Path, keep: set[str]) -> None:
    """Remove chunks that the manifest no longer names; processes that have mapped them can still read them."""
    for path in list(folder.iterdir()):
        if OURS.fullmatch(path.name) and path.name not in keep:
            path.unlink()


def load_fitness(folder: str | Path) -> RowBlocks:
    """Map a folder's fitness. Rows are read on access; rows within one chunk are a view.

    Parameters
    ----------
    folder
        A folder of :func:`save_fitness`.

    Returns
    -------
    RowBlocks
        The fitness, (num_clients, num_experts).

    Raises
    ------
    FileError
        If the manifest or a file that it names is missing or damaged, holds pickled objects, lies outside the folder,
        or has another shape or dtype than the manifest says.
    """
    path = Path(folder) / MANIFEST
    record = read_record(path, "fitness")
    for name in record:
        if name not in {"shape", "dtype", "chunks"}:
            raise FileError(path, f"has an unknown field, {name!r}; there are: shape, dtype, chunks")
    shape, dtype = _read_shape(path, record.get("shape")), record.get("dtype")
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise FileError(path, f"dtype is {dtype!r}; it must be one of {', '.join(DTYPES)}")
    named = _read_chunks(path, record.get("chunks"))
    total = sum(named.values())
    if total != shape[0]:
        raise FileError(path, f"its chunks have {total} rows together, its shape says {shape[0]}")
    parts = [_map(path.parent / name, (rows, shape[1]), np.dtype(dtype)) for name, rows in named.items()]
    chunks = _Chunks(parts, np.cumsum([0, *named.values()]), np.empty((0, shape[1]), dtype=dtype))
    return RowBlocks(shape, np.dtype(dtype), chunks.read, chunks.take)


def _read_shape(path: Path, shape: Any) -> tuple[int, int]:
    if not is_shape(shape) or len(shape) != 2:
        raise FileError(path, f"shape is {shape!r}; it must be [num_clients, num_experts]")
    return (shape[0], shape[1])


def _read_chunks(path: Path, chunks: Any) -> dict[str, int]:
    """Return file → rows; each file is a plain name in the folder itself."""
    if not isinstance(chunks, list):
        raise FileError(path, f'chunks is {chunks!r:.40}; it must be a list of {{"file": ..., "rows": ...}}')
    named: dict[str, int] = {}
    for at, chunk in enumerate(chunks):
        if not isinstance(chunk, dict) or set(chunk) != {"file", "rows"}:
            raise FileError(path, f'chunk {at} is {chunk!r:.60}; it must be {{"file": ..., "rows": ...}}')
        name, rows = chunk["file"], chunk["rows"]
        if not isinstance(name, str) or not PLAIN_NAME.fullmatch(name):
            raise FileError(path, f"file of chunk {at} is {name!r:.60}; it must be the plain name of an .npy file "
                            "in the same folder")  # fmt: skip
        if name in named:
            raise FileError(path, f"file of chunk {at} is {name!r}, which an earlier chunk has already")
        if type(rows) is not int or rows < 1:
            raise FileError(path, f"rows of chunk {at} is {rows!r:.40}; it must be a whole number, 1 or more")
        named[name] = rows
    return named


def _map(path: Path, shape: tuple[int, int], dtype: np.dtype[Any]) -> RealArray:
    """Check the header and the size of one file, and map it read-only."""
    try:
        if not path.is_file():
            raise FileError(path, f"is missing, or not a file: {MANIFEST} names it")
        with path.open("rb") as file:
            fortran, offset = _read_header(path, file, shape, dtype)
            size = os.fstat(file.fileno()).st_size
            expected = offset + shape[0] * shape[1] * dtype.itemsize
            if size != expected:
                raise FileError(path, f"is {'truncated' if size < expected else 'too long'}: it has {size} bytes, "
                                f"its header asks for {expected}")  # fmt: skip
            if expected == offset:
                return np.empty(shape, dtype=dtype)
            mapped = np.memmap(file, dtype, "r", offset, shape, "F" if fortran else "C")
    except OSError as error:
        raise FileError(path, f"cannot be read: {error.strerror or error}") from error
    return np.asarray(mapped)


def _read_header(path: Path, file: IO[bytes], shape: tuple[int, int], dtype: np.dtype[Any]) -> tuple[bool, int]:
    """Check a file's header; return whether the order is Fortran, and the offset of the data in bytes."""
    try:
        version = np.lib.format.read_magic(file)
        if version not in HEADERS:
            raise ValueError(f"version {version} of the .npy format")
        found_shape, fortran, found = HEADERS[version](file)
    except ValueError as error:
        raise FileError(path, f"is not an .npy file that can be read: {error}") from error
    if found.hasobject:
        raise FileError(path, "contains pickled objects, which are never loaded: they can run code")
    if found != dtype:
        raise FileError(path, f"holds {found.name if found.isnative else found}, {MANIFEST} says dtype {dtype.name}")
    if found_shape != shape:
        raise FileError(path, f"has shape {found_shape}, {MANIFEST} says {shape}")
    return fortran, file.tell()


@dataclass(frozen=True)
class _Chunks:
    """Mapped chunks, one below the other; ``ends`` holds the first client of each chunk, and the number of clients."""

    parts: list[RealArray]
    ends: IntArray
    nothing: RealArray

    def read(self, start: int, stop: int) -> RealArray:
        """Return rows start..stop-1: a view within one chunk, a copy across chunks."""
        if start >= stop:
            return self.nothing
        first, last = np.searchsorted(self.ends, [start, stop - 1], side="right") - 1
        pieces = [
            self.parts[k][max(start - int(self.ends[k]), 0) : stop - int(self.ends[k])] for k in range(first, last + 1)
        ]
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def take(self, rows: IntArray) -> RealArray:
        """Return a copy of the given rows, which ascend; only the pages that hold them are read."""
        cuts = np.searchsorted(rows, self.ends)
        pieces = [
            part[rows[a:b] - begin]
            for part, begin, (a, b) in zip(self.parts, self.ends, pairwise(cuts), strict=False)
            if a < b
        ]
        return np.concatenate([self.nothing, *pieces])


__all__ = ["load_fitness", "save_fitness"]

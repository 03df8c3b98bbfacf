"""Atomic writes: a file is either complete or absent, even if the process or the machine stops.

New content is written to a temporary name in the same folder, forced to disk, and then renamed. The new file exists
from the moment of the rename.
"""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

PART = ".part"
"""Suffix of temporary names. They also begin with a dot."""
WINDOWS = sys.platform == "win32"
"""Windows opens no folder, and forces a file to disk only if it may be written."""


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Write or replace a file. ``write`` is called with the temporary path to write to."""
    part = part_of(path)
    write(part)
    sync(part)
    os.replace(part, path)
    sync(path.parent)


def replace_text(path: Path, text: str) -> None:
    """Write or replace a text file."""
    replace_file(path, lambda part: part.write_text(text, encoding="utf-8"))


def replace_arrays(path: Path, **arrays: npt.NDArray[Any]) -> None:
    """Write or replace an .npz file of arrays. Nothing is pickled."""

    def write(part: Path) -> None:
        with part.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)

    replace_file(path, write)


def make_folder(path: Path, write: Callable[[Path], object]) -> None:
    """Make a folder of files; ``path`` must not exist. ``write`` is called with the temporary folder to write into."""
    part = part_of(path)
    remove(part)
    part.mkdir()
    write(part)
    for file in part.iterdir():
        sync(file)
    sync(part)
    os.rename(part, path)
    sync(path.parent)


def remove_folder(path: Path) -> None:
    """Remove a folder, if it exists. It is renamed first, so ``path`` never holds half of its contents."""
    part = part_of(path)
    remove(part)
    if path.exists():
        os.rename(path, part)
        shutil.rmtree(part)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def part_of(path: Path) -> Path:
    """Return the temporary path of ``path``."""
    return path.with_name(f".{path.name}{PART}")


def sync(path: Path) -> None:
    """Force a file or a folder to disk; a folder only where the system can do that."""
    if WINDOWS and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDWR if WINDOWS else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

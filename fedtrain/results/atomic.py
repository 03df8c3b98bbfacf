"""Files that exist whole or not at all, whenever the process or the machine stops.

What is new is written beside its place, forced to disk, and renamed: the rename is the moment at which it is there.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

PART = ".part"
"""What ends the name of something half written; its name begins with a dot."""


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file by ``write``, which is given the path to write to, in place of whatever is there."""
    part = part_of(path)
    write(part)
    sync(part)
    os.replace(part, path)
    sync(path.parent)


def replace_text(path: Path, text: str) -> None:
    """Write a text file in place of whatever is there."""
    replace_file(path, lambda part: part.write_text(text, encoding="utf-8"))


def replace_arrays(path: Path, **arrays: npt.NDArray[Any]) -> None:
    """Write arrays as .npz, nothing pickled, in place of whatever is there."""

    def write(part: Path) -> None:
        with part.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)

    replace_file(path, write)


def make_folder(path: Path, write: Callable[[Path], object]) -> None:
    """Make a folder of files by ``write``, which is given a folder to write into; ``path`` must not exist."""
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
    """Remove a folder, if it is there: it is gone at once, its contents after that."""
    part = part_of(path)
    remove(part)
    if path.exists():
        os.rename(path, part)
        shutil.rmtree(part)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def part_of(path: Path) -> Path:
    """Return where something is written before it is renamed to ``path``."""
    return path.with_name(f".{path.name}{PART}")


def sync(path: Path) -> None:
    """Force a file or a folder to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

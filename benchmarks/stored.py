"""Instances in files, for suites that ask what a process needs that has read its input: made once, removed when done.

``file`` is a record that is read whole. ``mapped`` is a float32 fitness drawn block by block into a folder that is only
ever mapped, for more clients than a machine has memory for.
"""

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from alignsolve import AlignmentProblem, RowBlocks
from alignsolve.io import load_problem, save_problem
from alignsolve.numerics import RealArray
from problems.planted import balanced

if TYPE_CHECKING:
    from benchmarks.suites import Case

FOLDER = Path(tempfile.gettempdir()) / "alignsolve-benchmarks"
DRAWN = 1 << 16
"""Clients drawn at a time, each block from a seed of its own."""


def path_of(case: "Case") -> Path:
    """Where a case is kept."""
    return FOLDER / f"{case.name}.npz"


def load(case: "Case") -> AlignmentProblem:
    """Read a case; made first if it is not there."""
    path = path_of(case)
    if not path.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        mapped = case.stored == "mapped"
        save_problem(_drawn(case) if mapped else case.in_memory(), path, overwrite=True, chunked=mapped)
    return load_problem(path)


def remove(case: "Case") -> None:
    """Remove a case's files."""
    path = path_of(case)
    path.unlink(missing_ok=True)
    shutil.rmtree(path.with_suffix(".fitness"), ignore_errors=True)


def _drawn(case: "Case") -> AlignmentProblem:
    """``uniform`` without its matrix: float32 in [0, 1), drawn again each time that a block is asked for."""
    shape = case.num_clients, case.num_experts

    def read(start: int, stop: int) -> RealArray:
        blocks = [_block(case, number) for number in range(start // DRAWN, -(-stop // DRAWN))]
        first = start // DRAWN * DRAWN
        whole = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
        return whole[start - first : stop - first]

    rng = np.random.default_rng([case.seed, *shape])
    return balanced(rng, RowBlocks(shape, np.float32, read))


def _block(case: "Case", number: int) -> RealArray:
    rows = min(DRAWN, case.num_clients - number * DRAWN)
    return np.random.default_rng([case.seed, number]).random((rows, case.num_experts), dtype=np.float32)

"""Makes the instance that a :class:`benchmarks.case.Case` describes, or reads it from a file.

Suites that measure memory ask how much a process needs once it has read its input. Their instances are written to a
folder of temporary files once, read by every contender, and removed at the end. A "file" is a record that is read
whole. A "mapped" instance has a float32 fitness, drawn block by block into a folder that is only mapped: it may have
more clients than fit in the machine's memory.
"""

import math
import shutil
import tempfile
from pathlib import Path

import numpy as np

from alignsolve import AlignmentProblem, RowBlocks
from alignsolve.io import load_problem, save_problem
from alignsolve.numerics import RealArray
from benchmarks.case import DIMACS, READABLE, Case
from benchmarks.real import is_real, make_real
from benchmarks.set_shapes import SET_SHAPES
from benchmarks.shapes import SHAPES
from problems import FAMILIES, dimacs, orlib
from problems.planted import balanced

SPREAD = 0.15
"""Half-width of the experts' bounds, as a share of their mean load, where every client has one expert."""
FOLDER = Path(tempfile.gettempdir()) / "alignsolve-benchmarks"
DRAWN = 1 << 16
"""Clients drawn at a time; each block has a seed of its own."""


def make(case: Case) -> AlignmentProblem:
    """Make or read the instance of a case."""
    if case.sense is not None:
        return orlib.read(case.family, sense=case.sense)
    if case.from_file:
        return read(Path(case.family))
    return _load_stored(case) if case.stored else _make_in_memory(case)


def _make_in_memory(case: Case) -> AlignmentProblem:
    """Make the instance by its family."""
    rng = np.random.default_rng([case.seed, case.num_clients, case.num_experts])
    if is_real(case.family):
        return make_real(rng, case)
    family = (SHAPES | SET_SHAPES).get(case.family) or FAMILIES[case.family]
    problem = family(rng, num_clients=case.num_clients, num_experts=case.num_experts)
    return _one_each(problem) if case.one_each else problem


def _one_each(problem: AlignmentProblem) -> AlignmentProblem:
    """Return the problem with exactly one expert per client and with loads around their mean."""
    mean = problem.num_clients / problem.num_experts
    return AlignmentProblem(
        problem.fitness,
        client_demand=1,
        expert_demand=math.floor(mean * (1 - SPREAD)),
        expert_capacity=math.ceil(mean * (1 + SPREAD)),
        eligible=problem.eligible,
    )


def read(path: Path) -> AlignmentProblem:
    """Read a problem record of ours (.npz, .json) or a DIMACS file (.asn, .min)."""
    if path.suffix in DIMACS:
        return dimacs.read(path)
    return load_problem(path)


def files(folder: Path) -> list[Case]:
    """Return a case for every problem file in a folder, by name.

    Raises
    ------
    ValueError
        If the folder holds no problem file, or one that cannot be read.
    """
    found = sorted(path for path in folder.iterdir() if path.suffix in READABLE)
    if not found:
        raise ValueError(f"there is no problem in {folder}: none of its files ends in {', '.join(READABLE)}")
    return [Case(str(path), *read(path).shape) for path in found]


def _load_stored(case: Case) -> AlignmentProblem:
    """Read a stored instance; write it first if it is not there."""
    path = _path_of(case)
    if not path.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        mapped = case.stored == "mapped"
        save_problem(_drawn(case) if mapped else _make_in_memory(case), path, overwrite=True, chunked=mapped)
    return load_problem(path)


def remove_stored(case: Case) -> None:
    """Remove the files of a stored instance."""
    path = _path_of(case)
    path.unlink(missing_ok=True)
    shutil.rmtree(path.with_suffix(".fitness"), ignore_errors=True)


def _path_of(case: Case) -> Path:
    return FOLDER / f"{case.name}.npz"


def _drawn(case: Case) -> AlignmentProblem:
    """Return ``uniform`` without its matrix: float32 in [0, 1), drawn again each time that a block is read."""
    shape = case.num_clients, case.num_experts

    def read(start: int, stop: int) -> RealArray:
        blocks = [_block(case, number) for number in range(start // DRAWN, -(-stop // DRAWN))]
        first = start // DRAWN * DRAWN
        whole = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
        return whole[start - first : stop - first]

    rng = np.random.default_rng([case.seed, *shape])
    return balanced(rng, RowBlocks(shape, np.float32, read))


def _block(case: Case, number: int) -> RealArray:
    rows = min(DRAWN, case.num_clients - number * DRAWN)
    return np.random.default_rng([case.seed, number]).random((rows, case.num_experts), dtype=np.float32)

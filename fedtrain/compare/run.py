"""Runs the cells of a comparison, each in its own process and with its own file, so that it can be continued.

A cell's file is written completely or not at all. Its name contains a digest of the cell's configuration. So after a
change of the plan, changed cells are run and unchanged cells are read. The number of processes affects only the
duration.
"""

import csv
import math
import multiprocessing
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing.connection import wait
from pathlib import Path
from typing import TypeAlias

import numpy as np

from alignsolve.numerics import FloatArray
from fedtrain.compare.cell import Line, run_cell
from fedtrain.compare.plan import Cell
from fedtrain.results import atomic
from fedtrain.results.run_folder import csv_text

Curves: TypeAlias = Mapping[str, FloatArray]
"""A cell's results: one array of (num_rounds,) float64 per column of :class:`~fedtrain.compare.cell.Line`."""


def run_cells(cells: Iterable[Cell], folder: Path, *, workers: int) -> Iterator[tuple[Cell, bool]]:
    """Run the cells that have no file yet; existing files are not changed.

    Parameters
    ----------
    cells
        The cells whose files are wanted.
    folder
        Folder of the cells' files; it is created if needed.
    workers
        Number of processes. Each uses the number of threads in its cell's configuration.

    Yields
    ------
    tuple
        Each cell as soon as its file exists, and whether it was run now.

    Raises
    ------
    ConfigError, SolveError
        From a cell that cannot be run. Cells that are already running are finished first, and their files are kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Cells that have a file are done.
    missing = []
    for cell in cells:
        if file_of(cell, folder).exists():
            yield cell, False
        else:
            missing.append(cell)
    # The others run in worker processes.
    with worker_pool(workers) as pool:
        under_way = {pool.submit(_run, cell, folder): cell for cell in missing}
        try:
            for done in as_completed(under_way):
                done.result()
                yield under_way[done], True
        finally:
            pool.shutdown(cancel_futures=True)


def worker_pool(workers: int) -> ProcessPoolExecutor:
    """Return a pool of fresh processes that end with this one."""
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent)


def file_of(cell: Cell, folder: Path) -> Path:
    """Return the path of a cell's file."""
    return folder / f"{cell.key}.csv"


def read_cell(cell: Cell, folder: Path) -> Curves:
    """Read a cell's lines.

    Raises
    ------
    ValueError
        If the file is not a cell's complete file; the message names it.
    """
    path, rounds = file_of(cell, folder), cell.config.rounds
    lines = read_lines(path)
    if len(lines) != rounds or any(len(line) != len(Line._fields) for line in lines):
        raise ValueError(f"{path} does not hold {rounds} whole lines; remove it, and it is run anew")
    values = np.array([[float(field or math.nan) for field in line] for line in lines])
    return {name: values[:, k] for k, name in enumerate(Line._fields)}


def read_lines(path: Path) -> list[list[str]]:
    """Check a file's header, and return the lines below it as text."""
    header, *lines = list(csv.reader(path.read_text(encoding="utf-8").splitlines())) or [[]]
    if tuple(header) != Line._fields:
        raise ValueError(f"{path} was written by another version; remove it, and it is run anew")
    return lines


def _end_with_parent() -> None:
    """Make a worker end when its parent is killed; a killed parent cannot stop its workers."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # only workers call this
    sentinel = parent.sentinel

    def watch() -> None:
        wait([sentinel])
        os._exit(1)  # safe at any time: files are written completely or not at all

    threading.Thread(target=watch, daemon=True).start()


def _run(cell: Cell, folder: Path) -> None:
    lines = [Line._fields, *(map(_field, line) for line in run_cell(cell))]
    atomic.replace_text(file_of(cell, folder), csv_text(lines))


def _field(value: float) -> str:
    """Write a value with nine significant digits: enough for every float32, and shorter than a full float64."""
    if isinstance(value, int):
        return str(value)
    return "" if math.isnan(value) else f"{value:.9g}"

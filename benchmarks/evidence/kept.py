"""The raw rows of the evidence, kept in the repository as one file: every round of every run.

Each cell of a comparison is run into its own file (:mod:`fedtrain.compare.run`), so that a comparison can stop at any
time. The kept file packs all cells: each line starts with the cell's name, which holds a digest of its configuration.
Unpacked cells are found by their names and not run again. A cell whose configuration has changed has a new name, so it
is run.
"""

import csv
import gzip
import io
import itertools
from collections.abc import Iterable
from pathlib import Path

from fedtrain.compare.cell import Line
from fedtrain.compare.plan import Plan
from fedtrain.compare.run import read_lines
from fedtrain.results import atomic

KEPT = Path(__file__).parents[1] / "results" / "evidence.csv.gz"


def pack(cells: Iterable[Path], out: Path = KEPT) -> None:
    """Pack cells into one file, sorted by name; equal cells give the same bytes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("cell", *Line._fields))
    for path in sorted(cells):
        writer.writerows((path.stem, *line) for line in read_lines(path))
    packed = gzip.compress(text.getvalue().encode(), mtime=0)

    def write(part: Path) -> None:
        part.write_bytes(packed)

    atomic.replace_file(out, write)


def cells_of(plans: Iterable[Plan], folder: Path) -> list[Path]:
    """Return the cells in a folder that a plan may need with any of its settings; cells of other plans are left out."""
    names = {
        plan.cell(task, alignment, setting, seed).key
        for plan in plans
        for task, alignment, setting in itertools.product(plan.tasks, plan.alignments, plan.settings)
        for seed in (*plan.tuning_seeds, *plan.seeds)
    }
    return [path for path in sorted(folder.glob("*.csv")) if path.stem in names]


def unpack(folder: Path, kept: Path = KEPT) -> int:
    """Write every kept cell that is not in the folder; return how many. None if the columns have another version."""
    if not kept.exists():
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    rows = csv.reader(io.StringIO(gzip.decompress(kept.read_bytes()).decode()))
    if tuple(next(rows, ())) != ("cell", *Line._fields):
        return 0
    cells: dict[str, list[str]] = {}
    for cell, *line in rows:
        cells.setdefault(cell, [",".join(Line._fields)]).append(",".join(line))
    missing = {cell: lines for cell, lines in cells.items() if not (folder / f"{cell}.csv").exists()}
    for cell, lines in missing.items():
        atomic.replace_text(folder / f"{cell}.csv", "\n".join(lines) + "\n")
    return len(missing)

"""The raw rows of the evidence, kept in the repository as one file: every round of every run.

Cells are run one file each (:mod:`fedtrain.compare.run`), so that a run can stop anywhere. What is kept is all of them,
packed: their names, which hold a digest of their configurations, before their lines. Unpacked, they are found by those
digests and not run again; where a configuration has changed, they are not found.
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
    """Write cells into one file, in the order of their names; equal cells give an equal file, byte by byte."""
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
    """Find the cells in a folder that a plan may ask for, whichever settings are chosen; not those of plans before."""
    names = {
        plan.cell(task, alignment, setting, seed).key
        for plan in plans
        for task, alignment, setting in itertools.product(plan.tasks, plan.alignments, plan.settings)
        for seed in (*plan.tuning_seeds, *plan.seeds)
    }
    return [path for path in sorted(folder.glob("*.csv")) if path.stem in names]


def unpack(folder: Path, kept: Path = KEPT) -> int:
    """Write every cell that is kept and not yet in the folder; return how many. Of other versions, none."""
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

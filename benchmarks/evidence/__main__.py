"""``python -m benchmarks.evidence``: run the missing runs, keep their rows, and write docs/evidence.md.

It resumes where it was stopped, and keeps all finished runs. Runs whose rows are kept in the repository are not run
again; ``--fresh`` runs everything.
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.evidence.kept import cells_of, pack, unpack
from benchmarks.evidence.page import write_page
from fedtrain.compare.comparison import execute
from fedtrain.compare.plan import read_plan

PLANS = Path(__file__).parent
ROOT = PLANS.parents[1]


def evidence(
    workers: Annotated[int, typer.Option(min=1, help="Number of runs at the same time.")] = 2,
    out: Annotated[Path, typer.Option(help="Folder of the runs.")] = ROOT / "runs" / "evidence",
    fresh: Annotated[bool, typer.Option("--fresh", help="Ignore the kept rows, and run everything.")] = False,
) -> None:
    """Run the comparison of docs/protocol.md, and write docs/evidence.md."""
    console, cells = Console(), out / "cells"
    if not fresh:
        console.print(f"{unpack(cells)} runs taken from the kept rows")
    plans = [PLANS / f"{name}.toml" for name in ("main", "ablation", "longer")]
    try:
        compared = [execute(plan, out, workers=workers, console=console, cells=cells) for plan in plans]
    finally:
        pack(cells_of(map(read_plan, plans), cells))
    write_page(*compared, docs=ROOT / "docs")


if __name__ == "__main__":
    typer.run(evidence)

"""``python -m benchmarks.evidence``: run what is missing, keep the rows, write docs/evidence.md.

Goes on where it was stopped, and keeps what was done when it is. What is kept in the repository is not run again;
``--fresh`` runs everything.
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
    workers: Annotated[int, typer.Option(min=1, help="Runs at the same time.")] = 2,
    out: Annotated[Path, typer.Option(help="Folder in which the runs are made.")] = ROOT / "runs" / "evidence",
    fresh: Annotated[bool, typer.Option("--fresh", help="Do not use the rows that are kept.")] = False,
) -> None:
    """Answer docs/protocol.md."""
    console, cells = Console(), out / "cells"
    if not fresh:
        console.print(f"{unpack(cells)} runs taken from what is kept")
    plans = [PLANS / f"{name}.toml" for name in ("main", "ablation", "longer")]
    try:
        compared = [execute(plan, out, workers=workers, console=console, cells=cells) for plan in plans]
    finally:
        pack(cells_of(map(read_plan, plans), cells))
    write_page(*compared, docs=ROOT / "docs")


if __name__ == "__main__":
    typer.run(evidence)

"""``python -m benchmarks.evidence``: run what is missing, keep the rows, write docs/evidence.md.

Goes on where it was stopped. What is kept in the repository is not run again, so that on a fresh clone it only writes
the page; ``--fresh`` runs everything.
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.evidence.kept import pack, unpack
from benchmarks.evidence.page import write_page
from fedtrain.compare.comparison import execute

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
    main, ablation = (
        execute(PLANS / f"{name}.toml", out, workers=workers, console=console, cells=cells)
        for name in ("main", "ablation")
    )
    pack({*main.cells, *ablation.cells})
    write_page(main, ablation, ROOT / "docs")


if __name__ == "__main__":
    typer.run(evidence)

"""``python -m benchmarks.evidence``: run the missing runs, keep their rows, and write docs/evidence.md.

It resumes where it was stopped, and keeps all finished runs. Runs whose rows are kept in the repository are not run
again; ``--fresh`` runs everything.

``--protocol 2`` runs a piece of docs/protocol-2.md instead: for ``--minutes``, from where the last piece stopped.
"""

import math
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.evidence.kept import cells_of, pack, unpack
from benchmarks.evidence.page import write_page
from benchmarks.evidence.second.devices import read_pool
from benchmarks.evidence.second.page import write_part
from benchmarks.evidence.second.pieces import KEPT, left_by_task, run_piece
from benchmarks.evidence.second.plan import read_protocol
from benchmarks.evidence.second.row import read_rows
from benchmarks.evidence.second.tuning import Tuning
from fedtrain.compare.comparison import execute
from fedtrain.compare.plan import read_plan

PLANS = Path(__file__).parent
ROOT = PLANS.parents[1]


def evidence(
    workers: Annotated[int, typer.Option(min=1, help="Number of runs at the same time.")] = 2,
    out: Annotated[Path, typer.Option(help="Folder of the runs.")] = ROOT / "runs" / "evidence",
    fresh: Annotated[bool, typer.Option("--fresh", help="Ignore the kept rows, and run everything.")] = False,
    protocol: Annotated[int, typer.Option(min=1, max=2, help="1: docs/protocol.md, 2: docs/protocol-2.md.")] = 1,
    minutes: Annotated[float, typer.Option(help="Protocol 2: minutes to run for.")] = 30.0,
    left: Annotated[bool, typer.Option("--left", help="Protocol 2: print how many runs and hours are left.")] = False,
    devices: Annotated[Path | None, typer.Option(help="Protocol 2: folder of real phones.csv and links.csv.")] = None,
) -> None:
    """Run the comparison of docs/protocol.md and write docs/evidence.md, or run a piece of docs/protocol-2.md."""
    console, cells = Console(), out / "cells"
    if protocol == 2 and left:
        print_left(console)
        return
    if protocol == 2:
        # Rows with real devices are no rows of the protocol: they are kept beside the runs.
        pool, kept = (None, KEPT) if devices is None else (read_pool(devices), out / "evidence-2-real.csv.gz")
        rest = run_piece(read_protocol(), minutes=minutes, workers=workers, console=console, pool=pool, kept=kept)
        console.print(f"left: {rest.tuning} runs for tuning that are known by now, {rest.judging} runs for judging")
        console.print(f"the kept runs took {rest.hours:.2f} hours of a processor")
        return
    if not fresh:
        console.print(f"{unpack(cells)} runs taken from the kept rows")
    plans = [PLANS / f"{name}.toml" for name in ("main", "ablation", "longer")]
    try:
        compared = [execute(plan, out, workers=workers, console=console, cells=cells) for plan in plans]
    finally:
        pack(cells_of(map(read_plan, plans), cells))
    write_page(*compared, docs=ROOT / "docs", second=write_part(read_protocol(), read_rows(KEPT), ROOT / "docs"))


def print_left(console: Console, kept: Path = KEPT) -> None:
    """Print what is left of the second protocol, task by task, with the hours that measured runs let expect."""
    rows = read_rows(kept)
    tasks = left_by_task(Tuning(read_protocol(), rows))
    for one in tasks:
        told = "not measured" if math.isnan(one.hours) else f"{one.seconds:.1f} s a run, {one.hours:.2f} hours"
        console.print(f"{one.task}: {one.tuning} runs for tuning, {one.judging} for judging; {told}", highlight=False)
    unknown = sum(one.tuning + one.judging for one in tasks if math.isnan(one.hours))
    hours = math.fsum(one.hours for one in tasks if not math.isnan(one.hours))
    number = sum(one.tuning + one.judging for one in tasks)
    console.print(f"left: {number} runs; {number - unknown} of them take {hours:.2f} hours of a processor")
    console.print(f"not measured: {unknown} runs of tasks without a kept row")
    console.print(f"the kept runs took {math.fsum(row.cpu for row in rows.values()) / 3600.0:.2f} hours of a processor")


if __name__ == "__main__":
    typer.run(evidence)

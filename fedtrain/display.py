"""The display of a running run: a live table in a terminal, plain lines anywhere else."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from fedtrain.results.history import Row

SHOWN_ROUNDS = 12
"""Rows of the live table: the newest rounds."""


Show: TypeAlias = Callable[[Row], None]
"""A function that shows a round which has just ended."""


@contextmanager
def showing(console: Console, name: str, num_rounds: int) -> Iterator[Show]:
    """Show a run's rounds as they end.

    A terminal shows a progress bar above a table. Any other console gets one line per round.
    """
    if not console.is_terminal:
        yield lambda row: console.print(_line(row, num_rounds), highlight=False, soft_wrap=True)
        return
    rows: deque[Row] = deque(maxlen=SHOWN_ROUNDS)
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    progress = Progress(TextColumn("[bold]{task.description}"), *columns, console=console)
    task = progress.add_task(name, total=num_rounds)

    def show(row: Row) -> None:
        rows.append(row)
        progress.update(task, completed=row.round)

    with Live(console=console, get_renderable=lambda: Group(progress, _table(rows)), refresh_per_second=4):
        yield show


def _line(row: Row, num_rounds: int) -> str:
    """Return a round as one line of text."""
    width = len(str(num_rounds))
    return (
        f"round {row.round:{width}}/{num_rounds}  accuracy {row.accuracy:.4f}  loss {row.loss:.4f}  "
        f"load CV {row.load_cv:.3f}  {row.status} {row.proof} gap {row.gap:.1e}  {row.round_seconds:.2f} s"
    )


def _table(rows: Iterable[Row]) -> Table:
    """Return rounds as a table."""
    table = Table(box=None, pad_edge=False)
    for heading in ("round", "accuracy", "loss", "load CV", "certificate", "gap", "clients", "seconds"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(
            str(row.round),
            f"{row.accuracy:.4f}",
            f"{row.loss:.4f}",
            f"{row.load_cv:.3f}",
            f"[{'green' if row.status == 'OPTIMAL' else 'yellow'}]{row.status} {row.proof}[/]",
            f"{row.gap:.1e}",
            f"{row.merged}/{row.clients}",
            f"{row.round_seconds:.2f}",
        )
    return table

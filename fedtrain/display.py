"""What a run shows while it runs: a live table in a terminal, plain lines anywhere else."""

from collections import deque
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from fedtrain.results.row import Row

SHOWN_ROUNDS = 12


class Display(Protocol):
    """Shows rounds as they end; a context manager."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, row: Row) -> None:
        """Show a round that has just ended."""
        ...


def make_display(console: Console, name: str, num_rounds: int) -> Display:
    """Choose by what the console is."""
    return LiveDisplay(console, name, num_rounds) if console.is_terminal else PlainDisplay(console, num_rounds)


class PlainDisplay:
    """A line per round, for logs and pipes."""

    def __init__(self, console: Console, num_rounds: int) -> None:
        self.console = console
        self.num_rounds = num_rounds

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def show(self, row: Row) -> None:
        """Print the round's line."""
        width = len(str(self.num_rounds))
        line = (
            f"round {row.round:{width}}/{self.num_rounds}  accuracy {row.accuracy:.4f}  loss {row.loss:.4f}  "
            f"load CV {row.load_cv:.3f}  {row.status} {row.proof} gap {row.gap:.1e}  {row.round_seconds:.2f} s"
        )
        self.console.print(line, highlight=False, soft_wrap=True)


class LiveDisplay:
    """A progress bar above a table of the latest rounds, redrawn in place."""

    def __init__(self, console: Console, name: str, num_rounds: int) -> None:
        self.rows: deque[Row] = deque(maxlen=SHOWN_ROUNDS)
        self.progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self.task = self.progress.add_task(name, total=num_rounds)
        self.live = Live(console=console, get_renderable=self._draw, refresh_per_second=4)

    def __enter__(self) -> Self:
        self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.live.stop()

    def show(self, row: Row) -> None:
        """Add the round to the table."""
        self.rows.append(row)
        self.progress.update(self.task, completed=row.round)

    def _draw(self) -> Group:
        table = Table(box=None, pad_edge=False)
        for heading in ("round", "accuracy", "loss", "load CV", "certificate", "gap", "clients", "seconds"):
            table.add_column(heading, justify="right")
        for row in self.rows:
            certificate = f"[{'green' if row.status == 'OPTIMAL' else 'yellow'}]{row.status} {row.proof}[/]"
            table.add_row(
                str(row.round),
                f"{row.accuracy:.4f}",
                f"{row.loss:.4f}",
                f"{row.load_cv:.3f}",
                certificate,
                f"{row.gap:.1e}",
                f"{row.merged}/{row.clients}",
                f"{row.round_seconds:.2f}",
            )
        return Group(self.progress, table)

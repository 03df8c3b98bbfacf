"""What a comparison will take before it starts: its runs, and how long they last."""

import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from fedtrain.compare.cell import run_cell
from fedtrain.compare.plan import Cell, Plan
from fedtrain.compare.run import file_of, read_cell, worker_pool
from fedtrain.report.units import seconds


class Forecast(NamedTuple):
    """What a comparison takes.

    Attributes
    ----------
    runs, done
        Number of runs, and how many of them are kept from before.
    rounds
        Rounds of the runs that are missing, all together.
    seconds
        Wall-clock time that the missing runs will take, in seconds.
    workers
        Runs at the same time.
    """

    runs: int
    done: int
    rounds: int
    seconds: float
    workers: int

    def __str__(self) -> str:
        """Return one line for people."""
        if self.done == self.runs:
            return f"{self.runs} runs, all of them kept from before"
        kept = f", {self.done} kept from before" if self.done else ""
        at_once = f"with {self.workers} at the same time" if self.workers > 1 else "one after the other"
        return f"{self.runs} runs{kept}; {self.rounds} rounds to do, about {seconds(self.seconds)} {at_once}"


def forecast(plan: Plan, folder: Path, *, workers: int) -> Forecast:
    """Estimate what a comparison takes.

    The time of a task's run is that of a run that is kept, or else that of a short trial. If settings are tuned, the
    runs for judging are taken to have the first setting.

    Parameters
    ----------
    plan
        The comparison.
    folder
        Folder of the cells' files.
    workers
        Number of runs at the same time.

    Raises
    ------
    ConfigError, SolveError
        From a trial that cannot be run.
    """
    cells = [*plan.tuning_cells(), *plan.judging_cells()]
    missing = [cell for cell in cells if not file_of(cell, folder).exists()]
    costs = {}
    with worker_pool(1) as pool:
        for task in dict.fromkeys(cell.task for cell in missing):
            costs[task] = _cost([cell for cell in cells if cell.task == task], folder, pool)
    busy = sum(costs[cell.task].per_round * cell.config.rounds for cell in missing)
    start = max((cost.start for cost in costs.values()), default=0.0)
    rounds = sum(cell.config.rounds for cell in missing)
    total = start + busy / min(workers, max(len(missing), 1))
    return Forecast(len(cells), len(cells) - len(missing), rounds, total, workers)


class _Cost(NamedTuple):
    """Seconds of a task's run per round, and of the start of a process, which imports and compiles."""

    per_round: float
    start: float


def _cost(cells: Sequence[Cell], folder: Path, pool: ProcessPoolExecutor) -> _Cost:
    """Return what a task's run costs, by its runs that are kept, or else by a trial."""
    for cell in cells:
        if file_of(cell, folder).exists():
            return _Cost(float(read_cell(cell, folder)["round_seconds"].mean()), 0.0)
    return pool.submit(_trial, cells[0]).result()


def _trial(cell: Cell) -> _Cost:
    """Run one round twice: the first time code may be compiled, the second is timed."""
    short = replace(cell, config=replace(cell.config, rounds=1))
    started = time.perf_counter()
    run_cell(short)
    between = time.perf_counter()
    [line] = run_cell(short)
    ended = time.perf_counter()
    before_the_round = ended - between - line.round_seconds
    return _Cost(line.round_seconds + before_the_round / cell.config.rounds, max(0.0, 2.0 * between - started - ended))

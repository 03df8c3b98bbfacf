"""Runs the second protocol in pieces: what is missing, for so many minutes, with so many workers.

First come the runs for tuning, task by task, the reference before the others, because it sets the targets. Then, with
every setting chosen, come the runs for judging, study by study and seed by seed. Every finished run is a row of the
kept file, which is written at least every half minute. So a piece may be stopped at any time, and the next one goes on.
"""

import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from itertools import pairwise, product
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from benchmarks.evidence.second.devices import Pool
from benchmarks.evidence.second.plan import Entry, Protocol
from benchmarks.evidence.second.row import Row, read_rows, write_rows
from benchmarks.evidence.second.tuning import Tuning, stages
from fedtrain.compare.run import worker_pool

KEPT = Path(__file__).parents[2] / "results" / "evidence-2.csv.gz"
SAVED_EVERY = 30.0
"""Seconds between two writings of the kept file."""


class Left(NamedTuple):
    """What is still to be done: runs for tuning (those known by now), and runs for judging; and the hours so far.

    Attributes
    ----------
    tuning, judging
        Numbers of runs.
    hours
        Hours of the processor that the kept runs took.
    """

    tuning: int
    judging: int
    hours: float


def next_entries(tuning: Tuning) -> Iterator[Entry]:
    """Yield the runs that can start now, in the order of the protocol; each once."""
    seen, complete = set(tuning.rows), True
    for entry in _missing_of_tuning(tuning):
        complete = False
        if entry.key not in seen:
            seen.add(entry.key)
            yield entry
    if complete:
        for entry in judged(tuning):
            if entry.key not in seen:
                seen.add(entry.key)
                yield entry


def judged(tuning: Tuning) -> Iterator[Entry]:
    """Yield all runs for judging, study by study and seed by seed; those without a chosen setting are left out."""
    protocol = tuning.protocol
    for study in protocol.studies.values():
        for seed, task, alignment in product(protocol.seeds(study), study.tasks, study.alignments):
            first = next(iter(protocol.settings(task)))
            setting = tuning.chosen(task, alignment) if study.tuned else first
            if setting is not None:
                yield tuning.entry(task, alignment, setting, seed)


def left(tuning: Tuning) -> Left:
    """Count the runs without a row."""
    studies = tuning.protocol.studies.values()
    to_judge = sum(study.seeds * len(study.tasks) * len(study.alignments) for study in studies)
    done = sum(entry.key in tuning.rows for entry in judged(tuning))
    hours = sum(row.cpu for row in tuning.rows.values()) / 3600.0
    return Left(sum(1 for _ in _missing_of_tuning(tuning)), to_judge - done, hours)


class TaskLeft(NamedTuple):
    """What is still to be done of a task.

    Attributes
    ----------
    task
        Its name.
    tuning, judging
        Numbers of runs.
    seconds
        Mean seconds of the processor of the task's kept runs; NaN if there are none.
    """

    task: str
    tuning: int
    judging: int
    seconds: float

    @property
    def hours(self) -> float:
        """Hours of the processor, if the runs take as long as those that are kept."""
        return (self.tuning + self.judging) * self.seconds / 3600.0


def left_by_task(tuning: Tuning) -> list[TaskLeft]:
    """Count the runs without a row by task, those of later stages of tuning included; hours are of measured rows only.

    Tasks with nothing left are left out.
    """
    protocol, found = tuning.protocol, []
    to_tune = Counter[str]()
    for task, alignment in protocol.pairs():
        settings, seeds = protocol.settings(task), protocol.tuning_seeds
        steps = [(0, 0), *stages(len(settings), len(seeds))]
        planned = sum(count * (number - before) for (_, before), (count, number) in pairwise(steps))
        entries = (tuning.entry(task, alignment, *each) for each in product(settings, seeds))
        to_tune[task] += planned - sum(entry.key in tuning.rows for entry in entries)
    to_judge = Counter[str]()
    for study in protocol.studies.values():
        to_judge.update({task: study.seeds * len(study.alignments) for task in study.tasks})
    to_judge.subtract(entry.task.name for entry in judged(tuning) if entry.key in tuning.rows)
    for task in protocol.tasks:
        known = [row.cpu for row in tuning.rows.values() if row.task == task]
        if to_tune[task] or to_judge[task]:
            seconds = math.fsum(known) / len(known) if known else math.nan
            found.append(TaskLeft(task, to_tune[task], to_judge[task], seconds))
    return found


def run_piece(
    protocol: Protocol,
    *,
    minutes: float,
    workers: int,
    console: Console,
    pool: Pool | None = None,
    kept: Path = KEPT,
) -> Left:
    """Run what is missing until the time is over, and keep the rows.

    Parameters
    ----------
    protocol
        The plan.
    minutes
        Time on the clock. No run starts that would not end in it, judging by earlier runs of its task.
    workers
        Runs at the same time.
    console
        Console for progress.
    pool
        Real devices to draw from; None: the distribution. Rows with real devices belong into a file of their own.
    kept
        The file of rows.

    Returns
    -------
    Left
        What is left to do.
    """
    rows, ends, saved = read_rows(kept), time.monotonic() + 60.0 * minutes, time.monotonic()
    tuning = Tuning(protocol, rows)
    under_way: dict[Future[Row], Entry] = {}
    with worker_pool(workers) as processes:
        try:
            while True:
                waiting = {entry.key for entry in under_way.values()}
                for entry in next_entries(tuning):
                    if len(under_way) >= workers or time.monotonic() + _expected(entry, rows) > ends:
                        break
                    if entry.key not in waiting:
                        under_way[processes.submit(run_entry, entry, pool)] = entry
                if not under_way:
                    break
                done, _ = wait(under_way, return_when=FIRST_COMPLETED)
                for future in done:
                    row = future.result()
                    rows[row.key] = row
                    del under_way[future]
                    console.print(f"{len(rows)}: {row.key} {row.outcome}, {row.wall:.0f} s", highlight=False)
                if time.monotonic() - saved > SAVED_EVERY:
                    write_rows(kept, rows.values())
                    saved = time.monotonic()
        finally:
            processes.shutdown(cancel_futures=True)
            write_rows(kept, rows.values())
    return left(tuning)


def run_entry(entry: Entry, pool: Pool | None = None) -> Row:
    """Run an entry by its loop."""
    if entry.task.loop == "fedtrain":
        from benchmarks.evidence.second.run import run  # noqa: PLC0415  (imports torch, which the parent does not need)

        return run(entry, pool)
    from benchmarks.evidence.second.olmoe import run as run_olmoe  # noqa: PLC0415  (imports transformers)

    return run_olmoe(entry)


def _missing_of_tuning(tuning: Tuning) -> Iterator[Entry]:
    """Yield the runs for tuning that can start: of the reference first, of the others once its setting is known."""
    protocol = tuning.protocol
    pairs = list(protocol.pairs())
    for task in dict.fromkeys(task for task, _ in pairs):
        of_reference = tuning.missing(task, protocol.reference)
        yield from of_reference
        if not of_reference:
            for known, alignment in pairs:
                if known == task and alignment != protocol.reference:
                    yield from tuning.missing(task, alignment)


def _expected(entry: Entry, rows: Mapping[str, Row]) -> float:
    """Return the mean seconds of a task's runs so far; 0 if there are none."""
    walls = [row.wall for row in rows.values() if row.task == entry.task.name]
    return sum(walls) / len(walls) if walls else 0.0

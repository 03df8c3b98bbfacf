"""Time-to-gap curves: what a contender has found, and proven, after how many seconds.

``python -m benchmarks.curves --suite real`` follows each contender on each instance, one after the other, each in a
process of its own. Every better objective and lower bound becomes a point, timed from the raw arrays on. What a solver
says on the way is its own word; the last point is its answer, checked. A contender that does not tell how it gets on
has that point only. One that is killed at the end of its time keeps the points that it has told.

The points are in ``curves-SUITE.csv`` beside the rows of the races. A run that is started again runs what is missing.
"""

import csv
import fnmatch
import json
import math
import os
import selectors
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import typer

from alignsolve.commands.turns import LeftRaceError
from benchmarks.case import Case
from benchmarks.machine import now, this_machine
from benchmarks.measure import Runner, enter_again
from benchmarks.program import MARK
from benchmarks.report import RESULTS
from benchmarks.suites import Suite, real_suite, suites
from benchmarks.trial import Trial
from problems.real_inputs import sources

FOLLOWED = {
    "real": ("auto", "lagrangian", "budgets", "cpsat", "ilp", "highs-mip", "ortools"),
    "shapes": ("auto", "price", "ortools", "scipy-lsa", "lapx"),
}
"""Contenders whose curves are kept, by suite; of other suites all."""
GRACE = 15.0
"""Seconds beyond the time limit after which a contender is killed."""


@dataclass(frozen=True)
class Point:
    """What a contender had after some seconds.

    Attributes
    ----------
    instance, contender
        Who, on what.
    seconds
        From the raw arrays on.
    objective, bound
        The best objective and the lowest bound so far; −inf and inf where there is none.
    outcome
        "running" for what the contender said on the way. Of the last point, its outcome as in a race: "answered" (then
        objective and bound are checked), "timeout", "refused" …
    commit, date
        When it was measured.
    """

    instance: str
    contender: str
    seconds: float
    objective: float
    bound: float
    outcome: str
    commit: str
    date: str


class Follower(Runner):
    """A contender in its own process, which tells how it gets on."""

    def follow(self) -> Iterator[tuple[float, float, float, str]]:
        """Yield seconds, objective, bound and outcome of each point; the last one's outcome is not "running"."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": "follow"}).encode() + b"\n")
        self.process.stdin.flush()
        started = time.monotonic()
        objective, bound = -math.inf, math.inf
        for line in self._lines(started + self.timeout):
            reply = json.loads(line)
            if "outcome" in reply:
                trial = Trial(**reply)
                best = -math.inf if trial.objective is None else trial.objective
                yield trial.total_seconds, best, trial.bound, trial.outcome
                return
            seconds, found, shown = reply["point"]
            if found > objective or shown < bound:
                objective, bound = max(objective, found), min(bound, shown)
                yield seconds, objective, bound, "running"
        took = time.monotonic() - started
        self.usable = False
        yield took, objective, bound, "timeout" if took >= self.timeout else "crashed"

    def _lines(self, until: float) -> Iterator[bytes]:
        """Yield the process's lines until it ends or the time is up."""
        assert self.process.stdout is not None
        kept, number = b"", self.process.stdout.fileno()
        with selectors.DefaultSelector() as selector:
            selector.register(number, selectors.EVENT_READ)
            while (left := until - time.monotonic()) > 0.0 and selector.select(left):
                more = os.read(number, 1 << 16)
                if not more:
                    return
                *lines, kept = (kept + more).split(b"\n")
                yield from lines


def points_of(
    case: Case, contender: str, seconds: float, commit: str, waiting: dict[str, Runner] | None = None
) -> list[Point]:
    """Follow one contender on one instance.

    Parameters
    ----------
    case
        The instance.
    contender
        Its name, see :mod:`benchmarks.entrants`.
    seconds
        Time limit of solvers that take one; some seconds later, all are killed.
    commit
        Is noted in each point.
    waiting
        Processes of earlier instances, see :func:`benchmarks.measure.race`.
    """
    limits = {"timeout": seconds + GRACE, "time_limit": seconds}
    runner = enter_again(Follower, contender, case, waiting=waiting, **limits)
    try:
        runner.prepare()
        told = list(runner.follow())
    except LeftRaceError as left:
        told = [(0.0, -math.inf, math.inf, left.trial.outcome)]
    finally:
        runner.close()
    date = now()
    return [Point(case.name, contender, *point, commit, date) for point in told]


def read_points(path: Path) -> list[Point]:
    """Read all points of a file; none where there is no file.

    Raises
    ------
    ValueError
        If the file has other columns.
    """
    if not path.exists():
        return []
    kinds = {each.name: each.type for each in fields(Point)}
    with path.open(newline="", encoding="utf-8") as file:
        lines = csv.DictReader(file)
        if lines.fieldnames != list(kinds):
            raise ValueError(f"{path.name} is no file of points: its columns must be {', '.join(kinds)}")
        return [Point(**{name: _CELL[kinds[name]](cell) for name, cell in line.items()}) for line in lines]


_CELL: dict[Any, Any] = {str: str, float: float}


def follow(suite: Suite, contenders: Sequence[str], path: Path, *, seconds: float, only: str = "*") -> None:
    """Follow what is missing in a file, and append its points.

    Parameters
    ----------
    suite
        Its cases are run.
    contenders
        Names.
    path
        CSV file.
    seconds
        Time limit.
    only
        Glob for INSTANCE/CONTENDER.
    """
    done = {(point.instance, point.contender) for point in read_points(path)}
    commit, waiting = this_machine().commit, dict[str, Runner]()
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.write_text(",".join(each.name for each in fields(Point)) + "\n", encoding="utf-8")
    for case in suite.cases:
        for contender in contenders:
            wanted = fnmatch.fnmatchcase(f"{case.name}/{contender}", only)
            if not wanted or (case.name, contender) in done:
                continue
            points = points_of(case, contender, seconds, commit, waiting)
            with path.open("a", newline="", encoding="utf-8") as file:
                csv.writer(file, lineterminator="\n").writerows(asdict(point).values() for point in points)
            last = points[-1]
            typer.echo(f"{last.instance:44} {last.contender:14} {last.outcome} {last.seconds:.2f} s")
    for runner in waiting.values():
        runner.end()


def main(
    suite: Annotated[str, typer.Option(help="A suite of benchmarks.solvers, other than gap.")] = "real",
    data: Annotated[Path | None, typer.Option(help="real: folder of measured inputs; default: the stand-in.")] = None,
    seconds: Annotated[float, typer.Option(help="Time limit of each contender.")] = 10.0,
    only: Annotated[str, typer.Option(help="Glob for INSTANCE/CONTENDER.")] = "*",
    solver: Annotated[list[str] | None, typer.Option(help="Whom to follow as well: package.module:callable.")] = None,
    program: Annotated[list[str] | None, typer.Option(help="A program to follow as well.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the points.")] = RESULTS,
) -> None:
    """Follow contenders over time, resuming where an earlier run stopped."""
    every = suites()
    if suite not in every:
        raise typer.BadParameter(f"there is no suite {suite!r}; there are: {', '.join(every)}")
    chosen = every[suite]
    if suite == "real":
        typer.echo("\n".join(sources(data)))
        chosen = real_suite(None if data is None else str(data))
    contenders = [
        *FOLLOWED.get(suite, chosen.contenders),
        *(solver or []),
        *(f"{MARK}{path}" for path in program or []),
    ]
    path = out / f"curves-{suite}.csv"
    follow(chosen, contenders, path, seconds=seconds, only=only)
    typer.echo(f"points in {path}; python -m docs.pictures.draw curves-{suite} draws them")


if __name__ == "__main__":
    typer.run(main)

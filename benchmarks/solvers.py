"""Race solvers: ``python -m benchmarks.solvers --suite NAME``, a suite of :mod:`benchmarks.suites` or ``gap``.

On every instance of the suite the contenders take turns, each in its own process. Answers are judged by the problem's
own data. Every measurement becomes a raw row at once. A race that is started again resumes where it stopped; choose
another ``--out`` to measure again. At the end, tables and pictures are made from the rows.

Your own solver (any callable of the Solver protocol) and your own problems, against ours and one peer:

    python -m benchmarks.solvers --solver my_package:MySolver --problems my_folder --out my_results
        --only '*/flow' --only '*/ortools' --only '*MySolver'
"""

import fnmatch
import math
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from alignsolve.io import FileError
from benchmarks import gap, overhead, report
from benchmarks.case import Case
from benchmarks.entrants import find
from benchmarks.instances import files, make, remove_stored
from benchmarks.machine import this_machine
from benchmarks.measure import Runner, race
from benchmarks.program import MARK
from benchmarks.rows import Row, Table, make_row
from benchmarks.suites import REFERENCE, Suite, real_suite, suites
from benchmarks.trial import Trial
from problems.real_inputs import read_inputs, sources

QUICK_CLIENTS, QUICK_TIMEOUT = 1000, 20.0
ASKED_HERE = 1 << 21
"""Pairs up to which an instance is made here to ask who refuses it."""


def main(
    suite: Annotated[
        str, typer.Option(help="small, scale, hard, peers, shapes, bytes, real, memory, overhead, limits, budgets, gap")
    ] = "small",
    repeats: Annotated[int | None, typer.Option(help="Repeats of each contender on each instance.")] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds after which an attempt is killed.")] = None,
    time_limit: Annotated[float | None, typer.Option(help="Time limit of our solvers in seconds.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the rows and the reports.")] = report.RESULTS,
    only: Annotated[
        list[str] | None, typer.Option(help="Glob for INSTANCE/CONTENDER, such as '*100000*/flow'.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="gap: a folder of GAP files and bounds.csv; real: one of measured inputs.")
    ] = None,
    solver: Annotated[list[str] | None, typer.Option(help="Your own solver: package.module:callable.")] = None,
    program: Annotated[list[str] | None, typer.Option(help="Your own program that reads and writes files.")] = None,
    problems: Annotated[
        Path | None, typer.Option(help="Your own problems: a folder of .npz, .json, .asn and .min files.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="At most 1000 clients, one repeat, 20 s.")] = False,
) -> None:
    """Race solvers on a suite of instances, resuming where an earlier run stopped."""
    own = [*(solver or []), *(f"{MARK}{path}" for path in program or [])]
    chosen = _customised(suite, own, problems, data, quick=quick)
    if suite == "real" and problems is None:
        typer.echo("\n".join(sources(data)))
    chosen = replace(chosen, repeats=repeats or chosen.repeats, timeout=timeout or chosen.timeout)
    name = f"{suite}-quick" if quick else suite if problems is None else problems.name
    table = Table(out / f"{name}.csv")
    if table.rows:
        commits = ", ".join(sorted({row.commit for row in table.rows}))
        typer.echo(f"{len(table.rows)} rows are in {table.path} already (commits {commits}) and are kept")
    run(name, chosen, table, only=only or ["*"], time_limit=time_limit, in_process=suite == "overhead")
    if table.rows:
        more = gap.sections(table.rows, gap.best_known(data)) if data is not None and suite == "gap" else []
        written = report.write(table.rows, out / name, question=chosen.question, reference=REFERENCE, first=more)
        typer.echo(f"rows in {table.path}, report in {', '.join(map(str, written))}")


def run(
    name: str,
    suite: Suite,
    table: Table,
    *,
    only: list[str] | None = None,
    time_limit: float | None = None,
    in_process: bool = False,
) -> None:
    """Run the measurements that are missing in the table, and append their rows one by one.

    Parameters
    ----------
    name
        Name of the suite in its rows.
    suite
        The suite to race.
    table
        The table of rows; new rows are appended.
    only
        Globs for INSTANCE/CONTENDER; None: all pairs.
    time_limit
        Seconds, the time limit of our solvers; None: the limit of the suite.
    in_process
        Whether to alternate all contenders in this process, for differences of milliseconds.
    """
    machine = this_machine()
    waiting: dict[str, Runner] | None = {} if suite.keep else None
    for case in suite.cases:
        asked = [entrant for entrant in suite.contenders if entrant in (case.asked or suite.contenders)]
        wanted = [entrant for entrant in asked if _matches(f"{case.name}/{entrant}", only or ["*"])]
        missing = table.missing(name, case, wanted, suite.repeats, suite.once_from)
        for entrant in wanted:
            reason = _reason_to_skip(name, suite, table, case, entrant)
            if reason and missing[entrant]:
                skipped = Trial("skipped", reason)
                _record(table, make_row(name, case, entrant, missing.pop(entrant)[0], skipped, machine))
        for entrant, reason in _refusals(case, [each for each in wanted if missing.get(each)]):
            refused = Trial("refused", reason)
            _record(table, make_row(name, case, entrant, missing.pop(entrant)[0], refused, machine))
        if not any(missing.values()):
            continue
        if case.stored:
            make(case)  # not in the contenders' processes, whose peak memory it would raise
        if in_process:
            trials = overhead.alternate(case, missing)
        else:
            default = suite.time_limit if time_limit is None else time_limit
            limit = default if case.time_limit is None else case.time_limit
            own = partial(race, once_from=suite.once_from, waiting=waiting)
            trials = own(case, wanted, missing, timeout=suite.timeout, time_limit=limit)
        for entrant, repeat, trial in trials:
            _record(table, make_row(name, case, entrant, repeat, trial, machine))
        if case.stored:
            remove_stored(case)
            remove_stored(case.warm_up())
    for runner in (waiting or {}).values():
        runner.end()


def _reason_to_skip(name: str, suite: Suite, table: Table, case: Case, entrant: str) -> str:
    """Return why a contender is not asked for an instance; empty if it is."""
    for pattern, reason in suite.left_out.items():
        if _matches(f"{case.name}/{entrant}", [pattern]):
            return f"left out: {reason}"
    most = suite.most_pairs.get(entrant, math.inf)
    if case.num_clients * case.num_experts > most:
        return f"asked for at most {most:,} pairs in this suite"
    slow = table.too_slow(name, case, entrant)
    return "" if slow is None else f"timed out at {slow.num_clients} clients"


def _refusals(case: Case, entrants: list[str]) -> Iterator[tuple[str, str]]:
    """Yield those that refuse a small instance, with their reasons: a process of their own would take seconds."""
    if not entrants or case.stored or case.num_clients * case.num_experts > ASKED_HERE:
        return
    problem = make(case)
    for entrant in entrants:
        try:
            reason = find(entrant).refusal(problem)
        except ImportError:  # its own process says that it is missing
            continue
        if reason is not None:
            yield entrant, reason


def _customised(name: str, own: list[str], folder: Path | None, data: Path | None, *, quick: bool) -> Suite:
    """Return the suite of that name, with the user's own solvers and problems."""
    known = suites()
    if name == "gap":
        if data is None:
            raise typer.BadParameter("the suite gap needs --data, a folder of GAP files and bounds.csv")
        known["gap"] = gap.suite(data)
    if name == "real" and data is not None:
        known["real"] = real_suite(str(data))
    if name not in known:
        raise typer.BadParameter(f"there is no suite {name!r}; there are: {', '.join(known)}")
    suite = known[name]
    if folder is not None:
        try:
            cases = tuple(files(folder))
        except (ValueError, OSError) as error:
            raise typer.BadParameter(str(error)) from error
        suite = replace(suite, cases=cases, question=f"Which contenders solve the problems in {folder.name}?")
    if quick:
        small = tuple(case for case in suite.cases if case.num_clients <= QUICK_CLIENTS)
        suite = replace(suite, cases=small, repeats=1, timeout=QUICK_TIMEOUT)
    for solver in own:
        _check_own(solver)
    if name == "real" and folder is None:
        _check_inputs(data)
    return replace(suite, contenders=(*suite.contenders, *own))


def _check_inputs(folder: Path | None) -> None:
    """Refuse a folder that does not hold the measured inputs, before a long race."""
    try:
        read_inputs(None if folder is None else str(folder))
    except FileError as error:
        raise typer.BadParameter(str(error)) from error


def _check_own(solver: str) -> None:
    """Refuse a solver of the user's own that cannot be made, before a long race and not in its table."""
    if not all(solver.partition(":")):
        raise typer.BadParameter(f"--solver is {solver!r}; it must be package.module:callable")
    here = str(Path.cwd())
    if here not in sys.path:  # the race's own processes find modules in this folder too
        sys.path.append(here)
    try:
        find(solver)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise typer.BadParameter(
            f"--solver is {solver!r}, but it cannot be made from this folder and what is installed: {error}"
        ) from error


def _matches(label: str, patterns: list[str]) -> bool:
    return any(fnmatch.fnmatchcase(label, pattern) for pattern in patterns)


def _record(table: Table, new: Row) -> None:
    table.append(new)
    result = f"{new.total_seconds:9.3f} s {new.peak_mb:8.1f} MB" if new.outcome == "answered" else new.outcome
    typer.echo(f"{new.instance:32} {new.contender:18} #{new.repeat} {result} {new.reason[:80]}")


if __name__ == "__main__":
    typer.run(main)

"""The command line: ``alignsolve solve``, ``verify``, ``diagnose``, ``convert``, ``example``, ``bench`` and more.

A problem is a file of any kind that :func:`alignsolve.io.any_file.read_problem` knows, or ``-``, the standard input.
:class:`ExitCode` lists the exit codes. With ``--json``, stdout holds exactly one JSON object; the texts "inf", "-inf"
and "nan" stand for numbers that are not finite. Messages go to stderr.
"""

import importlib
import math
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Literal

import typer

from alignsolve import front
from alignsolve.certificate.verify import verify as verify_claim
from alignsolve.commands import bench as race
from alignsolve.commands import display
from alignsolve.commands import placement as placing
from alignsolve.commands.example import example as made_example
from alignsolve.commands.options import (
    EPILOG,
    AsJson,
    Clients,
    ExitCode,
    Experts,
    ProblemFile,
    Sets,
    check,
    fail,
    read,
)
from alignsolve.diagnose import diagnose as diagnose_problem
from alignsolve.io import load_solution, save_problem, save_solution
from alignsolve.io.record_file import SUFFIXES, FileError, json_text, write_text
from alignsolve.io.to_tables import beside, save_tables
from alignsolve.problem import AlignmentProblem
from alignsolve.show.pairs import columns_of, csv_text
from alignsolve.solution import Solution, Status

TABLE = ".csv"
FULL_PAIRS = 1 << 27
"""Up to this many pairs, ``diagnose`` makes a sparse problem a full one."""


app = typer.Typer(
    help="Decide which client trains which expert, with a proof.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command(epilog=EPILOG)
def solve(
    problem: ProblemFile,
    clients: Clients = None,
    experts: Experts = None,
    sets: Sets = None,
    solver: Annotated[str, typer.Option(help="A name that `alignsolve solvers` lists.")] = "auto",
    time_limit: Annotated[
        float | None, typer.Option(min=0.0, metavar="SECONDS", help="Time limit of the solver; default: none.")
    ] = None,
    gap: Annotated[float, typer.Option(min=0.0, help="Relative gap at which a solver may stop early.")] = 0.0,
    proof: Annotated[
        Literal["any", "own"], typer.Option(help="own: a back end's word proves nothing; search for prices or a tree.")
    ] = "any",
    seed: Annotated[int, typer.Option(min=0, help="Seed of all random choices.")] = 0,
    threads: Annotated[int | None, typer.Option(min=1, help="Most threads; default: all cores.")] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="Write the answer to OUT: .csv has the selected pairs, .npz and .json all of it.",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it exists.")] = False,
    json: AsJson = False,
) -> None:
    """Find the best alignment of a problem, and check it.

    PROBLEM is a CSV file of pairs (client, expert, fitness), a record (.npz, .json), a DIMACS file, a GAP file of the
    OR-Library, or - for the standard input.
    """
    check(output, overwrite=overwrite, suffixes=(*SUFFIXES, TABLE))
    given = _prepared((problem, clients, experts, sets), solver, time_limit, gap)
    solution = front.solve(
        given, solver, time_limit=time_limit, gap=gap, proof=proof, seed=seed, threads=threads, throw=False
    )
    if json:
        typer.echo(json_text(display.solution_facts(solution)))
    else:
        display.show_solution(display.console(), solution, "-o FILE.csv" if output is None else str(output))
    if output is not None:
        _write(solution, output, overwrite=overwrite)
    raise typer.Exit(_code(solution.status))


def _write(solution: Solution, output: Path, *, overwrite: bool) -> None:
    """Write a solution: the selected pairs as a table, or all of it as a record."""
    if output.suffix == TABLE and solution.assigned is None:
        typer.echo(f"alignsolve: there is no alignment to write; {output} is not written", err=True)
        return
    try:
        if output.suffix == TABLE:
            write_text(output, csv_text(columns_of(solution)), overwrite=overwrite)
        else:
            save_solution(solution, output, overwrite=overwrite)
    except FileError as error:
        fail(error)


def _prepared(
    given: tuple[Path, Path | None, Path | None, Path | None],
    solver: str,
    time_limit: float | None,
    gap: float,
    *,
    full: bool = False,
) -> AlignmentProblem:
    """Read the problem; refuse bad arguments now, before any solving."""
    try:
        if time_limit is not None and math.isnan(time_limit):
            raise ValueError("--time-limit must be a number of seconds")
        call = front.resolve(solver, gap=gap)[1]
        problem = read(*given)
        if full and problem.num_clients * problem.num_experts <= FULL_PAIRS:
            problem = problem.to_dense()
        front.refuse_unsupported(front.simplify(problem, call).problem, solver, call)
    except ValueError as error:
        fail(error)
    return problem


@app.command(epilog=EPILOG)
def verify(
    problem: ProblemFile,
    solution: Annotated[
        Path,
        typer.Argument(metavar="SOLUTION", help="Solution file, .npz or .json, by `alignsolve solve -o`."),
    ],
    clients: Clients = None,
    experts: Experts = None,
    sets: Sets = None,
    json: AsJson = False,
) -> None:
    """Check every claim of a solution file against its problem, and print the differences.

    PROBLEM is a CSV file of pairs (client, expert, fitness), a record (.npz, .json), a DIMACS file, a GAP file of the
    OR-Library, or - for the standard input. SOLUTION is the file (.npz, .json) that
    `alignsolve solve -o` wrote.
    """
    given = read(problem, clients, experts, sets)
    try:
        claim = load_solution(solution)
        checked = verify_claim(given, claim)
    except ValueError as error:
        fail(error)
    if json:
        typer.echo(json_text(display.verification_facts(claim, checked)))
    else:
        display.show_verification(display.console(), claim, checked)
    raise typer.Exit(_code(checked.solution.status) if checked.holds else ExitCode.REFUTED)


@app.command(epilog=EPILOG)
def diagnose(
    problem: ProblemFile,
    clients: Clients = None,
    experts: Experts = None,
    sets: Sets = None,
    solver: Annotated[str, typer.Option(help="A name that `alignsolve solvers` lists.")] = "auto",
    time_limit: Annotated[
        float | None, typer.Option(min=0.0, metavar="SECONDS", help="Time limit of the whole diagnosis; default: none.")
    ] = None,
    weight: Annotated[
        list[str] | None,
        typer.Option(metavar="KIND=NUMBER", help="Cost of changing a kind of bound by one unit; inf: do not change."),
    ] = None,
    exact: Annotated[bool, typer.Option("--exact", help="Solve again for each binding bound of an expert.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all random choices.")] = 0,
    threads: Annotated[int | None, typer.Option(min=1, help="Most threads; default: all cores.")] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="Write the repaired problem to OUT, .npz or .json, if there is a repair.",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it exists.")] = False,
    json: AsJson = False,
) -> None:
    """Explain why a problem has no alignment and how to repair it, or show which bounds bind and their worth.

    PROBLEM is a CSV file of pairs (client, expert, fitness), a record (.npz, .json), a DIMACS file, a GAP file of the
    OR-Library, or - for the standard input.
    """
    check(output, overwrite=overwrite)
    given = _prepared((problem, clients, experts, sets), solver, time_limit, 0.0, full=True)
    try:
        diagnosis = diagnose_problem(given, solver, weights=_weights(weight or []), exact=exact,
                                     time_limit=time_limit, seed=seed, threads=threads)  # fmt: skip
        if output is not None and diagnosis.repair is not None:
            save_problem(diagnosis.repair.problem, output, overwrite=overwrite)
        elif output is not None:
            typer.echo(f"alignsolve: there is no repair to write; {output} is not written", err=True)
    except ValueError as error:
        fail(error)
    if json:
        typer.echo(json_text(display.diagnosis_facts(diagnosis)))
    else:
        display.show_diagnosis(display.console(), diagnosis)
    raise typer.Exit(_code(diagnosis.status))


def _weights(given: list[str]) -> dict[str, float]:
    """Read weights from texts ``kind=number``."""
    read = {}
    for text in given:
        kind, _, number = text.partition("=")
        try:
            read[kind] = float(number)
        except ValueError:
            raise ValueError(f"--weight {text}: it must be a kind and a number, such as client_budget=0.5") from None
    return read


@app.command()
def convert(
    problem: ProblemFile,
    output: Annotated[
        Path,
        typer.Argument(
            metavar="OUT", help="A record, .npz or .json; or .csv, with OUT.clients.csv, OUT.experts.csv, OUT.sets.csv."
        ),
    ],
    clients: Clients = None,
    experts: Experts = None,
    sets: Sets = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what exists.")] = False,
) -> None:
    """Write a problem of any kind as a record, or as tables.

    PROBLEM is a CSV file of pairs (client, expert, fitness), a record (.npz, .json), a DIMACS file, a GAP file of the
    OR-Library, or - for the standard input. OUT is a record (.npz, .json), or a.csv
    for tables: a.csv, a.clients.csv, a.experts.csv, and a.sets.csv if there are sets.
    """
    check(output, overwrite=overwrite, suffixes=(*SUFFIXES, TABLE))
    given = read(problem, clients, experts, sets)
    try:
        if output.suffix == TABLE:
            save_tables(given, output, overwrite=overwrite)
        else:
            save_problem(given, output, overwrite=overwrite)
    except ValueError as error:
        fail(error)
    written = ", ".join(map(str, beside(output, given))) if output.suffix == TABLE else str(output)
    typer.echo(f"{written}: {given!r}", err=True)


@app.command()
def example(
    part: Annotated[
        Literal["pairs", "clients", "experts"], typer.Option(help="Which of the three tables to print.")
    ] = "pairs",
    folder: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write all three into a folder: pairs.csv, clients.csv and experts.csv."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what exists.")] = False,
) -> None:
    """Print a small made-up problem as CSV: phones that train the experts of a language model."""
    texts = dict(zip(("pairs", "clients", "experts"), map(csv_text, made_example()), strict=True))
    if folder is None:
        typer.echo(texts[part], nl=False)
        return
    targets = {folder / f"{name}.csv": text for name, text in texts.items()}
    for target in targets:
        check(target, overwrite=overwrite, suffixes=(TABLE,))
    try:
        for target, text in targets.items():
            write_text(target, text, overwrite=overwrite)
    except FileError as error:
        fail(error)
    pairs, clients, experts = targets
    typer.echo(f"now: alignsolve solve {pairs} --clients {clients} --experts {experts} -o alignment.csv", err=True)


@app.command()
def bench(
    problem: ProblemFile,
    clients: Clients = None,
    experts: Experts = None,
    sets: Sets = None,
    solver: Annotated[
        list[str] | None, typer.Option(help="A solver that takes part; can be given again. Default: all.")
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Runs of each solver.")] = 3,
    time_limit: Annotated[float, typer.Option(min=0.0, metavar="SECONDS", help="Time limit of each run.")] = 10.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all random choices.")] = 0,
    json: AsJson = False,
) -> None:
    """Race the solvers on your own problem: who is fast, and who proves what. Every answer is checked.

    PROBLEM is a CSV file of pairs (client, expert, fitness), a record (.npz, .json), a DIMACS file, a GAP file of the
    OR-Library, or - for the standard input.
    """
    given = read(problem, clients, experts, sets)
    runs: list[race.Run] = []
    try:
        for run in race.bench(given, solver or (), repeats=repeats, time_limit=time_limit, seed=seed):
            runs.append(run)
            if not json:
                typer.echo(display.run_line(run), err=True)
    except ValueError as error:
        fail(error)
    if json:
        typer.echo(json_text({"runs": [display.run_facts(run) for run in runs]}))
    else:
        display.show_runs(display.console(), runs)


@app.command()
def solvers(json: AsJson = False) -> None:
    """List the solvers and the problems that they take."""
    described = front.describe_solvers()
    if json:
        typer.echo(json_text(display.solver_facts(described)))
    else:
        display.show_solvers(display.console(), described)


def _version(asked: bool) -> None:
    """Print the version, and end."""
    if asked:
        typer.echo(f"alignsolve {importlib.import_module(__package__).__version__}")
        raise typer.Exit


app.command(epilog=placing.EPILOG)(placing.placement)


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version, and end.")
    ] = False,
) -> None:
    """Decide which client trains which expert, with a proof."""


def _code(status: Status) -> ExitCode:
    return ExitCode[status.name]


def main() -> None:
    """Run the command line; characters outside stdout's encoding become question marks."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    app()


if __name__ == "__main__":
    main()

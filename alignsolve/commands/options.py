"""What the commands share: exit codes, the arguments that all of them have, and refusals without a traceback."""

from enum import IntEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from alignsolve.io.any_file import read_problem
from alignsolve.io.record_file import SUFFIXES, FileError, check_output
from alignsolve.problem import AlignmentProblem


class ExitCode(IntEnum):
    """The exit codes and their meaning."""

    OPTIMAL = 0
    """An alignment was found and proven optimal."""
    BAD_INPUT = 2
    """A file, an option or a solver cannot be used, or the output cannot be written."""
    REFUTED = 3
    """``verify``: a claim of the solution file does not hold."""
    FEASIBLE = 10
    """A feasible alignment was found; it is not proven optimal."""
    INFEASIBLE = 20
    """It is proven that no alignment exists."""
    UNKNOWN = 30
    """No alignment was found, and it is not proven that none exists."""


EPILOG = (
    "Exit codes: 0 optimal, 10 feasible, 20 infeasible, 30 unknown (none found), 2 bad input, "
    "3 (verify) a claim does not hold."
)
ProblemFile = Annotated[
    Path,
    typer.Argument(
        metavar="PROBLEM",
        help="A CSV file of pairs (client, expert, fitness), a record (.npz, .json), a DIMACS file or a GAP file of "
        "the OR-Library; - is the standard input.",
        show_default=False,
    ),
]
Clients = Annotated[
    Path | None,
    typer.Option(
        "--clients", metavar="CSV", help="Table of the clients: client, capacity, demand, …", show_default=False
    ),
]
Experts = Annotated[
    Path | None,
    typer.Option(
        "--experts", metavar="CSV", help="Table of the experts: expert, capacity, demand, …", show_default=False
    ),
]
Sets = Annotated[
    Path | None,
    typer.Option(
        "--sets", metavar="CSV", help="Table of sets of experts: set, capacity, demand, …", show_default=False
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]


def check(output: Path | None, *, overwrite: bool, suffixes: tuple[str, ...] = SUFFIXES) -> None:
    """Refuse an output that cannot be written now, before any work."""
    if output is None:
        return
    try:
        check_output(output, overwrite=overwrite, suffixes=suffixes)
    except FileError as error:
        fail(error)


def read(problem: Path, clients: Path | None, experts: Path | None, sets: Path | None) -> AlignmentProblem:
    """Read a problem of any kind."""
    try:
        return read_problem(problem, clients, experts, sets)
    except ValueError as error:
        fail(error)


def fail(error: Exception) -> NoReturn:
    """Print the error on stderr, and exit with the code for bad input."""
    typer.echo(f"alignsolve: {error}", err=True)
    raise typer.Exit(ExitCode.BAD_INPUT)

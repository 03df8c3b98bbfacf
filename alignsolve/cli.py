"""The command line: ``alignsolve solve``, ``verify``, ``diagnose`` and ``solvers``.

:class:`ExitCode` lists the exit codes. With ``--json``, stdout holds exactly one JSON object; the texts "inf", "-inf"
and "nan" stand for numbers that are not finite. Messages go to stderr.
"""

import math
import sys
from enum import IntEnum
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer

from alignsolve import display, front
from alignsolve.certificate.verify import verify as verify_claim
from alignsolve.diagnose import diagnose as diagnose_problem
from alignsolve.io import load_problem, load_solution, save_problem, save_solution
from alignsolve.io.record_file import FileError, check_output, json_text
from alignsolve.problem import AlignmentProblem
from alignsolve.solution import Status


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
app = typer.Typer(
    help="Decide which client trains which expert, with a proof.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ProblemFile = Annotated[
    Path, typer.Argument(metavar="PROBLEM", help="Problem file, .npz or .json.", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]


@app.command(epilog=EPILOG)
def solve(
    problem: ProblemFile,
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
        Path | None, typer.Option("--output", "-o", metavar="OUT", help="Write the solution to OUT, .npz or .json.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it exists.")] = False,
    json: AsJson = False,
) -> None:
    """Find the best alignment of a problem file, and check it."""
    given = _prepared(problem, solver, time_limit, gap, output, overwrite=overwrite)
    solution = front.solve(
        given, solver, time_limit=time_limit, gap=gap, proof=proof, seed=seed, threads=threads, throw=False
    )
    if json:
        typer.echo(json_text(display.solution_facts(solution)))
    else:
        display.show_solution(display.console(), solution)
    if output is not None:
        try:
            save_solution(solution, output, overwrite=overwrite)
        except FileError as error:
            _fail(error)
    raise typer.Exit(_code(solution.status))


def _prepared(
    path: Path, solver: str, time_limit: float | None, gap: float, output: Path | None, *, overwrite: bool
) -> AlignmentProblem:
    """Read the problem; refuse bad arguments now, before any solving."""
    try:
        if output is not None:
            check_output(output, overwrite=overwrite)
        if time_limit is not None and math.isnan(time_limit):
            raise ValueError("--time-limit must be a number of seconds")
        call = front.resolve(solver, gap=gap)[1]
        problem = load_problem(path)
        front.refuse_unsupported(front.simplify(problem, call).problem, solver, call)
    except ValueError as error:
        _fail(error)
    return problem


@app.command(epilog=EPILOG)
def verify(
    problem: ProblemFile,
    solution: Annotated[
        Path, typer.Argument(metavar="SOLUTION", help="Solution file, as `alignsolve solve -o` writes it.")
    ],
    json: AsJson = False,
) -> None:
    """Check every claim of a solution file against its problem, and print the differences."""
    try:
        given, claim = load_problem(problem), load_solution(solution)
        checked = verify_claim(given, claim)
    except ValueError as error:
        _fail(error)
    if json:
        typer.echo(json_text(display.verification_facts(claim, checked)))
    else:
        display.show_verification(display.console(), claim, checked)
    raise typer.Exit(_code(checked.solution.status) if checked.holds else ExitCode.REFUTED)


@app.command(epilog=EPILOG)
def diagnose(
    problem: ProblemFile,
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
        typer.Option("--output", "-o", metavar="OUT", help="Write the repaired problem to OUT, if there is a repair."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it exists.")] = False,
    json: AsJson = False,
) -> None:
    """Explain why a problem has no alignment and how to repair it, or show which bounds bind and their worth."""
    given = _prepared(problem, solver, time_limit, 0.0, output, overwrite=overwrite)
    try:
        diagnosis = diagnose_problem(given, solver, weights=_weights(weight or []), exact=exact,
                                     time_limit=time_limit, seed=seed, threads=threads)  # fmt: skip
        if output is not None and diagnosis.repair is not None:
            save_problem(diagnosis.repair.problem, output, overwrite=overwrite)
        elif output is not None:
            typer.echo(f"alignsolve: there is no repair to write; {output} is not written", err=True)
    except ValueError as error:
        _fail(error)
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
def solvers(json: AsJson = False) -> None:
    """List the solvers and the problems that they take."""
    described = front.describe_solvers()
    if json:
        typer.echo(json_text(display.solver_facts(described)))
    else:
        display.show_solvers(display.console(), described)


def _code(status: Status) -> ExitCode:
    return ExitCode[status.name]


def _fail(error: Exception) -> NoReturn:
    """Print the error on stderr, and exit with the code for bad input."""
    typer.echo(f"alignsolve: {error}", err=True)
    raise typer.Exit(ExitCode.BAD_INPUT)


def main() -> None:
    """Run the command line; characters outside stdout's encoding become question marks."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    app()


if __name__ == "__main__":
    main()

"""Writes the instances of a suite to files, for solvers in any language, with a table of what is known of each.

``python -m benchmarks.write FOLDER`` writes the suite ``real``, made of the drawn stand-in; ``--data`` names the folder
of the measured inputs. Each instance becomes ``NAME.json``, or a file of each ``--form`` that is given. What is in
files of .json and .npz is read again, and must be the same problem to the last bit. ``instances.csv`` is the table.
"""

import csv
import fnmatch
import math
from pathlib import Path
from typing import Annotated, Any

import typer

from alignsolve import AlignmentProblem
from alignsolve.io import FileError, load_problem, save_problem
from benchmarks.case import Case
from benchmarks.instances import make
from benchmarks.references import Reference, fingerprint, read_references
from benchmarks.suites import real_suite, suites
from problems import export
from problems.real_inputs import read_inputs, sources

INDEX = "instances.csv"
RECORDS, PROGRAMS = ("json", "npz"), ("mps", "lp")
"""Forms that hold the problem, and forms that hold a mixed-integer program with the same optimum."""
COLUMNS = (
    "instance", "clients", "layers", "experts", "class", "features", "fingerprint",
    "objective", "bound", "gap", "proof", "files",
)  # fmt: skip


def write_instance(case: Case, folder: Path, forms: tuple[str, ...], known: Reference | None) -> dict[str, Any]:
    """Write one instance in all forms, and return its line of the table.

    Raises
    ------
    FileError
        If a file exists or cannot be written, or if a file that was written gives another problem.
    """
    problem = make(case)
    digest = fingerprint(problem)
    paths = [folder / f"{case.name}.{form}" for form in forms]
    for path in paths:
        if path.suffix[1:] in PROGRAMS:
            export.write(problem, path)
            continue
        save_problem(problem, path)
        if fingerprint(load_problem(path)) != digest:
            raise FileError(path, "is read back as another problem: please report this as a fault of alignsolve")
    line = dict.fromkeys(COLUMNS, "") | _described(case, problem, digest)
    line["files"] = "; ".join(path.name for path in paths)
    if known is not None and known.fingerprint == digest:
        line |= {"objective": repr(known.objective), "bound": repr(known.bound), "gap": f"{known.gap:.3g}"}
        line["proof"] = known.proof
    return line


def _described(case: Case, problem: AlignmentProblem, digest: str) -> dict[str, Any]:
    return {
        "instance": case.name,
        "clients": problem.num_clients,
        "layers": problem.num_groups or 1,
        "experts": problem.num_experts,
        "class": str(problem.class_),
        "features": "; ".join(sorted(str(each) for each in problem.features)),
        "fingerprint": digest,
    }


def main(
    folder: Annotated[Path, typer.Argument(help="Folder to write; it is made if it is not there.")],
    suite: Annotated[str, typer.Option(help="A suite of benchmarks.solvers, other than gap.")] = "real",
    data: Annotated[Path | None, typer.Option(help="real: folder of measured inputs; default: the stand-in.")] = None,
    form: Annotated[list[str] | None, typer.Option(help="json (default), npz, mps or lp; several are allowed.")] = None,
    only: Annotated[str, typer.Option(help="Glob for instances.")] = "*",
    most_pairs: Annotated[float, typer.Option(help="Leave out instances with more clients x experts.")] = math.inf,
) -> None:
    """Write the instances of a suite, and a table of their sizes, features and references."""
    forms = tuple(form or ["json"])
    unknown = [each for each in forms if each not in (*RECORDS, *PROGRAMS)]
    if unknown:
        raise typer.BadParameter(f"--form is {unknown[0]!r}; it must be one of {', '.join((*RECORDS, *PROGRAMS))}")
    every = suites()
    if suite not in every:
        raise typer.BadParameter(f"there is no suite {suite!r}; there are: {', '.join(every)}")
    chosen = every[suite]
    if suite == "real":
        try:
            read_inputs(None if data is None else str(data))
        except FileError as error:
            raise typer.BadParameter(str(error)) from error
        typer.echo("\n".join(sources(data)))
        chosen = real_suite(None if data is None else str(data))
    folder.mkdir(parents=True, exist_ok=True)
    known, lines = read_references(), []
    for case in chosen.cases:
        if fnmatch.fnmatchcase(case.name, only) and case.num_clients * case.num_experts <= most_pairs:
            try:
                lines.append(write_instance(case, folder, forms, known.get(case.name)))
            except FileError as error:
                raise typer.BadParameter(str(error)) from error
            typer.echo(f"{lines[-1]['files']}: {lines[-1]['class']}, reference {lines[-1]['objective'] or 'not known'}")
    with (folder / INDEX).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
    typer.echo(f"{len(lines)} instances; their table is {folder / INDEX}")


if __name__ == "__main__":
    typer.run(main)

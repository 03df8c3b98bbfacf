"""The command line of fedtrain: ``fedtrain init``, ``config``, ``run``, ``report`` and ``compare``."""

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from fedtrain.config import ConfigError
from fedtrain.config.extras import TRAIN, MissingExtraError, require

BAD_INPUT = 2
FAILED = 1
INTERRUPTED = 130

app = typer.Typer(
    help="Train a federated Mixture-of-Experts; every round's alignment is solved and certified.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def init(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")] = Path("run.toml"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file of this name.")] = False,
) -> None:
    """Write a configuration to begin with: every key with its default, its unit and its meaning as a comment."""
    from fedtrain.config.template import commented  # noqa: PLC0415

    if path.exists() and not overwrite:
        _fail(f"{path} exists; pass --overwrite to replace it", BAD_INPUT)
    try:
        path.write_text(commented(), encoding="utf-8")
    except OSError as error:
        _fail(f"cannot write {path}: {error.strerror}", BAD_INPUT)
    _say(f"configuration: {path}; run it with: fedtrain run {path}")


@app.command()
def config(
    path: Annotated[Path | None, typer.Argument(metavar="CONFIG", help="A TOML file of a run.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key.")] = None,
    help_keys: Annotated[
        bool, typer.Option("--help-keys", help="Show every key of a run and of a plan: default, unit and meaning.")
    ] = False,
) -> None:
    """Check a configuration, and show it with all its defaults; or show what each key means."""
    from fedtrain.compare.plan import Plan  # noqa: PLC0415
    from fedtrain.config import RunConfig, file, keys  # noqa: PLC0415

    if help_keys:
        width = min(Console().width, 100)
        for title, kind in (("A run: fedtrain run FILE", RunConfig), ("A plan: fedtrain compare FILE", Plan)):
            typer.echo("\n".join([title, "=" * len(title), "", *keys.as_text(keys.tables(kind), width=width)]))
        return
    try:
        require("train", "tomli_w", what="fedtrain config")
        typer.echo(file.to_toml(file.read_config(path, set_ or ())), nl=False)
    except (ConfigError, MissingExtraError) as error:
        _fail(str(error), BAD_INPUT)


@app.command()
def run(
    config: Annotated[
        Path | None, typer.Argument(metavar="CONFIG", help="A TOML file; what it leaves out has a default.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key, e.g. training.epochs=2.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier run of the same name.")] = False,
    out: Annotated[Path, typer.Option("--out", help="The folder for run folders.")] = Path("runs"),
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an earlier run of the same name and configuration, if any.")
    ] = False,
) -> None:
    """Train, and write OUT/NAME: rows, quarantine, alignments, model, report and the configuration.

    Ctrl-C ends the run early with exit code 130; the rounds that were done are written and reported. Whatever stopped
    a run, the same command with --resume goes on after its last whole round, and ends as if nothing had happened.
    """
    _must_have_torch("fedtrain run")
    from fedtrain.config.file import read_config  # noqa: PLC0415
    from fedtrain.results.run_folder import RunFolderError  # noqa: PLC0415
    from fedtrain.run import Ending, execute  # noqa: PLC0415  (torch: --help need not wait for it)

    if overwrite and resume:
        _fail("--overwrite starts again and --resume goes on: pass one of them", BAD_INPUT)
    try:
        ending = execute(read_config(config, set_ or ()), out, overwrite=overwrite, console=Console(), resume=resume)
    except (ConfigError, RunFolderError) as error:
        _fail(str(error), BAD_INPUT)
    except KeyboardInterrupt:
        _fail("interrupted", INTERRUPTED)
    if ending is not Ending.FINISHED:
        raise typer.Exit(ending.value)


@app.command()
def report(run_dir: Annotated[Path, typer.Argument(metavar="FOLDER", help="A run's folder.")]) -> None:
    """Write a run's report.html again from what the run left."""
    from fedtrain.report import write_report  # noqa: PLC0415
    from fedtrain.results.run_folder import RunFolderError, writing  # noqa: PLC0415

    if not (run_dir / "rounds.csv").is_file():
        _fail(f"{run_dir} is not a run's folder: it has no rounds.csv", BAD_INPUT)
    try:
        with writing(run_dir / "report.html"):
            path = write_report(run_dir)
    except (ValueError, RunFolderError) as error:
        _fail(str(error), BAD_INPUT)
    _say(f"report: {path}")


@app.command()
def compare(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="A TOML file: tasks, alignments, settings and seeds.")],
    out: Annotated[Path, typer.Option("--out", help="The folder for comparisons.")] = Path("comparisons"),
    workers: Annotated[int, typer.Option("--workers", min=1, help="Runs at the same time.")] = 1,
) -> None:
    """Run tasks x alignments x seeds, and write OUT/NAME: cells, figures.csv, comparisons.csv, comparison.md.

    What an earlier call has run is not run again, so that a comparison goes on where it was stopped.
    """
    _must_have_torch("fedtrain compare")
    from alignsolve import SolveError  # noqa: PLC0415
    from fedtrain.compare.comparison import execute  # noqa: PLC0415  (torch: --help need not wait for it)

    try:
        folder = execute(plan, out, workers=workers, console=Console()).folder
    except (ConfigError, ValueError, OSError) as error:
        _fail(str(error), BAD_INPUT)
    except SolveError as error:
        _fail(str(error), FAILED)
    except KeyboardInterrupt:
        _fail("interrupted; the runs that were finished are kept", INTERRUPTED)
    _say(f"comparison: {folder}")


def main() -> None:
    """Run the ``fedtrain`` command; this is the entry point of the script."""
    app()


def _must_have_torch(command: str) -> None:
    """Exit with a message that names the extra, if what trains is not installed."""
    try:
        require("train", *TRAIN, what=command)
    except MissingExtraError as error:
        _fail(str(error), BAD_INPUT)


def _say(message: str) -> None:
    """Print one line."""
    Console().print(message, highlight=False, markup=False, soft_wrap=True)


def _fail(message: str, code: int) -> NoReturn:
    """Print an error message and exit with this code."""
    Console(stderr=True).print(f"error: {message}", style="red", highlight=False, markup=False, soft_wrap=True)
    sys.exit(code)


if __name__ == "__main__":
    main()

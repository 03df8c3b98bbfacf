"""A whole run: prepare, train round by round, keep every row, and write what was done however it ended."""

from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path

from rich.console import Console

from alignsolve import SolveError
from fedtrain.config import RunConfig
from fedtrain.display import make_display
from fedtrain.report import write_report
from fedtrain.rounds import run_rounds
from fedtrain.row import Round
from fedtrain.run_folder import RunFolder, writing
from fedtrain.server import Federation, ServerState, initial_state, prepare


class Ending(Enum):
    """How a run ended."""

    FINISHED = auto()
    INTERRUPTED = auto()
    FAILED = auto()


def execute(config: RunConfig, out: Path, *, overwrite: bool, console: Console) -> Ending:
    """Train as configured and write the run folder ``out/config.name``.

    Parameters
    ----------
    config
        What to run.
    out
        Folder of run folders; made if need be.
    overwrite
        Whether an earlier run of that name may be replaced.
    console
        Where progress is shown.

    Returns
    -------
    Ending
        INTERRUPTED after Ctrl-C, FAILED if a round had no alignment; the folder holds the rounds before it.

    Raises
    ------
    ConfigError
        If the configuration cannot be run; nothing is written then.
    RunFolderError
        If the folder exists or cannot be written.
    """
    federation = prepare(config)
    done = _Done(initial_state(federation))
    with RunFolder(out / config.name, config, overwrite=overwrite) as folder:
        ending = _train(federation, done, folder, console)
        folder.write_alignment(federation, done.rounds)
        folder.write_model(done.state.tensors)
        with writing(folder.path / "report.html"):
            report = write_report(folder.path)
    _tell(console, done.rounds, report)
    return ending


@dataclass
class _Done:
    """What has been done so far."""

    state: ServerState
    rounds: list[Round] = field(default_factory=list)


def _train(federation: Federation, done: _Done, folder: RunFolder, console: Console) -> Ending:
    """Run the rounds, each written and shown when it is done, until the last or the first trouble."""
    config = federation.config
    try:
        with make_display(console, config.name, config.rounds) as display:
            for round_, state in run_rounds(federation, done.state):
                done.state = state
                done.rounds.append(round_)
                folder.append(round_.row)
                display.show(round_.row)
                for client, fault in round_.faults.items():
                    console.print(f"client {client}: update not merged: {fault}", markup=False, highlight=False)
    except KeyboardInterrupt:
        number = len(done.rounds)
        console.print(f"interrupted after {number} of {config.rounds} rounds; writing what was done", style="yellow")
        return Ending.INTERRUPTED
    except SolveError as error:
        number = len(done.rounds) + 1
        console.print(f"round {number} has no alignment: {error}", style="red", markup=False, highlight=False)
        return Ending.FAILED
    return Ending.FINISHED


def _tell(console: Console, rounds: list[Round], report: Path) -> None:
    """Sum the run up in two lines."""
    if rounds:
        last = rounds[-1].row
        proven = sum(done.row.status == "OPTIMAL" for done in rounds)
        seconds = sum(done.row.round_seconds for done in rounds)
        console.print(
            f"{len(rounds)} rounds in {seconds:.1f} s, {proven} proven optimal; final accuracy {last.accuracy:.4f}",
            highlight=False,
        )
    console.print(f"report: {report}", highlight=False, soft_wrap=True)

"""A whole run: prepare, train round by round, and write the results. An interrupted run writes them as well."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from rich.console import Console

from alignsolve import SolveError
from fedtrain.config import RunConfig
from fedtrain.display import showing
from fedtrain.report import write_report
from fedtrain.results.history import Entry, entry_of
from fedtrain.results.run_folder import RunFolder, RunFolderError, writing
from fedtrain.server import checkpoint
from fedtrain.server.federation import Federation, fingerprint, initial_state, prepare
from fedtrain.server.rounds import run_rounds
from fedtrain.server.step import ServerState


class Ending(Enum):
    """How a run ended; the values are the command's exit codes."""

    FINISHED = 0
    FAILED = 1
    INTERRUPTED = 130


def execute(config: RunConfig, out: Path, *, overwrite: bool, console: Console, resume: bool = False) -> Ending:
    """Train as configured and write the run folder ``out/config.name``.

    Parameters
    ----------
    config
        The run's configuration.
    out
        The folder for run folders. It is made if it does not exist.
    overwrite
        Whether an earlier run of the same name may be replaced.
    console
        The console that shows the progress.
    resume
        Whether to go on with an earlier run of the same name and configuration, if there is one. The run continues
        after its last complete round. Its results are then bit-identical to those of an uninterrupted run, except for
        wall-clock times.

    Returns
    -------
    Ending
        INTERRUPTED after Ctrl-C; FAILED if a round had no alignment. In both cases the folder holds the rounds before,
        and the run can be resumed.

    Raises
    ------
    ConfigError
        If the configuration cannot be run. Nothing is written then.
    RunFolderError
        If the folder exists, belongs to a run with another configuration, or cannot be written.
    """
    federation = prepare(config)
    folder = RunFolder(out / config.name, config, overwrite=overwrite, resume=resume)
    if folder.finished:
        console.print(f"{folder.path} is finished; there is nothing to resume", highlight=False, soft_wrap=True)
        folder.finish()
        return Ending.FINISHED
    done = _resumed(federation, folder)
    ending = _train(federation, done, folder, console)
    fleet, num_experts = federation.fleet, federation.spec.num_experts
    folder.write_alignment(done.entries, num_experts, fleet.tier, fleet.tier_names, federation.label_counts)
    folder.write_model(done.state.tensors)
    with writing(folder.path / "report.html"):
        report = write_report(folder.path)
    if ending is Ending.FINISHED:
        folder.finish()
    _tell(console, done.entries, report)
    return ending


@dataclass
class _Done:
    """The progress of a run: its state, the entries of its rounds, and the fingerprint of its data and devices."""

    state: ServerState
    entries: list[Entry]
    about: dict[str, str]


def _resumed(federation: Federation, folder: RunFolder) -> _Done:
    """Return the starting point: the saved state with the rounds before it, or the initial state."""
    start, about = initial_state(federation), {"given": fingerprint(federation)}
    try:
        found = checkpoint.load(folder.checkpoint, federation.aligner, about, start.tensors)
    except checkpoint.SavedStateError as error:
        raise RunFolderError(f"{error}; pass --overwrite to start again") from error
    state = found[0] if found else start
    return _Done(state, folder.begin(state.round), about)


def _train(federation: Federation, done: _Done, folder: RunFolder, console: Console) -> Ending:
    """Run the rounds; write and show each one when it ends. Ctrl-C or a round without an alignment stops the run."""
    config = federation.config
    if done.entries:
        console.print(f"resumed after round {len(done.entries)} of {config.rounds}", highlight=False)
    try:
        with showing(console, config.name, config.rounds) as show:
            for round_, state in run_rounds(federation, done.state):
                entry = entry_of(round_)
                # The order matters for a resumption: first the entry, then the state, then the lines of the CSV files.
                folder.keep(entry)
                with writing(folder.checkpoint):
                    checkpoint.save(folder.checkpoint, state, federation.aligner, done.about)
                folder.append(entry)
                done.state = state
                done.entries.append(entry)
                show(entry.row)
                for client, reason in entry.quarantined:
                    console.print(f"client {client}: update not merged: {reason}", markup=False, highlight=False)
    except KeyboardInterrupt:
        number = len(done.entries)
        console.print(f"interrupted after {number} of {config.rounds} rounds; writing what was done", style="yellow")
        return Ending.INTERRUPTED
    except SolveError as error:
        number = len(done.entries) + 1
        console.print(f"round {number} has no alignment: {error}", style="red", markup=False, highlight=False)
        return Ending.FAILED
    return Ending.FINISHED


def _tell(console: Console, entries: list[Entry], report: Path) -> None:
    """Print a summary of the run in two lines."""
    if entries:
        proven = sum(entry.row.status == "OPTIMAL" for entry in entries)
        seconds = sum(entry.row.round_seconds for entry in entries)
        accuracy = entries[-1].row.accuracy
        console.print(
            f"{len(entries)} rounds in {seconds:.1f} s, {proven} proven optimal; final accuracy {accuracy:.4f}",
            highlight=False,
        )
    console.print(f"report: {report}", highlight=False, soft_wrap=True)

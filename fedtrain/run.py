"""A whole run: prepare, train round by round, keep every row, and write the results however the run ended."""

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
        What to run.
    out
        Folder of run folders; made if need be.
    overwrite
        Whether an earlier run of that name may be replaced.
    console
        Where progress is shown.
    resume
        Whether to go on with an earlier run of that name and configuration after its last whole round, if there is
        one. Clocks on the wall apart, what it leaves is bit for bit what it would have left if nothing had stopped it.

    Returns
    -------
    Ending
        INTERRUPTED after Ctrl-C, FAILED if a round had no alignment; the folder holds the rounds before it, and can be
        resumed.

    Raises
    ------
    ConfigError
        If the configuration cannot be run; nothing is written then.
    RunFolderError
        If the folder exists, belongs to a run that was configured otherwise, or cannot be written.
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
    """What has been done so far, and the fingerprint of the data and the devices."""

    state: ServerState
    entries: list[Entry]
    about: dict[str, str]


def _resumed(federation: Federation, folder: RunFolder) -> _Done:
    """Return where to start: the saved state with the rounds before it, or the initial one."""
    start, about = initial_state(federation), {"given": fingerprint(federation)}
    try:
        found = checkpoint.load(folder.checkpoint, federation.aligner, about, start.tensors)
    except checkpoint.SavedStateError as error:
        raise RunFolderError(f"{error}; pass --overwrite to start again") from error
    state = found[0] if found else start
    return _Done(state, folder.begin(state.round), about)


def _train(federation: Federation, done: _Done, folder: RunFolder, console: Console) -> Ending:
    """Run the rounds, each written and shown when it is done, until the last or the first trouble."""
    config = federation.config
    if done.entries:
        console.print(f"resumed after round {len(done.entries)} of {config.rounds}", highlight=False)
    try:
        with showing(console, config.name, config.rounds) as show:
            for round_, state in run_rounds(federation, done.state):
                entry = entry_of(round_)
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
    """Sum the run up in two lines."""
    if entries:
        proven = sum(entry.row.status == "OPTIMAL" for entry in entries)
        seconds = sum(entry.row.round_seconds for entry in entries)
        accuracy = entries[-1].row.accuracy
        console.print(
            f"{len(entries)} rounds in {seconds:.1f} s, {proven} proven optimal; final accuracy {accuracy:.4f}",
            highlight=False,
        )
    console.print(f"report: {report}", highlight=False, soft_wrap=True)

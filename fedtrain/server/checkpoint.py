"""Checkpoints: after every round all that the next one starts from, so that a run goes on wherever it was stopped.

``checkpoint/`` holds ``rounds/000001.npz`` and so on, one entry a round, and ``state-000012/``: the model as
safetensors, the aligner's state as npz, counters as JSON; nothing is pickled. An entry is written before the state of
its round, and the renaming of that state's folder is the moment at which the round is done. Whatever stops the run
before it, the round is done again, from the state before it and with the same generators, and becomes the same. Two
folders of states are there for a moment; the higher number counts.
"""

import hashlib
import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch

from fedtrain.models import skeleton
from fedtrain.results import atomic
from fedtrain.results.history import Entry, load_entry, save_entry
from fedtrain.server.federation import Federation, ServerState

FORMAT = 2

DAMAGES = (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error, safetensors.SafetensorError)
"""What reading a damaged file may raise."""


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be used; the message names the file."""


def start(folder: Path) -> None:
    """Make the folder, or empty it."""
    (folder / "rounds").mkdir(parents=True, exist_ok=True)
    for _, path in _states(folder):
        atomic.remove_folder(path)
    for path in [*folder.glob("rounds/*"), *folder.glob(".*")]:
        atomic.remove(path)


def fingerprint(federation: Federation) -> str:
    """Digest of what a run is given from outside its configuration: the examples and their owners, the devices.

    Files may change between a run and its resumption, and the rounds would not be those of one run.
    """
    digest, data, fleet = hashlib.blake2b(digest_size=16), federation.data, federation.fleet
    for examples in (*data.clients, data.test):
        digest.update(examples.inputs.tobytes())
        digest.update(examples.labels.tobytes())
    owners = (data.test_group, data.mixture, fleet.availability, fleet.joins)
    devices = (getattr(which, field.name) for which in (fleet.actual, fleet.declared) for field in fields(which))
    for values in (*owners, *devices):
        digest.update(values.tobytes())
    digest.update(repr((fleet.windows, fleet.period)).encode())
    return digest.hexdigest()


def save(folder: Path, state: ServerState, entry: Entry, given: str) -> None:
    """Write the state after a round, and the fingerprint of what the run was given.

    When this returns, it is what :func:`load` finds.
    """

    def write(part: Path) -> None:
        safetensors.torch.save_file(state.tensors, part / "model.safetensors")
        with (part / "aligner.npz").open("wb") as file:
            np.savez(file, allow_pickle=False, **state.aligner.to_arrays())
        counters = {"format": FORMAT, "round": state.round, "clock": state.clock, "given": given}
        (part / "state.json").write_text(json.dumps(counters), encoding="utf-8")

    atomic.replace_file(_entry_path(folder, state.round), lambda part: save_entry(part, entry))
    atomic.make_folder(folder / f"state-{state.round:06d}", write)
    for number, path in _states(folder):
        if number < state.round:
            atomic.remove_folder(path)


def load(folder: Path, federation: Federation, given: str) -> tuple[ServerState, list[Entry]] | None:
    """Read the latest state, and the entries of the rounds before it; None if no round was done.

    ``given`` is the fingerprint of what the run is given now.

    Raises
    ------
    CheckpointError
        If a file is missing, damaged, of another model, or of a run that was given other data or devices.
    """
    states = dict(_states(folder))
    if not states:
        return None
    number = max(states)
    path = states[number]
    try:
        state = _load_state(path, federation, given)
        if state.round != number:
            raise ValueError(f"state.json is of round {state.round}")
        entries = []
        for done in range(1, number + 1):
            path = _entry_path(folder, done)
            entries.append(load_entry(path))
    except DAMAGES as error:
        raise CheckpointError(f"the checkpoint cannot be used: {path}: {error}") from error
    return state, entries


def _load_state(path: Path, federation: Federation, given: str) -> ServerState:
    counters = json.loads((path / "state.json").read_text(encoding="utf-8"))
    if counters["format"] != FORMAT:
        raise ValueError(f"format {counters['format']}, this version reads {FORMAT}")
    if counters["given"] != given:
        raise ValueError("the data or the devices are not those that the run was begun with")
    tensors = safetensors.torch.load_file(path / "model.safetensors")
    expected = skeleton(federation.spec)
    if {name: (value.shape, value.dtype) for name, value in tensors.items()} != {
        name: (value.shape, value.dtype) for name, value in expected.items()
    }:
        raise ValueError("the model is not the one configured")
    with (path / "aligner.npz").open("rb") as file, np.lib.npyio.NpzFile(file, allow_pickle=False) as stored:
        aligner = federation.aligner.from_arrays({name: stored[name] for name in stored.files})
    ordered = {name: tensors[name] for name in expected}
    return ServerState(round=counters["round"], tensors=ordered, aligner=aligner, clock=counters["clock"])


def _states(folder: Path) -> Iterator[tuple[int, Path]]:
    """Yield the whole states with their rounds."""
    for path in folder.glob("state-*"):
        if match := re.fullmatch(r"state-(\d+)", path.name):
            yield int(match[1]), path


def _entry_path(folder: Path, number: int) -> Path:
    return folder / "rounds" / f"{number:06d}.npz"

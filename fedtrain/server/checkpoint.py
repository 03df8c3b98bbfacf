"""Saves the state of a run in a folder: the model, the aligner's state, and a description of the run.

Every round gets a folder of its own, such as ``round-00007``. It holds the model as safetensors, the aligner's state as
:func:`alignsolve.save_state` writes it, the memory of the rule of aggregation if it has one, and a description in JSON.
Nothing is pickled.

A new folder is written under a temporary name, flushed to the disk, and then renamed. The newest folder is therefore
complete even if the server stops at any moment. The newest two folders are kept, and older ones are removed.
"""

import importlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError

from alignsolve import Aligner, AlignerState, load_state, save_state
from fedtrain.aggregate import arrays
from fedtrain.aggregate.arrays import Array
from fedtrain.layouts import Weights
from fedtrain.results import atomic
from fedtrain.results.history import DAMAGES
from fedtrain.server.step import ServerState

MODEL, ALIGNER, MEMORY, ABOUT = "model.safetensors", "aligner.npz", "memory.safetensors", "state.json"
FORMAT = 3
"""Version of the format. Up to 2, the aligner's arrays had no description, and folders were named ``state-000007``."""
KEPT = 2
"""Folders that are kept: the newest ones."""
WORDS = {"given": "data and devices"}
"""Names of fields in error messages, for fields whose own name would not be clear."""


class SavedStateError(RuntimeError):
    """A state in a folder cannot be resumed; the message names the folder and the reason."""


def save(
    folder: Path, state: ServerState, aligner: Aligner, about: Mapping[str, Any], history: Sequence[object] = ()
) -> Path:
    """Write a state and return its folder. Once this returns, :func:`load` finds this state.

    Parameters
    ----------
    folder
        The folder of the run's states. It is made if it does not exist.
    state, aligner
        The state that the next round starts from, and the aligner that it belongs to.
    about
        The description of the run, in values that JSON can hold. Only a run with the same description can resume it.
    history
        Every round's figures, in values that JSON can hold.
    """
    final = folder / f"round-{state.round:05}"
    kind = "torch" if any(arrays.kind(value).startswith("torch.") for value in state.tensors.values()) else "numpy"
    description = {"format": FORMAT, "round": state.round, "clock": state.clock, "weights": kind, **about}

    def write(part: Path) -> None:
        contiguous = {name: arrays.contiguous(value) for name, value in state.tensors.items()}
        _tensor_files(kind).save_file(contiguous, part / MODEL)
        save_state(part / ALIGNER, state.aligner, aligner)
        if state.memory:
            _tensor_files("numpy").save_file(dict(state.memory), part / MEMORY)
        text = json.dumps({**description, "history": list(history)}, indent=1)
        (part / ABOUT).write_text(text + "\n", encoding="utf-8")

    folder.mkdir(parents=True, exist_ok=True)
    atomic.make_folder(final, write)
    for old in _rounds(folder)[:-KEPT]:
        atomic.remove_folder(old)
    return final


def load(
    folder: Path, aligner: Aligner, about: Mapping[str, Any], like: Weights
) -> tuple[ServerState, list[Any]] | None:
    """Read the newest state and the history; None if there is no state.

    Parameters
    ----------
    folder, aligner, about
        The same as for :func:`save`.
    like
        The model that is trained. The state must have its names and shapes; the order of its tensors is used.

    Raises
    ------
    SavedStateError
        If the state belongs to another run or another model, or was not written by :func:`save`.
    """
    rounds = _rounds(folder)
    if not rounds:
        return None
    newest = rounds[-1]
    with _reading(newest):
        # Check that the state belongs to this run, before anything large is read.
        description = json.loads((newest / ABOUT).read_text(encoding="utf-8"))
        for field in about:
            if description[field] != about[field]:
                raise SavedStateError(
                    f"{newest} is the state of a run with {WORDS.get(field, field)} = {description[field]!r}, this one "
                    f"has {about[field]!r}: choose another folder, or remove it to start anew"
                )
        if description["round"] != _number(newest):
            raise ValueError(f"{ABOUT} is of round {description['round']}")
        # Read the aligner's state and the model.
        known = _load_aligner(newest / ALIGNER, aligner, description.get("format", 1))
        weights = _tensor_files(description.get("weights", "torch")).load_file(newest / MODEL)
        remembered = newest / MEMORY
        memory = dict(_tensor_files("numpy").load_file(remembered)) if remembered.exists() else {}
    _check_same_model(newest, weights, like)
    clock, history = description.get("clock", 0.0), description.get("history", [])
    tensors = {name: weights[name] for name in like}
    return ServerState(description["round"], tensors, known, clock, memory), history


def load_weights(folder: str | Path) -> dict[str, Array]:
    """Read the whole model from the newest state in a run's ``state_dir``.

    Raises
    ------
    SavedStateError
        If there is no state, or it cannot be read.
    """
    rounds = _rounds(Path(folder))
    if not rounds:
        raise SavedStateError(f"there is no state in {folder}")
    with _reading(rounds[-1]):
        description = json.loads((rounds[-1] / ABOUT).read_text(encoding="utf-8"))
        return dict(_tensor_files(description["weights"]).load_file(rounds[-1] / MODEL))


@contextmanager
def _reading(folder: Path) -> Iterator[None]:
    """Turn an error in reading a state's files into one that names the folder."""
    try:
        yield
    except (*DAMAGES, SafetensorError) as error:
        raise SavedStateError(f"cannot read the state in {folder}: {type(error).__name__}: {error}") from error


def _rounds(folder: Path) -> list[Path]:
    """Return the folders of complete states, the newest last."""
    return sorted((path for path in folder.glob("*-*") if _number(path) >= 0), key=_number)


def _number(path: Path) -> int:
    """Return the round of a state's folder; -1 if the path is not such a folder."""
    match = re.fullmatch(r"(?:round|state)-(\d+)", path.name)
    return int(match[1]) if match else -1


def _check_same_model(folder: Path, known: Weights, given: Weights) -> None:
    """Check that both models have the same names and shapes."""
    shapes = [{name: tuple(value.shape) for name, value in weights.items()} for weights in (known, given)]
    differing = sorted(name for name in known.keys() | given.keys() if shapes[0].get(name) != shapes[1].get(name))
    if differing:
        raise SavedStateError(f"{folder} is the state of another model: tensor {differing[0]} differs")


def _load_aligner(path: Path, aligner: Aligner, written_as: int) -> AlignerState:
    """Read an aligner's state in this format or an older one."""
    if written_as >= FORMAT:
        return load_state(path, aligner)
    with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        return aligner.from_arrays(dict(stored))


def _tensor_files(kind: str) -> Any:
    """Return the safetensors module for a library's tensors. Torch is loaded only if its module is asked for."""
    return importlib.import_module(f"safetensors.{kind}")

"""A run's state in a folder: the model, what the aligner knows, and the number of rounds done.

Every round gets a folder of its own, ``round-00007``, written beside its final name, flushed to the disk and renamed:
whatever stops the server, the newest folder is whole. The one before it is kept, older ones are removed.
"""

import json
import shutil
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError

from alignsolve import Aligner, AlignerState
from fedtrain.aggregate import arrays
from fedtrain.aggregate.arrays import Array
from fedtrain.results import atomic

MODEL, ALIGNER, ABOUT = "model.safetensors", "aligner.npz", "state.json"
KEPT = 2


class SavedStateError(RuntimeError):
    """A folder whose state cannot be resumed; the message names it and says why."""


@dataclass(frozen=True, eq=False)
class SavedState:
    """All that the next round starts from.

    Attributes
    ----------
    round
        Rounds done.
    weights
        The whole model.
    aligner
        What the aligner knows.
    history
        Every round's figures.
    """

    round: int
    weights: Mapping[str, Array]
    aligner: AlignerState
    history: Sequence[dict[str, float]] = ()


def save(folder: Path, state: SavedState, about: Mapping[str, Any]) -> Path:
    """Write a state; ``about`` is what a run must agree on to resume it, as JSON holds it. Returns its folder."""
    final = folder / f"round-{state.round:05}"
    kind = "torch" if _is_torch(state.weights) else "numpy"
    description = {"round": state.round, "weights": kind, **about, "history": list(state.history)}

    def write(part: Path) -> None:
        _save_weights(part / MODEL, state.weights, kind)
        with (part / ALIGNER).open("wb") as file:
            np.savez(file, allow_pickle=False, **state.aligner.to_arrays())
        (part / ABOUT).write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")

    folder.mkdir(parents=True, exist_ok=True)
    atomic.make_folder(final, write)
    for old in _rounds(folder)[:-KEPT]:
        shutil.rmtree(old)
    return final


def load(folder: Path, aligner: Aligner, about: Mapping[str, Any]) -> SavedState | None:
    """Read the newest state; None if there is none.

    Raises
    ------
    SavedStateError
        If it is another run's, or not what :func:`save` wrote.
    """
    rounds = _rounds(folder)
    if not rounds:
        return None
    newest = rounds[-1]
    with _reading(newest):
        description = json.loads((newest / ABOUT).read_text(encoding="utf-8"))
        differing = [field for field in about if description[field] != about[field]]
    if differing:
        field = differing[0]
        raise SavedStateError(
            f"{newest} is the state of a run with {field} = {description[field]!r}, this one has {about[field]!r}: "
            "choose another state_dir, or remove it to start anew"
        )
    with _reading(newest):
        with np.load(newest / ALIGNER, allow_pickle=False) as stored:
            known = aligner.from_arrays(dict(stored))
        weights = _load_weights(newest / MODEL, description["weights"])
        return SavedState(int(description["round"]), weights, known, list(description["history"]))


def load_weights(folder: str | Path) -> dict[str, Array]:
    """Read the whole model from the newest state in a run's ``state_dir``.

    Raises
    ------
    SavedStateError
        If there is none.
    """
    rounds = _rounds(Path(folder))
    if not rounds:
        raise SavedStateError(f"there is no state in {folder}")
    with _reading(rounds[-1]):
        description = json.loads((rounds[-1] / ABOUT).read_text(encoding="utf-8"))
        return _load_weights(rounds[-1] / MODEL, description["weights"])


@contextmanager
def _reading(folder: Path) -> Iterator[None]:
    """Turn whatever is wrong with a state's files into an error that names the folder."""
    try:
        yield
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, zlib.error, SafetensorError) as error:
        raise SavedStateError(f"cannot read the state in {folder}: {type(error).__name__}: {error}") from error


def _rounds(folder: Path) -> list[Path]:
    return sorted(folder.glob("round-[0-9]*"), key=lambda path: int(path.name.partition("-")[2]))


def _is_torch(weights: Mapping[str, Array]) -> bool:
    return any(arrays.kind(value).startswith("torch.") for value in weights.values())


def _save_weights(path: Path, weights: Mapping[str, Array], kind: str) -> None:
    if kind == "torch":
        from safetensors.torch import save_file  # noqa: PLC0415  (torch only for weights that are torch's)

        save_file({name: value.contiguous() for name, value in weights.items()}, path)
    else:
        from safetensors.numpy import save_file as save_arrays  # noqa: PLC0415

        save_arrays({name: np.ascontiguousarray(value) for name, value in weights.items()}, path)


def _load_weights(path: Path, kind: str) -> dict[str, Array]:
    if kind == "torch":
        from safetensors.torch import load_file  # noqa: PLC0415

        return dict(load_file(path))
    from safetensors.numpy import load_file as load_arrays  # noqa: PLC0415

    return dict(load_arrays(path))

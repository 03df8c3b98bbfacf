"""Saves and loads an aligner's state: arrays and JSON without pickle, exact to the last bit."""

from pathlib import Path
from typing import Any

from alignsolve.aligner import Aligner
from alignsolve.estimate import state as states
from alignsolve.estimate.aligner_state import AlignerState
from alignsolve.io.record_file import FileError, as_array, read_record, write_record

KIND = "aligner state"


def save_state(path: str | Path, state: AlignerState, aligner: Aligner, *, overwrite: bool = True) -> None:
    """Write a state completely or not at all: an older file stays until the new one is complete.

    Parameters
    ----------
    path
        The file to write: .npz (arrays, with a JSON header) or .json.
    state, aligner
        The state, and its aligner; the file records the names of the aligner's estimators.
    overwrite
        Replace an existing file.

    Raises
    ------
    FileError
        If the suffix is neither .npz nor .json, or the file exists (unless ``overwrite``) or cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> aligner = Aligner()
    >>> state = aligner.init(num_clients=3, num_experts=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_state(f"{folder}/state.npz", state, aligner)
    ...     load_state(f"{folder}/state.npz", aligner).num_clients
    3
    """
    arrays = states.to_arrays(state)
    write_record(path, KIND, {"estimators": described(aligner)}, arrays, overwrite=overwrite)


def load_state(path: str | Path, aligner: Aligner) -> AlignerState:
    """Read a state for an aligner with the same estimators; their parameters may differ.

    Parameters
    ----------
    path
        A file of :func:`save_state`.
    aligner
        The aligner that will use the state.

    Raises
    ------
    FileError
        If the file is missing or damaged, or holds the state of other estimators.
    """
    record = read_record(path, KIND)
    noted, own = record.pop("estimators", None), described(aligner)
    if noted != own:
        raise FileError(path, f"is the state of {noted}; this aligner has {own}")
    arrays = {name: _array(path, name, value) for name, value in record.items()}
    try:
        return aligner.from_arrays(arrays)
    except ValueError as error:
        raise FileError(path, str(error)) from error


def _array(path: str | Path, name: str, value: Any) -> Any:
    array = as_array(path, name, value)
    if array is None:
        raise FileError(path, f"{name} is missing")
    return array


def described(aligner: Aligner) -> str:
    """Return the names of an aligner's estimators, with inner estimators in brackets.

    Examples
    --------
    >>> described(Aligner())
    'fitness=LossFitness, load=LoadMonitor, capacity=CapacityProfiler'
    """
    parts = {field: getattr(aligner, field) for field in ("fitness", "load", "capacity", "budget", "switching")}
    names = [f"{field}={_named(part)}" for field, part in parts.items() if part is not None]
    names += [f"layers={aligner.layers}"] if aligner.layers else []
    return ", ".join(names + (["privacy"] if aligner.privacy else []))


def _named(estimator: Any) -> str:
    """Return the class name of an estimator, with those of its inner estimators in brackets."""
    values = [getattr(estimator, name) for name in getattr(estimator, "__dataclass_fields__", ())]
    flat = [one for value in values for one in (_members(value) if isinstance(value, tuple) else [value])]
    inner = [_named(one) for one in flat if callable(getattr(one, "update", None))]
    return type(estimator).__name__ + (f"({', '.join(inner)})" if inner else "")


def _members(value: Any) -> list[Any]:
    """Return all values in nested tuples."""
    return [one for member in value for one in (_members(member) if isinstance(member, tuple) else [member])]

"""Files of placements: loads as CSV, placements as JSON in the index form that serving systems take."""

import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from alignsolve.data.csv_read import read_csv
from alignsolve.data.table import Table
from alignsolve.io.record_file import FileError, parse_json, write_record
from alignsolve.numerics import BoolArray, FloatArray, IntArray
from alignsolve.placement.placement import Placement, copies_of

KIND = "placement"
COLUMNS = ("layer", "expert", "load")


def read_loads_csv(path: str | Path) -> FloatArray:
    """Read loads per expert from a CSV file with the columns expert, load and perhaps layer.

    Layers and experts are numbered from 0, and every layer has every expert once, in any order.

    Returns
    -------
    ndarray
        (num_experts,), or (num_layers, num_experts) if there is a column layer.

    Raises
    ------
    ValueError
        If the file cannot be read, has other columns, or lacks an expert; the message names the line or the expert.
    """
    table = read_csv(path, (), check=_check_columns)
    if not table.num_rows:
        raise ValueError(f"{table.source} has no rows; it must have the load of every expert")
    place = [_indices(table, name) for name in COLUMNS[:-1] if name in table.columns]
    shape = tuple(int(axis.max()) + 1 for axis in place)
    number = np.ravel_multi_index(place, shape) if np.prod(shape, dtype=float) < 2**31 else None
    if number is None or len(number) < np.prod(shape) or len(np.unique(number)) < len(number):
        raise ValueError(f"{table.source}: {_uneven(place, shape)}")
    loads = np.zeros(shape)
    loads.ravel()[number] = table.numbers("load")
    return loads


def _check_columns(source: str, columns: Sequence[str]) -> None:
    if not {"expert", "load"} <= set(columns) <= set(COLUMNS):
        raise ValueError(
            f"{source} has the columns {', '.join(columns)}; a table of loads has expert, load and perhaps layer"
        )


def _indices(table: Table, name: str) -> IntArray:
    values = np.asarray(table.numbers(name), dtype=float)
    with np.errstate(invalid="ignore"):
        wrong = ~((values >= 0) & (values == np.floor(values)) & (values < 2**31))
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(f"{table.place(row, name)}: {values[row]:g} is no number of one: they are 0, 1, 2, …")
    return values.astype(np.int64)


def _uneven(place: list[IntArray], shape: tuple[int, ...]) -> str:
    """Say which expert has no row or two."""
    members, times = np.unique(np.stack(place), axis=1, return_counts=True)
    names = COLUMNS[:-1][-len(place) :]
    if times.max() > 1:
        twice = members[:, int(times.argmax())].tolist()
        return " ".join(f"{name} {k}" for name, k in zip(names, twice, strict=True)) + " has more than one row"
    there = set(map(tuple, members.T.tolist()))
    missing = next(cell for cell in np.ndindex(*shape) if cell not in there)
    named = " ".join(f"{name} {k}" for name, k in zip(names, missing, strict=True))
    return f"{named} has no row; write one, perhaps of load 0"


def save_placement(placed: Placement, path: str | Path, *, overwrite: bool = False) -> None:
    """Write a placement as JSON, with the index arrays that serving systems take.

    :func:`read_copies` reads it. The file holds ``physical_to_logical``, ``logical_to_physical`` and ``counts`` as the
    attributes of :class:`~alignsolve.placement.Placement` do. It also holds slots, speed and node of each GPU, the
    group of each expert, the loads, the largest times and the bounds.

    Raises
    ------
    FileError
        If the suffix is not .json, the file exists (unless ``overwrite``) or cannot be written.
    """
    if Path(path).suffix != ".json":
        raise FileError(path, f"has the suffix {Path(path).suffix!r}; it must be .json")
    fleet = placed.fleet
    arrays = {
        "physical_to_logical": placed.physical_to_logical,
        "logical_to_physical": placed.logical_to_physical,
        "counts": placed.counts,
        "slots": fleet.slots,
        "speed": fleet.speed,
        "gpu_node": fleet.node,
        "expert_group": fleet.group,
        "loads": placed.loads,
        "largest": np.asarray(placed.largest),
        "bound": np.asarray(placed.bound),
        "gap": np.asarray(placed.gap),
        "moved": np.asarray(placed.moved),
    }
    write_record(path, KIND, {}, arrays, overwrite=overwrite)


def read_copies(path: str | Path, num_experts: int, slots: IntArray) -> BoolArray:
    """Read which GPU holds which experts from a JSON file with ``physical_to_logical``.

    Parameters
    ----------
    path
        The file. Its own ``slots`` count, if it has some.
    num_experts
        How many experts there are.
    slots
        (num_gpus,): slots of each GPU, for a file without ``slots``.

    Raises
    ------
    FileError
        If the file cannot be read or holds no placement of these experts.
    """
    record = _read_object(path)
    if "physical_to_logical" not in record:
        raise FileError(path, "has no physical_to_logical, the expert in each slot")
    try:
        return copies_of(record["physical_to_logical"], num_experts, record.get("slots", slots))
    except ValueError as error:
        raise FileError(path, str(error)) from error


def _read_object(path: str | Path) -> dict[str, Any]:
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise FileError(path, "cannot be read: it is not a file")
        record = parse_json(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise FileError(path, f"cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise error if isinstance(error, FileError) else FileError(path, f"is not valid JSON: {error}") from error
    if not isinstance(record, dict):
        raise FileError(path, f"holds a {type(record).__name__}, not an object with physical_to_logical")
    return record

"""Data frames: which arguments are labelled arrays, and what their labels are.

pandas is read by its own methods, so it need not be imported: whatever has an ``index`` and a ``to_numpy`` is labelled.
Frames without an index (polars, Arrow) are read by narwhals, which the extra ``alignsolve[tables]`` brings. The names
of their rows are in a column: the one called ``client`` (or ``expert``), else the only one that holds no numbers.
"""

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

NAME_COLUMNS = ("client", "expert")
"""Columns of a frame that hold the names of its rows."""


@dataclass(frozen=True)
class Labelled:
    """An array with labels.

    Attributes
    ----------
    values
        (rows,) or (rows, columns).
    axes
        The labels of each axis; None where they are only positions.
    """

    values: npt.NDArray[Any]
    axes: tuple[list[Any] | None, ...]


def is_labelled(given: Any) -> bool:
    """Whether an argument is a frame, or a series with an index; lists have a method of that name."""
    index = getattr(given, "index", None)
    return (index is not None and not callable(index) and hasattr(given, "to_numpy")) or is_frame(given)


def is_frame(given: Any) -> bool:
    """Whether an argument is a table with columns that have names, of any library."""
    columns = getattr(given, "column_names", getattr(given, "columns", None))
    return columns is not None and not callable(columns) and not isinstance(given, np.ndarray)


def library_of(given: Any) -> str | None:
    """Return the name of the library of a data frame; None for what is none."""
    return type(given).__module__.partition(".")[0] if is_frame(given) else None


def read_labelled(field: str, given: Any, *, flat: bool = False) -> Labelled:
    """Read a labelled argument.

    Parameters
    ----------
    field
        Its name, for errors.
    given
        A series or a frame.
    flat
        Whether a frame with a column of names and one more column stands for one number per row.

    Raises
    ------
    ValueError
        If several columns could hold the names of the rows.
    ImportError
        If the frame is none of pandas, and narwhals is not installed.
    """
    if not is_frame(given):
        return Labelled(given.to_numpy(), (labels_of(given.index),))
    if hasattr(given, "index"):
        return _flattened(_read_pandas(given), flat=flat)
    return _flattened(_read_without_index(field, given), flat=flat)


def _flattened(read: Labelled, *, flat: bool) -> Labelled:
    if flat and read.values.shape[1:] == (1,) and read.axes[0] is not None:
        return Labelled(read.values[:, 0], read.axes[:1])
    return read


def labels_of(axis: Any) -> list[Any] | None:
    """Return the labels of an axis; None where they only count from 0."""
    labels = np.asarray(axis)
    if labels.dtype.kind in "iu" and np.array_equal(labels, np.arange(len(labels))):
        return None
    return list(axis)


def _read_pandas(frame: Any) -> Labelled:
    """Read a frame with an index; where the index only counts, a column of names takes its place."""
    index, columns = labels_of(frame.index), list(frame.columns)
    name = next((name for name in NAME_COLUMNS if name in columns), None)
    if index is None and name is not None:
        place = columns.index(name)
        index, columns = list(frame.iloc[:, place]), columns[:place] + columns[place + 1 :]
        return Labelled(frame.drop(columns=[name]).to_numpy(), (index, labels_of(columns)))
    return Labelled(frame.to_numpy(), (index, labels_of(columns)))


def _read_without_index(field: str, given: Any) -> Labelled:
    """Read a frame of polars, Arrow or another library that narwhals knows."""
    frame = narwhals_frame(field, given)
    name = next((name for name in NAME_COLUMNS if name in frame.columns), None)
    if name is None:
        texts = [column for column, dtype in frame.schema.items() if not (dtype.is_numeric() or _is_bool(dtype))]
        if len(texts) > 1:
            listed = ", ".join(map(repr, texts))
            raise ValueError(f"{field}: the columns {listed} hold no numbers; which one holds the names of the rows? "
                             "Call it 'client' or 'expert'")  # fmt: skip
        name = next(iter(texts), None)
    rest = [column for column in frame.columns if column != name]
    index = None if name is None else frame[name].to_list()
    return Labelled(frame.select(rest).to_numpy(), (index, rest))


def _is_bool(dtype: Any) -> bool:
    return str(dtype) == "Boolean"


def narwhals_frame(field: str, given: Any) -> Any:
    """Return a frame of any library as a frame of narwhals, with its data in memory.

    Raises
    ------
    ImportError
        If narwhals is not installed; the message names the extra.
    ValueError
        If this is no frame that it knows.
    """
    try:
        narwhals = importlib.import_module("narwhals.stable.v2")
    except ImportError as error:
        kind = f"{type(given).__module__.partition('.')[0]} {type(given).__name__}"
        raise ImportError(f"{field} is a {kind}; to read it, install the extra: pip install 'alignsolve[tables]'"
                          ) from error  # fmt: skip
    try:
        frame = narwhals.from_native(given)
    except TypeError as error:
        raise ValueError(f"{field} is a {type(given).__name__}, which is no data frame that can be read") from error
    return frame.collect() if hasattr(frame, "collect") else frame

"""The selected pairs of a solution as columns, as a data frame and as a CSV file: client, expert, fitness."""

import csv
import importlib
import io
import os
from pathlib import Path
from typing import Any

import numpy as np

from alignsolve.certificate.worth import selected

HOW = "solution.to_csv(path) needs no package"


def columns_of(solution: Any) -> dict[str, Any]:
    """Return the columns client, expert and fitness of the selected pairs, by client, then by expert.

    Names stand there where the problem has them, else numbers. Where experts are in sets, the column set has the
    smallest set around the expert.

    Raises
    ------
    ValueError
        If the solution has no alignment.
    """
    problem, assigned = solution.problem, solution.assigned
    if assigned is None:
        raise ValueError(f"there is no alignment to write: {solution.explain()}")
    parts = [block.fitness[rows, block.columns(rows, experts)] for block, rows, experts in selected(problem, assigned)]
    clients, experts = assigned.clients(), assigned.experts
    columns = {"client": _named(problem.client_names, clients), "expert": _named(problem.expert_names, experts)}
    if problem.sets is not None:
        columns["set"] = [_set_name(problem, s) for s in problem.sets.smallest[experts].tolist()]
    return columns | {"fitness": np.concatenate(parts) if parts else np.zeros(0, dtype=problem.fitness.dtype)}


def _set_name(problem: Any, s: int) -> Any:
    """The name of a set, or its number as a text; empty for −1."""
    if s < 0:
        return ""
    return str(s) if problem.set_names is None else problem.set_names[s]


def _named(names: Any, members: Any) -> Any:
    return members if names is None else [names[k] for k in members.tolist()]


def frame_of(solution: Any, library: str | None) -> Any:
    """Return the selected pairs as a data frame of a library, by its name.

    Raises
    ------
    ImportError
        If the library is not installed.
    """
    columns = columns_of(solution)
    name = library or "pandas"
    try:
        module = importlib.import_module(name)
        if name == "pandas":
            return module.DataFrame(columns)
        narwhals = importlib.import_module("narwhals.stable.v2")
    except ImportError as error:
        needed = error.name or name
        raise ImportError(f"a data frame of {name} needs {needed}: pip install 'alignsolve[tables]' {name}; {HOW}"
                          ) from error  # fmt: skip
    plain = {key: values.tolist() if isinstance(values, np.ndarray) else values for key, values in columns.items()}
    return narwhals.from_dict(plain, backend=name).to_native()


def csv_text(columns: dict[str, Any]) -> str:
    """Return columns as CSV with a header; floats with all their digits."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    lists = [values.tolist() if isinstance(values, np.ndarray) else list(values) for values in columns.values()]
    writer.writerows(zip(*lists, strict=True))
    return out.getvalue()


def write_csv(columns: dict[str, Any], path: str | os.PathLike[str]) -> None:
    """Write columns to a CSV file, UTF-8; an existing file is replaced."""
    Path(path).write_text(csv_text(columns), encoding="utf-8", newline="")

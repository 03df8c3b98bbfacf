"""Sets of experts in tables: columns of the experts' table name them, and a table of sets has their bounds.

A column ``set`` says in which set an expert is; an empty cell: in none. Where experts are in several sets, a column
``set_NAME`` says in which one of each kind, such as ``set_cell`` and ``set_region``. A name stands in one column only.
"""

import difflib
from typing import Any

import numpy as np

from alignsolve.data.names import Name, Names, some
from alignsolve.data.table import Table, sorted_once
from alignsolve.io.table_columns import filled, parts_of
from alignsolve.numerics import BoolArray
from alignsolve.problem import AlignmentProblem

BOUNDS = {
    "capacity": "set_capacity",
    "demand": "set_demand",
    "overload_penalty": "set_overload_penalty",
    "shortfall_penalty": "set_shortfall_penalty",
}
"""The columns of a table of sets, and the fields of a problem that they are."""


def set_fields(experts: Table | None, sets: Table | None) -> dict[str, Any]:
    """Return the fields of sets: members, names and bounds; empty where there are none.

    Parameters
    ----------
    experts
        The table of the experts, one row each.
    sets
        The table of the sets, one row each, in the order that the problem will have. None: no set has a bound.

    Raises
    ------
    ValueError
        If a set is named in two columns, or in one of the two tables only; the message names the place.
    """
    columns = [] if experts is None else list(parts_of(experts, "set").values())
    if experts is None or not columns:
        if sets is not None:
            raise ValueError(f"{sets.source} is given, but no expert is in a set; say in the table of the experts, "
                             "column set, which expert is in which")  # fmt: skip
        return {}
    found = _members(experts, columns)
    if sets is None:
        return _fields(found)
    own = sets.names("set")
    sorted_once(sets, own.codes, ("set",))
    _refuse_strangers(experts, columns, found, sets)
    bounds = {field: filled(sets, column) for column, field in BOUNDS.items() if column in sets.columns}
    return _fields({name: found[name] for name in own.labels}) | bounds


def _members(experts: Table, columns: list[str]) -> dict[Name, BoolArray]:
    """Return which experts are in which set, in the order of the columns and rows in which they are named."""
    found: dict[Name, BoolArray] = {}
    for column in columns:
        codes, labels = experts.names(column)
        for code, name in enumerate(labels):
            if name == "":
                continue
            if name in found:
                row = int(np.argmax(codes == code))
                raise ValueError(f"{experts.place(row, column)}: the set {name!r} is in another column too; "
                                 "give each set its own name")  # fmt: skip
            found[name] = codes == code
    return found


def _fields(found: dict[Name, BoolArray]) -> dict[str, Any]:
    if not found:
        return {}
    return {"expert_sets": np.stack(list(found.values())), "set_names": list(found)}


def _refuse_strangers(experts: Table, columns: list[str], found: dict[Name, BoolArray], sets: Table) -> None:
    """Raise for a set that only one of the two tables knows."""
    codes, labels = sets.names("set")
    for name, members in found.items():
        if name not in labels:
            row = int(members.argmax())
            column = next(c for c in columns if experts.names(c).labels[experts.names(c).codes[row]] == name)
            near = difflib.get_close_matches(str(name), [str(label) for label in labels], n=1)
            hint = f"did you mean {near[0]!r}? Or else " if near else ""
            raise ValueError(f"{experts.place(row, column)}: {sets.source} has no set {name!r}; {hint}"
                             "add a line for it there")  # fmt: skip
    for code, name in enumerate(labels):
        if name not in found:
            row = int(np.argmax(codes == code))
            raise ValueError(f"{sets.place(row, 'set')}: no expert is in the set {name!r}; there are "
                             f"{some(list(found))}")  # fmt: skip


def set_columns(problem: AlignmentProblem) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the columns of sets in the table of the experts, and the table of sets; both empty without sets."""
    if problem.sets is None:
        return {}, {}
    names: Names = problem.set_names or tuple(range(problem.num_sets))
    columns: dict[str, Any] = {}
    for k, some_sets in enumerate(problem.sets.disjoint):
        cells: list[Name] = [""] * problem.num_experts
        for s in some_sets.tolist():
            for j in np.flatnonzero(problem.sets.members[s]).tolist():
                cells[j] = names[s]
        columns["set" if k == 0 else f"set_{k}"] = cells
    table: dict[str, Any] = {"set": list(names), "capacity": problem.set_capacity, "demand": problem.set_demand}
    for column in ("overload_penalty", "shortfall_penalty"):
        if np.isfinite(getattr(problem, BOUNDS[column])).any():
            table[column] = getattr(problem, BOUNDS[column])
    return columns, table

"""The columns that the tables of a problem can have, and what an empty cell means in each."""

import difflib
import re
from collections.abc import Collection, Sequence

import numpy as np

from alignsolve.data.table import Table
from alignsolve.numerics import RealArray


class _NameColumns(frozenset[str]):
    """Columns of names, ``set_NAME`` with any ending among them."""

    def __contains__(self, column: object) -> bool:
        return super().__contains__(column) or (isinstance(column, str) and column.startswith("set_"))


NAME_COLUMNS = _NameColumns({"client", "expert", "group", "set"})
"""Columns of names; all others hold numbers."""
PAIR_COLUMNS = ("client", "expert", "fitness", "load", "cost", "cost_NAME", "required", "previous", "switching_cost")
CLIENT_COLUMNS = (
    "client", "capacity", "demand", "load", "budget", "budget_NAME", "group_capacity", "group_capacity_NAME",
    "group_demand", "group_demand_NAME",
)  # fmt: skip
EXPERT_COLUMNS = (
    "expert", "capacity", "demand", "group", "cost", "cost_NAME", "overload_penalty", "shortfall_penalty",
    "switching_cost", "optional_demand", "set", "set_NAME",
)  # fmt: skip
SET_COLUMNS = ("set", "capacity", "demand", "overload_penalty", "shortfall_penalty")
COLUMNS: dict[str, tuple[str, ...]] = {
    "pairs": PAIR_COLUMNS, "clients": CLIENT_COLUMNS, "experts": EXPERT_COLUMNS, "sets": SET_COLUMNS,
}  # fmt: skip
"""The columns that a table of each kind may have; ``…_NAME`` stands for any ending."""
NEEDED = {"pairs": ("client", "expert", "fitness"), "clients": ("client",), "experts": ("expert",),
          "sets": ("set",)}  # fmt: skip
HOW_TO_GIVE = {
    "pairs": "give it as the first table",
    "clients": "give it as clients (--clients FILE), and first a table of pairs",
    "experts": "give it as experts (--experts FILE), and first a table of pairs",
    "sets": "give it as sets (--sets FILE), and first a table of pairs and one of the experts",
}
EMPTY = {"overload_penalty": np.inf, "shortfall_penalty": np.inf, "required": 0, "previous": 0, "demand": 0,
         "optional_demand": 0}  # fmt: skip
"""What an empty cell means: no penalty but a hard bound, no mark, no demand, any load."""
UNLIMITED = re.compile(r"budget(_.*)?|group_capacity(_.*)?")
"""Columns where an empty cell means that there is no limit."""


def check_columns(source: str, columns: Sequence[str], kind: str) -> None:
    """Refuse a table that lacks a column, or has an unknown one; the message has the nearest name.

    Parameters
    ----------
    source
        What errors call the table.
    columns
        The columns that it has.
    kind
        "pairs", "clients", "experts" or "sets".
    """
    needed, known = NEEDED[kind], COLUMNS[kind]
    plain = [column for column in known if not column.endswith("_NAME")]
    unknown = _unknown(columns, known)
    other = _other_kind(kind, columns)
    if other:
        raise ValueError(f"{source} has the columns of a table of the {other}, but it is given as the table of the "
                         f"{kind}; {HOW_TO_GIVE[other]}")  # fmt: skip
    if unknown:
        name = unknown[0]
        near = difflib.get_close_matches(name.lower(), plain, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
        header = "; the first line must name the columns" if unknown == [*columns] and not near else ""
        raise ValueError(f"{source}: the column {name!r} is not known; {hint}{header}")
    missing = [name for name in needed if name not in columns]
    if missing:
        there = ", ".join(columns) or "none"
        raise ValueError(f"{source}: the column {missing[0]!r} is missing (there are: {there}); the table of the "
                         f"{kind} needs {', '.join(needed)}")  # fmt: skip


def _unknown(columns: Sequence[str], known: Collection[str]) -> list[str]:
    """The columns that are not known."""
    return [name for name in columns if name not in known and not _ending_of(name, known)]


def _other_kind(kind: str, columns: Sequence[str]) -> str:
    """The kind of table that this one must be, if it is not of the kind that it is given as; else empty."""
    fits = [
        other for other, known in COLUMNS.items() if set(NEEDED[other]) <= set(columns) and not _unknown(columns, known)
    ]
    return "" if kind in fits or not fits else fits[0]


def _ending_of(name: str, known: Collection[str]) -> bool:
    """Whether a column is one of ``budget_NAME`` and so on."""
    beginnings = [column.removesuffix("NAME") for column in known if column.endswith("_NAME")]
    return any(name.startswith(beginning) and name != beginning for beginning in beginnings)


def parts_of(table: Table, column: str) -> dict[str, str]:
    """Return the columns ``budget`` and ``budget_NAME`` of a table by NAME, which is empty for the first."""
    found = {column: column} if column in table.columns else {}
    found |= {name: name for name in table.columns if name.startswith(f"{column}_")}
    return {name.removeprefix(column).removeprefix("_"): name for name in found}


def filled(table: Table, column: str) -> RealArray:
    """Return the numbers of a column; an empty cell is what it means there.

    Raises
    ------
    ValueError
        If a cell is empty where a number is needed, or a mark is neither 0 nor 1; the message names the place.
    """
    values = table.numbers(column)
    if column in ("required", "previous"):
        wrong = ~(np.isnan(values) | (values == 0) | (values == 1))
        if wrong.any():
            row = int(wrong.argmax())
            raise ValueError(f"{table.place(row, column)}: {values[row]:g} is no mark; write 1 for yes, 0 for no")
    empty = np.isnan(values)
    if not empty.any():
        return values
    instead = EMPTY.get(column)
    if instead is None and (UNLIMITED.fullmatch(column) or (column == "capacity" and "client" not in table.columns)):
        instead = np.inf
    if instead is None:
        raise ValueError(f"{table.place(int(empty.argmax()), column)}: the cell is empty; write a number")
    return np.where(empty, instead, values)

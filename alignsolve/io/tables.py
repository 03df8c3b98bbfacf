"""problem_from_tables(): a problem from a list of pairs with names, and a table for each side.

A table is a data frame, a mapping from column names to columns, or a CSV file. This file puts rows into the order of
the clients and the experts; :mod:`alignsolve.io.table_columns` says which columns there are, and what an empty cell
means in each.
"""

import difflib
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from alignsolve.data.csv_read import read_csv
from alignsolve.data.frames import library_of
from alignsolve.data.names import PlaceError, some
from alignsolve.data.stored import StoredPairs
from alignsolve.data.table import Table, read_table, refuse_empty_names, sorted_once
from alignsolve.io.set_tables import set_fields
from alignsolve.io.table_columns import (
    NAME_COLUMNS,
    check_columns,
    filled,
    parts_of,
)
from alignsolve.numerics import IntArray
from alignsolve.problem import AlignmentProblem

FULL_PAIRS = 1 << 20
"""Up to this many pairs, listed or not, a problem has full matrices: every solver and ``diagnose`` take those."""
FULL_FIELDS = frozenset({"optional_demand", "expert_sets"})
"""Fields of the cardinality side that a sparse problem cannot have."""
MOST_PAIRS = 1 << 29
"""Most pairs of a problem with loads or budgets, which need full matrices."""


def problem_from_tables(pairs: Any, clients: Any = None, experts: Any = None, sets: Any = None) -> AlignmentProblem:
    """Make a problem from a table of pairs, and tables of the clients, the experts and their sets if there are limits.

    A table is a data frame (pandas; polars, Arrow and others with the extra ``[tables]``), a mapping from the names of
    columns to columns, or the path of a CSV file with a header. Rows may stand in any order: they are matched by names.

    Parameters
    ----------
    pairs
        One row for each eligible pair; a pair that is not listed is not eligible. Columns: ``client``, ``expert`` and
        ``fitness``; if wanted ``load`` (of the pair on the expert), ``cost`` or several ``cost_NAME`` (in the unit of
        the client's budget), ``required`` and ``previous`` (0 or 1) and ``switching_cost``.
    clients
        One row for each client, in the order that the problem will have. Columns: ``client``; if wanted ``capacity``
        and ``demand`` (most and fewest experts; default 1 and 0), ``load`` (on each of its experts), ``budget`` or
        several ``budget_NAME``, and ``group_capacity`` and ``group_demand`` (experts of each group) or
        ``group_capacity_NAME`` and ``group_demand_NAME`` of single groups. None: the clients that the pairs name.
    experts
        One row for each expert. Columns: ``expert``; if wanted ``capacity`` and ``demand`` (most and least load),
        ``group`` (a name), ``cost`` or several ``cost_NAME`` (the same for all clients), ``overload_penalty``,
        ``shortfall_penalty``, ``switching_cost``, ``optional_demand`` (no load, or at least so much), and ``set`` or
        several ``set_NAME`` (names; an empty cell: in no set). None: the experts that the pairs name.
    sets
        One row for each set of experts, in the order that the problem will have. Columns: ``set``; if wanted
        ``capacity``, ``demand``, ``overload_penalty`` and ``shortfall_penalty``. None: sets have no bounds.

    Returns
    -------
    AlignmentProblem
        With ``client_names`` and ``expert_names``. Where many pairs are not listed, and there are neither loads nor
        budgets, it is sparse: only listed pairs are in memory.

    Raises
    ------
    ValueError
        If a column is missing or unknown, a pair is listed twice, a name is empty or in one table only, or a cell is
        wrong. The message names the table, the line and the column, and says what to do.
    ImportError
        If a data frame needs the extra ``[tables]``.

    Examples
    --------
    >>> problem = problem_from_tables(
    ...     {"client": ["Ann", "Ann", "Bob"], "expert": ["x", "y", "x"], "fitness": [3, 1, 2]},
    ...     experts={"expert": ["x", "y"], "capacity": [1, 1]},
    ... )
    >>> problem.client_names, problem.expert_names, problem.fitness.tolist()
    (('Ann', 'Bob'), ('x', 'y'), [[3, 1], [2, 0]])
    """
    problem = _Tables(
        _read(pairs, "pairs"),
        None if clients is None else _read(clients, "clients"),
        None if experts is None else _read(experts, "experts"),
        None if sets is None else _read(sets, "sets"),
    ).problem()
    object.__setattr__(problem, "library", library_of(pairs))
    return problem


def _read(given: Any, source: str) -> Table:
    """Read one table, and check its columns."""
    if isinstance(given, str | os.PathLike):
        table = read_csv(Path(given), NAME_COLUMNS, check=lambda name, header: check_columns(name, header, source))
    elif isinstance(given, Table):
        table = given
    else:
        table = read_table(source, given, NAME_COLUMNS)
    check_columns(table.source, list(table.columns), source)
    for name in ("client", "expert", "group", *(("set",) if source == "sets" else ())):
        if name in table.columns:
            refuse_empty_names(table, name)
    return table


class _Tables:
    """The tables, with the place of each row's client and expert in the problem."""

    def __init__(self, pairs: Table, clients: Table | None, experts: Table | None, sets: Table | None) -> None:
        self.pairs, self.clients, self.experts, self.sets = pairs, clients, experts, sets
        if not pairs.num_rows and clients is None:
            raise ValueError(f"{pairs.source} has no row, and there is no table of the clients; write one row for "
                             "each eligible pair")  # fmt: skip
        self.client_names, self.client = _numbered(pairs, clients, "client")
        self.expert_names, self.expert = _numbered(pairs, experts, "expert")
        self.shape = (len(self.client_names), len(self.expert_names))
        self.order = sorted_once(pairs, self.client * max(1, self.shape[1]) + self.expert, ("client", "expert"))

    def problem(self) -> AlignmentProblem:
        """Build the problem."""
        fields = {**self._client_fields(), **self._expert_fields(), **set_fields(self.experts, self.sets)}
        fields |= {"client_names": self.client_names, "expert_names": self.expert_names}
        general = self._general_fields()
        n, e = self.shape
        listed = self.pairs.num_rows
        full = bool(general) or not FULL_FIELDS.isdisjoint(fields)
        if full and n * e > MOST_PAIRS:
            what = "loads and budgets" if general else "sets and optional demands"
            raise ValueError(
                f"{self.pairs.source}: {what} need full matrices, and {n} clients x {e} experts are too "
                f"many for them; at most {MOST_PAIRS} pairs are possible"
            )
        if full or n * e <= FULL_PAIRS or 2 * listed >= n * e:
            fields |= general | self._pair_fields(self._full)
            if listed < n * e:
                fields["eligible"] = self._full(np.ones(listed, dtype=np.bool_))
        else:
            indptr = np.zeros(n + 1, dtype=np.int64)
            np.cumsum(np.bincount(self.client, minlength=n), out=indptr[1:])
            experts = self.expert[self.order].astype(np.int32)
            fields |= self._pair_fields(lambda values: StoredPairs(self.shape, indptr, experts, values[self.order]))
        try:
            return AlignmentProblem(**fields)
        except PlaceError as error:
            raise ValueError(f"{self._row_of(dict(error.place))}{error}") from None

    def _row_of(self, place: dict[str, int]) -> str:
        """The words for the row that says what is said of a client, an expert or a pair; empty if none does."""
        i, j = place.get("client"), place.get("expert")
        if i is not None and j is not None:
            rows = np.flatnonzero((self.client == i) & (self.expert == j))
            return f"{self.pairs.place(int(rows[0]))}: " if len(rows) else ""
        table, row = (self.clients, i) if i is not None else (self.experts, j)
        if "set" in place:
            table, row = self.sets, place["set"]
        return "" if table is None or row is None else f"{table.place(row)}: "

    def _full(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Spread values of the listed pairs into a (num_clients, num_experts) matrix, 0 elsewhere."""
        matrix = np.zeros(self.shape, dtype=values.dtype)
        matrix[self.client, self.expert] = values
        return matrix

    def _pair_fields(self, spread: Any) -> dict[str, Any]:
        """Fitness, marks and switching costs of the pairs, each spread into a matrix of the wanted form."""
        fields = {"fitness": spread(filled(self.pairs, "fitness"))}
        for mark in ("required", "previous"):
            if mark in self.pairs.columns:
                fields[mark] = spread(filled(self.pairs, mark).astype(np.bool_))
        if "switching_cost" in self.pairs.columns:
            fields["switching_cost"] = spread(filled(self.pairs, "switching_cost").astype(np.float64))
        return fields

    def _client_fields(self) -> dict[str, Any]:
        table = self.clients
        if table is None:
            return {}
        fields: dict[str, Any] = {
            f"client_{name}": filled(table, name) for name in ("capacity", "demand") if name in table.columns
        }
        groups = self._groups()
        for bound in ("group_capacity", "group_demand"):
            given = parts_of(table, bound)
            if not given:
                continue
            if not groups:
                raise ValueError(
                    f"{table.source} has the column {next(iter(given.values()))}, but there are no groups; say in the "
                    "table of the experts, column group, which expert is in which"
                )
            most = float(len(self.expert_names))
            whole = np.full((table.num_rows, len(groups)), most if bound == "group_capacity" else 0.0)
            for part, column in given.items():
                if part and part not in groups:
                    raise ValueError(f"{table.source}, column {column}: no expert is in a group {part!r}; "
                                     f"there are {some(groups)}")  # fmt: skip
                values = filled(table, column)
                values = np.where(values == np.inf, most, values)
                whole[:, groups.index(part) if part else slice(None)] = values if part else values[:, None]
            fields[bound] = whole
        return fields

    def _groups(self) -> list[str]:
        """The names of the groups."""
        if self.experts is None or "group" not in self.experts.columns:
            return []
        return [str(label) for label in self.experts.names("group").labels]

    def _expert_fields(self) -> dict[str, Any]:
        table = self.experts
        if table is None:
            return {}
        own = {"capacity": "expert_capacity", "demand": "expert_demand"}
        fields: dict[str, Any] = {}
        for name in ("capacity", "demand", "overload_penalty", "shortfall_penalty", "switching_cost",
                     "optional_demand"):  # fmt: skip
            if name in table.columns:
                fields[own.get(name, name)] = filled(table, name)
        if "group" in table.columns:
            fields["expert_group"] = table.names("group").codes
        if "switching_cost" in fields and "switching_cost" in self.pairs.columns:
            raise ValueError(f"{table.source} and {self.pairs.source} both have switching_cost; keep one of them")
        return fields

    def _general_fields(self) -> dict[str, Any]:
        """Loads and budgets; empty for a problem of the cardinality class."""
        fields: dict[str, Any] = {}
        if "load" in self.pairs.columns:
            if self.clients is not None and "load" in self.clients.columns:
                raise ValueError(f"{self.clients.source} and {self.pairs.source} both have load; keep one of them")
            fields["client_load"] = self._full(filled(self.pairs, "load").astype(np.float64))
        elif self.clients is not None and "load" in self.clients.columns:
            fields["client_load"] = filled(self.clients, "load")
        return fields | self._budget_fields()

    def _budget_fields(self) -> dict[str, Any]:
        budgets = {} if self.clients is None else parts_of(self.clients, "budget")
        pair_costs = parts_of(self.pairs, "cost")
        expert_costs = {} if self.experts is None else parts_of(self.experts, "cost")
        costs = {**pair_costs, **expert_costs}
        if budgets.keys() != costs.keys():
            lonely = next(iter(sorted(budgets.keys() ^ costs.keys())))
            has, lacks = ("budget", "cost") if lonely in budgets else ("cost", "budget")
            end = f"_{lonely}" if lonely else ""
            where = "the clients" if lacks == "budget" else "the pairs or the experts"
            raise ValueError(f"there is a column {has}{end}, but no {lacks}{end} in the table of {where}: "
                             "a budget needs both")  # fmt: skip
        both = pair_costs.keys() & expert_costs.keys()
        if both:
            raise ValueError(f"the costs {some(sorted(both))} are in the table of the pairs and in that of the "
                             "experts; keep one of them")  # fmt: skip
        if not budgets:
            return {}
        assert self.clients is not None
        limits = np.stack([filled(self.clients, column) for column in budgets.values()], axis=1).astype(np.float64)
        spent = np.zeros((*self.shape, len(budgets)))
        for k, part in enumerate(budgets):
            if part in pair_costs:
                spent[:, :, k] = self._full(filled(self.pairs, pair_costs[part]).astype(np.float64))
            else:
                assert self.experts is not None
                spent[:, :, k] = filled(self.experts, expert_costs[part])
        return {"client_budget": limits, "expert_cost": spent}


def _numbered(pairs: Table, side: Table | None, what: str) -> tuple[list[Any], IntArray]:
    """The names of one side in order, and the number of each pair's one.

    Raises
    ------
    ValueError
        If the side's table has a name twice, or lacks one that a pair has.
    """
    codes, labels = pairs.names(what)
    if side is None:
        return labels, codes
    own = side.names(what)
    sorted_once(side, own.codes, (what,))
    number = {label: k for k, label in enumerate(own.labels)}
    place = np.array([number.get(label, -1) for label in labels], dtype=np.int64)
    if (place < 0).any():
        missing = int(np.argmax(place < 0))
        name, row = str(labels[missing]), int(np.argmax(codes == missing))
        near = difflib.get_close_matches(name, [str(label) for label in own.labels[:100_000]], n=1)
        hint = f"did you mean {near[0]!r}? Or else " if near else ""
        raise ValueError(f"{pairs.place(row, what)}: {side.source} has no {what} {name!r}; {hint}"
                         "add a line for it there")  # fmt: skip
    return own.labels, place[codes]

"""An alignment problem as rows and columns: what LP and MIP back ends and their file formats understand.

    maximise cost·v   subject to   row_lower ≤ A·v ≤ row_upper,   lower ≤ v ≤ upper

The first columns are the eligible pairs, x_ij in {0, 1}; behind them one column for each expert's overload and one for
its shortfall where bounds are soft. Every pair touches the same kinds of rows (its client, its group, its expert …),
so that A is laid out column by column without sorting.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from alignsolve import Alignment, AlignmentProblem
from alignsolve.numerics import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class LinearProgram:
    """Rows and columns of one problem.

    Attributes
    ----------
    cost, lower, upper
        (num_columns,) float64; the first ``len(clients)`` columns are pairs and whole, the others continuous.
    start, index, value
        A by columns: column k has ``value[start[k]:start[k + 1]]`` in the rows ``index[start[k]:start[k + 1]]``.
    row_lower, row_upper
        (num_rows,) float64; ±inf where there is no bound.
    row_kinds
        What the rows are, in their order: a kind and the shape of its rows, such as ("group", (num_clients, 2)).
    clients, experts
        The pair behind each of the first columns.
    num_clients
        Rows of the alignment.
    expert_rows
        The rows that bound the experts' loads by hard bounds: where their prices are read.
    """

    cost: FloatArray
    lower: FloatArray
    upper: FloatArray
    start: IntArray
    index: IntArray
    value: FloatArray
    row_lower: FloatArray
    row_upper: FloatArray
    row_kinds: tuple[tuple[str, tuple[int, ...]], ...]
    clients: IntArray
    experts: IntArray
    num_clients: int
    expert_rows: IntArray

    @property
    def integral(self) -> BoolArray:
        """(num_columns,) which columns must be whole."""
        return np.arange(len(self.cost)) < len(self.clients)

    def row_names(self) -> list[str]:
        """``client_i``, ``group_i_g``, ``expert_j``, ``soft_capacity_j``, ``soft_demand_j``, ``budget_r_i``."""
        return ["_".join(map(str, (kind, *at))) for kind, shape in self.row_kinds for at in np.ndindex(*shape)]

    def column_names(self) -> list[str]:
        """``x_i_j`` for pairs, then ``over_j`` and ``short_j``."""
        pairs = [f"x_{i}_{j}" for i, j in zip(self.clients.tolist(), self.experts.tolist(), strict=True)]
        rows = self.row_names() if len(self.cost) > len(pairs) else []
        soft = [rows[self.index[self.start[k]]] for k in range(len(pairs), len(self.cost))]
        return pairs + [name.replace("soft_capacity", "over").replace("soft_demand", "short") for name in soft]

    def alignment(self, columns: FloatArray) -> Alignment:
        """Read an alignment off the columns' values: a pair is in if its value is above one half."""
        chosen = np.asarray(columns)[: len(self.clients)] > 0.5
        return Alignment.from_pairs(self.clients[chosen], self.experts[chosen], self.num_clients)


@dataclass(frozen=True)
class _Rows:
    """One kind of row: its bounds, and for every pair the row that it touches and with what coefficient."""

    kind: str
    shape: tuple[int, ...]
    lower: FloatArray
    upper: FloatArray
    touched: IntArray
    coefficient: FloatArray


def linear_program(problem: AlignmentProblem) -> LinearProgram:
    """Lay a problem of either class out as rows and columns."""
    allowed = np.ones(problem.shape, dtype=np.bool_) if problem.eligible is None else problem.eligible
    clients, experts = np.nonzero(allowed)
    kinds = list(_kinds(problem, clients, experts))
    first = np.cumsum([0, *(len(rows.lower) for rows in kinds)])
    index = np.stack([rows.touched + at for rows, at in zip(kinds, first, strict=False)], axis=1)
    value = np.stack([rows.coefficient for rows in kinds], axis=1)
    soft_index, soft_sign, soft_cost = _soft_columns(problem, {k.kind: at for k, at in zip(kinds, first, strict=False)})
    num_pairs, num_soft = len(clients), len(soft_index)
    forced = np.zeros(num_pairs) if problem.required is None else problem.required[clients, experts].astype(np.float64)
    ends = np.concatenate([np.full(num_pairs, len(kinds)), np.ones(num_soft, dtype=np.int64)])
    expert_kind = next(at for at, rows in enumerate(kinds) if rows.kind == "expert")
    return LinearProgram(
        cost=np.concatenate([problem.values()[clients, experts].astype(np.float64), soft_cost]),
        lower=np.concatenate([forced, np.zeros(num_soft)]),
        upper=np.concatenate([np.ones(num_pairs), np.full(num_soft, np.inf)]),
        start=np.concatenate([[0], np.cumsum(ends)]),
        index=np.concatenate([index.ravel(), soft_index]),
        value=np.concatenate([value.ravel(), soft_sign]),
        row_lower=np.concatenate([rows.lower for rows in kinds]),
        row_upper=np.concatenate([rows.upper for rows in kinds]),
        row_kinds=tuple((rows.kind, rows.shape) for rows in kinds),
        clients=clients,
        experts=experts,
        num_clients=problem.num_clients,
        expert_rows=first[expert_kind] + np.arange(problem.num_experts),
    )


def _kinds(problem: AlignmentProblem, clients: IntArray, experts: IntArray) -> Iterator[_Rows]:
    n, e = problem.shape
    ones = np.ones(len(clients))
    demand, capacity = problem.client_demand.astype(np.float64), problem.client_capacity.astype(np.float64)
    yield _Rows("client", (n,), demand, capacity, clients, ones)
    if problem.num_groups:
        g = problem.num_groups
        least, most = (part.astype(np.float64).ravel() for part in (problem.group_demand, problem.group_capacity))
        yield _Rows("group", (n, g), least, most, clients * g + problem.expert_group[experts], ones)
    load = ones if problem.client_load is None else problem.client_load[clients, experts]
    bounds = problem.experts
    yield _Rows("expert", (e,), bounds.least, bounds.most, experts, load)
    if _soft_capacity(problem).any():
        room = np.where(_soft_capacity(problem), bounds.capacity, np.inf)
        yield _Rows("soft_capacity", (e,), np.full(e, -np.inf), room, experts, load)
    if _soft_demand(problem).any():
        wanted = np.where(_soft_demand(problem), bounds.demand, -np.inf)
        yield _Rows("soft_demand", (e,), wanted, np.full(e, np.inf), experts, load)
    for r in range(0 if problem.client_budget is None else problem.client_budget.shape[1]):
        budget, cost = problem.client_budget[:, r], problem.expert_cost[clients, experts, r]
        yield _Rows(f"budget_{r}", (n,), np.full(n, -np.inf), budget, clients, cost)


def _soft_capacity(problem: AlignmentProblem) -> BoolArray:
    soft: BoolArray = np.isfinite(problem.overload_penalty) & np.isfinite(problem.expert_capacity)
    return soft


def _soft_demand(problem: AlignmentProblem) -> BoolArray:
    soft: BoolArray = np.isfinite(problem.shortfall_penalty) & (problem.expert_demand > 0)
    return soft


def _soft_columns(problem: AlignmentProblem, first: dict[str, int]) -> tuple[IntArray, FloatArray, FloatArray]:
    """Rows, signs and costs of the overload and shortfall columns."""
    over = np.flatnonzero(_soft_capacity(problem))
    short = np.flatnonzero(_soft_demand(problem))
    index = np.concatenate([over + first.get("soft_capacity", 0), short + first.get("soft_demand", 0)])
    sign = np.concatenate([np.full(len(over), -1.0), np.ones(len(short))])
    cost = -np.concatenate([problem.overload_penalty[over], problem.shortfall_penalty[short]])
    return index, sign, cost

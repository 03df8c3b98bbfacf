"""An alignment problem as rows and columns, as LP and MIP back ends and their file formats take them.

    maximise cost·v   subject to   row_lower ≤ A·v ≤ row_upper,   lower ≤ v ≤ upper

The first columns are the eligible pairs, x_ij in {0, 1}. If bounds are soft, columns for each expert's overload and
shortfall follow. The rows are all rows of :mod:`alignsolve.solvers.common.integer_program`, neither scaled nor rounded.
"""

from dataclasses import dataclass

import numpy as np

from alignsolve import Alignment, AlignmentProblem
from alignsolve.numerics import BoolArray, FloatArray, IntArray
from alignsolve.solvers.common.integer_program import IntegerProgram, by_columns, describe


@dataclass(frozen=True)
class LinearProgram:
    """Rows and columns of one problem.

    Attributes
    ----------
    cost, lower, upper
        (num_columns,) float64. The first ``len(clients)`` columns are pairs and integer; the others are continuous.
    start, index, value
        The matrix A by columns: column k has the entries ``value[start[k]:start[k + 1]]`` in the rows
        ``index[start[k]:start[k + 1]]``.
    row_lower, row_upper
        (num_rows,) float64; ±inf where there is no bound.
    row_kinds
        The kinds of rows, in order: each has a name and the shape of its rows, such as ("group", (num_clients, 2)).
    clients, experts
        The pair of each of the first columns.
    num_clients
        Number of clients of the problem.
    expert_rows
        The rows of the hard bounds on the experts' loads; their duals give the prices.
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
        """(num_columns,) True for columns that must be integer."""
        return np.arange(len(self.cost)) < len(self.clients)

    def row_names(self) -> list[str]:
        """Return ``client_i``, ``group_i_g``, ``expert_j``, ``soft_capacity_j``, ``soft_demand_j``, ``budget_r_i``.

        Sets of experts are ``set_k_s``, ``setcapacity_k_s`` and ``setdemand_k_s``; those with the same k are disjoint.
        """
        return ["_".join(map(str, (kind, *at))) for kind, shape in self.row_kinds for at in np.ndindex(*shape)]

    def column_names(self) -> list[str]:
        """Return ``x_i_j`` for pairs, ``over_j`` and ``short_j``, and of sets ``set_over_k_s``, ``set_short_k_s``."""
        pairs = [f"x_{i}_{j}" for i, j in zip(self.clients.tolist(), self.experts.tolist(), strict=True)]
        rows = self.row_names() if len(self.cost) > len(pairs) else []
        soft = [rows[self.index[self.start[k]]] for k in range(len(pairs), len(self.cost))]
        told = {"soft_capacity": "over", "soft_demand": "short", "setcapacity": "set_over", "setdemand": "set_short"}
        for name, short in told.items():
            soft = [each.replace(name, short) for each in soft]
        return pairs + soft

    def alignment(self, columns: FloatArray) -> Alignment:
        """Return the alignment of the columns' values: a pair is assigned if its value is above one half."""
        chosen = np.asarray(columns)[: len(self.clients)] > 0.5
        return Alignment.from_pairs(self.clients[chosen], self.experts[chosen], self.num_clients)


def linear_program(problem: AlignmentProblem) -> LinearProgram:
    """Write a problem of either class as rows and columns."""
    # The pairs' columns, then the columns of soft bounds.
    allowed = np.ones(problem.shape, dtype=np.bool_) if problem.eligible is None else problem.eligible
    program = describe(problem, allowed)
    first = dict(zip((kind.name for kind in program.kinds), _first_rows(program), strict=False))
    start, index, value = by_columns(program.kinds)
    soft_index, soft_sign, soft_cost = _soft_columns(program, first)
    num_pairs, num_soft = len(program.clients), len(soft_index)
    return LinearProgram(
        cost=np.concatenate([program.value, soft_cost]),
        lower=np.concatenate([program.required.astype(np.float64), np.zeros(num_soft)]),
        upper=np.concatenate([np.ones(num_pairs), np.full(num_soft, np.inf)]),
        start=np.concatenate([start, start[-1] + 1 + np.arange(num_soft)]),
        index=np.concatenate([index, soft_index]),
        value=np.concatenate([value, soft_sign]),
        row_lower=np.concatenate([kind.least for kind in program.kinds]),
        row_upper=np.concatenate([kind.most for kind in program.kinds]),
        row_kinds=tuple((kind.name, kind.shape) for kind in program.kinds),
        clients=program.clients,
        experts=program.experts,
        num_clients=problem.num_clients,
        expert_rows=first["expert"] + np.arange(problem.num_experts),
    )


def _first_rows(program: IntegerProgram) -> list[int]:
    """Return the index of each kind's first row."""
    return np.cumsum([0, *(len(kind) for kind in program.kinds)]).tolist()


def _soft_columns(program: IntegerProgram, first: dict[str, int]) -> tuple[IntArray, FloatArray, FloatArray]:
    """Return rows, signs and costs of the columns for overload and shortfall."""
    rows, signs, costs = [np.zeros(0, dtype=np.int64)], [np.zeros(0)], [np.zeros(0)]
    signs_of = {"soft_capacity": -1.0, "soft_demand": 1.0, "setcapacity": -1.0, "setdemand": 1.0}
    for kind in program.kinds:
        name, sign = kind.name, signs_of.get(kind.name if kind.name in signs_of else kind.name.split("_")[0], 0.0)
        if kind.penalty is not None:
            soft = np.flatnonzero(np.isfinite(kind.penalty))
            rows.append(first[name] + soft)
            signs.append(np.full(len(soft), sign))
            costs.append(-kind.penalty[soft])
    return np.concatenate(rows), np.concatenate(signs), np.concatenate(costs)

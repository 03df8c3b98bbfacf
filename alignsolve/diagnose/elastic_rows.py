"""The elastic integer program of a problem whose clients contradict themselves: their bounds may be missed as well.

An :class:`AlignmentProblem` can price experts' bounds, so that every solver finds the cheapest way to miss them. It
cannot price bounds of clients. So the integer program of :mod:`alignsolve.solvers.ilp.model` gets one more column here
for each bound of such a client: what its demand lacks; what exceeds its capacity, its groups' or its budgets; the
required pairs that are not taken. Its cost is the weight of one unit. Without budgets and weighted loads the program is
a flow with a few arcs more, so that its linear relaxation is integral where its bounds are.
"""

import math
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from alignsolve.data.alignment import Alignment
from alignsolve.diagnose.weights import Kind
from alignsolve.numerics import BoolArray, FloatArray, IntArray
from alignsolve.problem import AlignmentProblem
from alignsolve.solver import Answer
from alignsolve.solvers.common.integer_program import Verdict, power_of_two_below
from alignsolve.solvers.common.last_answer import last_answer
from alignsolve.solvers.common.sparse_rows import Row, Sense, SparseRows
from alignsolve.solvers.ilp.backends import Program, Settings
from alignsolve.solvers.ilp.model import Model, build

MARGIN = 0.1
"""Share of the time left that the back end does not get, for it overruns its limit."""
Priced = dict[Kind, FloatArray]


def freed(problem: AlignmentProblem, rows: BoolArray, weights: Priced) -> AlignmentProblem:
    """Return the problem without the bounds that the clients in ``rows`` may miss."""
    fields: dict[str, Any] = {}
    limits: dict[Kind, float] = {
        "client_demand": 0,
        "client_capacity": problem.num_experts,
        "group_demand": 0,
        "group_capacity": problem.num_experts,
        "required": 0,
        "client_budget": math.inf,
    }
    for kind, none in limits.items():
        bound = getattr(problem, kind)
        if bound is not None:
            gives = rows.reshape(-1, *([1] * (bound.ndim - 1))) & np.isfinite(weights[kind])
            fields[kind] = np.where(gives, none, bound).astype(bound.dtype)
    return replace(problem, **fields)


def solve_elastic_rows(
    problem: AlignmentProblem,
    relaxed: AlignmentProblem,
    rows: BoolArray,
    weights: Priced,
    *,
    deadline: float,
    seed: int,
) -> Answer | None:
    """Find the cheapest alignment, by HiGHS.

    Parameters
    ----------
    problem
        The clients' bounds as they are; fitness 0, and experts' bounds priced.
    relaxed
        The problem without the bounds that may be missed, see :func:`freed`.
    rows
        (num_clients,) bools: the clients whose bounds may be missed.

    Returns
    -------
    Answer or None
        The alignment, or none where there is none, and the bound: minus the least total. None: nothing came in time.
    """
    model = build(relaxed)
    columns = list(_elastic_columns(problem, model, np.flatnonzero(rows), weights))
    added = [column.row(len(model.cost) + k) for k, column in enumerate(columns)]
    model.cost = np.concatenate([model.cost, [column.price / model.cost_unit for column in columns]])
    model.rows = SparseRows.joined([model.rows, SparseRows.of(added)])
    with tempfile.TemporaryDirectory(prefix="alignsolve-") as folder:
        settings = Settings("highs", 0.0, seed, False, Path(folder))
        return last_answer(lambda: _answers(model, settings, problem.num_clients, deadline), deadline)


def _answers(model: Model, settings: Settings, num_clients: int, deadline: float) -> Iterator[Answer]:
    seconds = max((1.0 - MARGIN) * (deadline - time.monotonic()), 0.0)
    outcome = Program(model, settings).solve(relaxed=False, seconds=seconds)
    if outcome.verdict in {Verdict.OPTIMAL, Verdict.INCUMBENT}:
        taken = outcome.x > 0.5
        x = Alignment.from_pairs(model.clients[taken], model.experts[taken], num_clients)
        yield Answer(x, bound=outcome.bound)
    elif outcome.verdict is Verdict.INFEASIBLE:
        yield Answer(infeasible=True)


class _Column:
    """A row Σ coefficients·pairs + sign·own (sense) bound, where the column ``own`` costs ``price`` a unit."""

    def __init__(self, pairs: IntArray, coefficients: FloatArray, sense: Sense, bound: float, price: float) -> None:
        self.pairs, self.coefficients, self.sense, self.bound, self.price = pairs, coefficients, sense, bound, price

    def row(self, own: int) -> Row:
        weights = np.append(self.coefficients, float(self.sense))
        return Row(np.append(self.pairs, own), weights, self.sense, self.bound)


def _elastic_columns(problem: AlignmentProblem, model: Model, rows: IntArray, weights: Priced) -> Iterator[_Column]:
    """One column for each bound of the clients in ``rows`` that may be missed."""
    ends = np.searchsorted(model.clients, np.arange(problem.num_clients + 1))
    for i in rows.tolist():
        pairs = np.arange(ends[i], ends[i + 1])
        yield from _bounded(problem, "client", (i,), pairs, weights)
        for g in range(problem.num_groups):
            members = pairs[problem.expert_group[model.experts[pairs]] == g]
            yield from _bounded(problem, "group", (i, g), members, weights)
        if problem.required is not None:
            yield from _required(problem, i, pairs, model.experts[pairs], weights["required"][i])
        if problem.client_budget is not None:
            yield from _paid(problem, i, pairs, model.experts[pairs], weights["client_budget"][i])


def _bounded(
    problem: AlignmentProblem, owner: str, place: tuple[int, ...], pairs: IntArray, weights: Priced
) -> Iterator[_Column]:
    """How many of the pairs are taken, from below and from above."""
    demand_kind: Kind = "client_demand" if owner == "client" else "group_demand"
    capacity_kind: Kind = "client_capacity" if owner == "client" else "group_capacity"
    ones = np.ones(len(pairs))
    demand, capacity = int(getattr(problem, demand_kind)[place]), int(getattr(problem, capacity_kind)[place])
    lack, excess = float(weights[demand_kind][place]), float(weights[capacity_kind][place])
    if demand > 0 and math.isfinite(lack):
        yield _Column(pairs, ones, Sense.AT_LEAST, float(demand), lack)
    if capacity < len(pairs) and math.isfinite(excess):
        yield _Column(pairs, ones, Sense.AT_MOST, float(capacity), excess)


def _required(
    problem: AlignmentProblem, i: int, pairs: IntArray, experts: IntArray, weights: FloatArray
) -> Iterator[_Column]:
    """Each required pair is taken or paid for; a pair that is not eligible has no column and is paid for."""
    for j in np.flatnonzero(problem.required[i] & np.isfinite(weights)).tolist():
        own = pairs[experts == j]
        yield _Column(own, np.ones(len(own)), Sense.AT_LEAST, 1.0, float(weights[j]))


def _paid(
    problem: AlignmentProblem, i: int, pairs: IntArray, experts: IntArray, weights: FloatArray
) -> Iterator[_Column]:
    """The amount of each resource spent beyond its budget."""
    for r, budget in enumerate(problem.client_budget[i].tolist()):
        cost = problem.expert_cost[i, experts, r]
        if cost.sum() > budget and math.isfinite(weights[r]):
            unit = power_of_two_below(float(cost.max()))
            yield _Column(pairs, cost / unit, Sense.AT_MOST, budget / unit, float(weights[r]) * unit)

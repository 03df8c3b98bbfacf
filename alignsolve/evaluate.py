"""What an alignment is worth, what it breaks, and what none can exceed: from the problem's own data alone."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from alignsolve.alignment import Alignment
from alignsolve.blocks import ClientBlock
from alignsolve.numerics import (
    EPSILON,
    BoolArray,
    FloatArray,
    IntArray,
    Number,
    RealArray,
    slack,
    total,
)
from alignsolve.rows import best_rows

if TYPE_CHECKING:
    from alignsolve.problem import AlignmentProblem

ROUNDINGS = 8
"""Each term of a bound passes through at most this many roundings (switching, price·load, two differences, the sums of
these) and one more for every expert of its row; the rest is summed exactly."""


@dataclass(frozen=True)
class Worth:
    """The value of an alignment.

    Attributes
    ----------
    objective
        Exact for integral problems.
    magnitude
        Sum of |fitness| over the selected pairs: the scale against which "equal" is judged.
    loads
        (num_experts,) load per expert.
    """

    objective: Number
    magnitude: float
    loads: FloatArray


def worth(problem: "AlignmentProblem", alignment: Alignment) -> Worth:
    """Objective and loads of an alignment whose pairs are all eligible."""
    values: list[Number] = []
    magnitude = 0.0
    loads: list[FloatArray] = []
    for block, rows, experts in selected(problem, alignment):
        picked = block.value[rows, experts]
        values.append(total(picked))
        magnitude += float(np.abs(block.fitness[rows, experts].astype(np.float64)).sum())
        weights = None if block.load is None else block.load[rows, experts]
        loads.append(np.bincount(experts, weights=weights, minlength=problem.num_experts).astype(np.float64))
    load = _column_sums(loads, problem.num_experts)
    if problem.integral:
        return Worth(sum(map(int, values)) - problem.experts.whole_penalty(load), magnitude, load)
    return Worth(math.fsum([*values, -total(problem.experts.penalty(load))]), magnitude, load)


def selected(problem: "AlignmentProblem", alignment: Alignment) -> Iterator[tuple[ClientBlock, IntArray, IntArray]]:
    """Walk the selected pairs block by block: the block, the rows within it, the experts."""
    for block in problem.blocks():
        indptr = alignment.indptr[block.start : block.stop + 1]
        experts = alignment.experts[indptr[0] : indptr[-1]]
        rows = np.repeat(np.arange(block.num_clients), np.diff(indptr))
        yield block, rows, experts


def _column_sums(parts: list[FloatArray], num_experts: int) -> FloatArray:
    if not parts:
        return np.zeros(num_experts)
    return np.array([total(column) for column in np.stack(parts, axis=1)], dtype=np.float64)


class Bound(NamedTuple):
    """An upper bound on every alignment's objective, and by how much rounding up has lifted it."""

    value: Number
    lifted: float


def bound(problem: "AlignmentProblem", prices: FloatArray) -> Bound:
    """Return an upper bound on every alignment's objective, for any prices; −inf where some row has no choice.

    The prices are projected onto their box first (:meth:`ExpertBounds.project`). Exact integers where the problem and
    the prices are; otherwise summed exactly and rounded up by the error of the terms.
    """
    projected = problem.experts.project(prices)
    experts_term, experts_size = problem.experts.conjugate_and_size(projected)
    if np.isneginf(experts_term).any():
        return Bound(-math.inf, 0.0)
    rows: list[Number] = []
    magnitude = float(experts_size.sum())
    for block in problem.blocks():
        optima = best_rows(block, projected)
        if not optima.feasible.all():
            return Bound(-math.inf, 0.0)
        rows.append(total(optima.value))
        magnitude += float(optima.magnitude.sum())
    if problem.integral and all(isinstance(row, int) for row in rows) and _whole(experts_term, experts_size):
        return Bound(sum(rows) + int(total(experts_term)), 0.0)
    value = math.fsum([*map(float, rows), total(experts_term)])
    lifted = (ROUNDINGS + problem.num_experts) * EPSILON * (magnitude + sum(abs(float(row)) for row in rows))
    return Bound(value + lifted, lifted)


def _whole(values: FloatArray, sizes: FloatArray) -> bool:
    return bool(np.array_equal(values, np.floor(values)) and sizes.max(initial=0.0) < 2**53)


def most_for(problem: "AlignmentProblem", direction: FloatArray) -> tuple[FloatArray, BoolArray]:
    """Per client, the most of Σ_j direction_j·load_ij·x_ij that its own row allows, and whether it allows anything.

    Returns
    -------
    most
        (num_clients,) float64.
    feasible
        (num_clients,) bool.
    """
    most = np.zeros(problem.num_clients)
    feasible = np.ones(problem.num_clients, dtype=np.bool_)
    for block in problem.blocks():
        optima = best_rows(block.without_values(), -direction)
        most[block.start : block.stop] = optima.value.astype(np.float64)
        feasible[block.start : block.stop] = optima.feasible
    return most, feasible


def violations(problem: "AlignmentProblem", alignment: Alignment) -> list[str]:
    """Every kind of constraint that an alignment breaks, each told by its worst row; empty if it is feasible."""
    found: list[str] = []
    loads = np.zeros(problem.num_experts)
    for block, rows, experts in selected(problem, alignment):
        found += [text for text in _row_violations(block, rows, experts) if text]
        weights = None if block.load is None else block.load[rows, experts]
        loads += np.bincount(experts, weights=weights, minlength=problem.num_experts)
    over = problem.experts.overloads(loads)
    if over.any():
        j = int(over.argmax())
        found.append(f"expert {j} carries a load of {loads[j]:.12g}, its capacity is {problem.expert_capacity[j]:.12g}")
    short = problem.experts.shortfalls(loads)
    if short.any():
        j = int(short.argmax())
        found.append(f"expert {j} carries a load of {loads[j]:.12g}, its demand is {problem.expert_demand[j]:.12g}")
    return found


def _row_violations(block: ClientBlock, rows: IntArray, experts: IntArray) -> Iterator[str]:
    """Tell, for each kind of row constraint, the worst client of the block that breaks it."""
    x = np.zeros((block.num_clients, block.num_experts), dtype=np.bool_)
    x[rows, experts] = True
    if block.allowed is not None:
        yield _first_pair(block, x & ~block.allowed, "is assigned expert {j}, for which it is not eligible")
    if block.required is not None:
        yield _first_pair(block, block.required & ~x, "lacks expert {j}, which is required")
    count = x.sum(axis=1)
    yield _worst_client(block, count - block.capacity, count, block.capacity, "experts, its capacity is")
    yield _worst_client(block, block.demand - count, count, block.demand, "experts, its demand is")
    if block.group is not None and block.group_capacity is not None and block.group_demand is not None:
        for g in range(block.group_capacity.shape[1]):
            count = x[:, block.group == g].sum(axis=1)
            most, least = block.group_capacity[:, g], block.group_demand[:, g]
            yield _worst_client(block, count - most, count, most, f"experts of group {g}, its capacity there is")
            yield _worst_client(block, least - count, count, least, f"experts of group {g}, its demand there is")
    if block.budget is not None and block.cost is not None:
        for r in range(block.budget.shape[1]):
            spent = np.where(x, block.cost[:, :, r], 0.0).sum(axis=1)
            budget = block.budget[:, r]
            excess = np.where(spent - budget > slack(budget, spent), spent - budget, 0.0)
            yield _worst_client(block, excess, spent, budget, f"of resource {r}, its budget is")


def _first_pair(block: ClientBlock, wrong: BoolArray, text: str) -> str:
    if not wrong.any():
        return ""
    i, j = np.argwhere(wrong)[0]
    return f"client {block.start + i} " + text.format(j=j)


def _worst_client(
    block: ClientBlock,
    excess: RealArray,
    has: RealArray,
    limit: RealArray,
    text: str,
) -> str:
    i = int(excess.argmax())
    if excess[i] <= 0:
        return ""
    return f"client {block.start + i} has {has[i]:.12g} {text} {limit[i]:.12g}"

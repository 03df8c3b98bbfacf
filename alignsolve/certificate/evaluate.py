"""What an alignment is worth, what it breaks, and what none can exceed: from the problem's own data alone."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from alignsolve.certificate.exact import experts_exactly
from alignsolve.data.alignment import Alignment
from alignsolve.data.blocks import KNAPSACKS, ClientBlock
from alignsolve.numerics import (
    EPSILON,
    BoolArray,
    FloatArray,
    IntArray,
    Number,
    RealArray,
    total,
)
from alignsolve.runtime.threads import map_in_order
from alignsolve.subproblem.row import RowOptima, best_rows

if TYPE_CHECKING:
    from alignsolve.problem import AlignmentProblem

ROUNDINGS = 8
"""Each term of a bound passes through at most this many roundings (switching, price·load, two differences, the sums of
these) and one more for every expert of its row; the rest is summed exactly."""
COMPILED_FROM = 1 << 21
"""Pairs from which the clients' optima are computed by compiled code, on several threads."""


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


def worth(problem: "AlignmentProblem", alignment: Alignment, *, threads: int | None = None) -> Worth:
    """Objective and loads of an alignment whose pairs are all eligible."""
    load = loads_of(problem, alignment)
    if problem.integral:
        values, sizes = _selected_totals(problem, alignment)
        return Worth(sum(map(int, values)) - problem.experts.whole_penalty(load), math.fsum(sizes), load)
    compiled = sums_are_compiled(problem)
    values, sizes = _compiled_totals(problem, alignment, threads) if compiled else _selected_totals(problem, alignment)
    return Worth(math.fsum([*values, -total(problem.experts.penalty(load))]), math.fsum(sizes), load)


def _is_large(problem: "AlignmentProblem") -> bool:
    return problem.num_clients * problem.num_experts >= COMPILED_FROM


def sums_are_compiled(problem: "AlignmentProblem") -> bool:
    """Whether the selected values are summed by compiled code: many floats."""
    return _is_large(problem) and not problem.integral


def rows_are_compiled(problem: "AlignmentProblem") -> bool:
    """Whether the clients' optima are computed by compiled code: many clients, without loads and budgets."""
    return _is_large(problem) and problem.client_load is None and problem.client_budget is None


def _selected_totals(problem: "AlignmentProblem", alignment: Alignment) -> tuple[list[Number], list[float]]:
    """Per block: the sum of the selected values, and of the sizes of their fitness."""
    values, sizes = [], []
    for block, rows, experts in selected(problem, alignment):
        value = block.value[rows, experts]
        fitness = value if block.value is block.fitness else block.fitness[rows, experts]
        values.append(total(value))
        sizes.append(float(np.abs(fitness.astype(np.float64)).sum()))
    return values, sizes


def _compiled_totals(
    problem: "AlignmentProblem", alignment: Alignment, threads: int | None
) -> tuple[list[Number], list[float]]:
    """The same by compiled code on several threads."""
    from alignsolve.subproblem.row_compiled import selected_sums  # noqa: PLC0415  (loads numba)

    def sums(block: ClientBlock) -> tuple[float, float, float]:
        return selected_sums(block, alignment.indptr[block.start : block.stop + 1], alignment.experts)

    high, low, sizes = zip(*map_in_order(sums, problem.blocks(), threads), strict=True)
    return [*high, *low], list(sizes)


def loads_of(problem: "AlignmentProblem", alignment: Alignment) -> FloatArray:
    """Load per expert, (num_experts,): weighted loads are summed exactly and rounded once."""
    num_experts = problem.num_experts
    if problem.client_load is None:
        return np.bincount(alignment.experts, minlength=num_experts).astype(np.float64)
    weights = problem.client_load[alignment.clients(), alignment.experts]
    order = np.argsort(alignment.experts, kind="stable")
    ends = np.searchsorted(alignment.experts[order], np.arange(num_experts + 1))
    return np.array([total(weights[order[ends[j] : ends[j + 1]]]) for j in range(num_experts)], dtype=np.float64)


def selected(problem: "AlignmentProblem", alignment: Alignment) -> Iterator[tuple[ClientBlock, IntArray, IntArray]]:
    """Walk the selected pairs block by block: the block, the rows within it, the experts."""
    for block in problem.blocks():
        indptr = alignment.indptr[block.start : block.stop + 1]
        experts = alignment.experts[indptr[0] : indptr[-1]]
        rows = np.repeat(np.arange(block.num_clients), np.diff(indptr))
        yield block, rows, experts


class Bound(NamedTuple):
    """An upper bound on every alignment's objective, and by how much rounding up has lifted it."""

    value: Number
    lifted: float


def bound(
    problem: "AlignmentProblem", prices: FloatArray, *, threads: int | None = None, deadline: float = math.inf
) -> Bound:
    """Return an upper bound on every alignment's objective, for any prices; −inf where some row has no choice.

    The prices are projected onto their box first (:meth:`ExpertBounds.project`). Exact integers where the problem and
    the prices are; otherwise summed exactly and rounded up by the error of the terms. Clients whose turn has not come
    by the deadline, on the clock of :func:`time.monotonic`, are taken without their budgets: still a bound.
    """
    projected = problem.experts.project(prices)
    experts_term, experts_size = problem.experts.conjugate_and_size(projected)
    if np.isneginf(experts_term).any():
        return Bound(-math.inf, 0.0)
    rows: list[Number] = []
    magnitude = float(experts_size.sum())
    for row, size in _row_totals(problem, projected, threads, deadline):
        if row == -math.inf:
            return Bound(-math.inf, 0.0)
        rows.append(row)
        magnitude += size
    if problem.integral and all(isinstance(row, int) for row in rows):
        if _whole(experts_term, experts_size):
            return Bound(sum(rows) + int(total(experts_term)), 0.0)
        exactly = sum(experts_exactly(problem, projected))
        if exactly == int(exactly):
            return Bound(sum(rows) + int(exactly), 0.0)
    value = math.fsum([*map(float, rows), total(experts_term)])
    lifted = (ROUNDINGS + problem.num_experts) * EPSILON * (magnitude + sum(abs(float(row)) for row in rows))
    return Bound(value + lifted, lifted)


def _row_totals(
    problem: "AlignmentProblem", prices: FloatArray, threads: int | None, deadline: float
) -> Iterator[tuple[Number, float]]:
    """Sum of the clients' optima, −inf if one has no choice, and its magnitude: for each block of clients."""
    optimise: Callable[[ClientBlock, FloatArray], RowOptima] = best_rows
    add: Callable[[RealArray], Number] = total
    large = _is_large(problem)
    if rows_are_compiled(problem):
        from alignsolve.subproblem.row_compiled import best_rows_compiled, summed  # noqa: PLC0415  (loads numba)

        optimise = best_rows_compiled
        add = total if problem.integral else summed
    elif large and problem.client_budget is None:
        threads = 1  # nothing there releases the interpreter's lock for long

    def sum_up(block: ClientBlock) -> tuple[Number, float]:
        late = block.budget is not None and time.monotonic() > deadline
        optima = optimise(replace(block, budget=None, cost=None) if late else block, prices)
        if not optima.feasible.all():
            return -math.inf, 0.0
        return add(optima.value), float(optima.magnitude.sum())

    return map_in_order(sum_up, _portions(problem), threads if large else 1)


def _portions(problem: "AlignmentProblem") -> Iterator[ClientBlock]:
    """All clients in blocks; where each is a knapsack, in blocks so small that a deadline comes between them."""
    if problem.client_budget is None:
        return problem.blocks()
    return (problem.block(first, first + KNAPSACKS) for first in range(0, problem.num_clients, KNAPSACKS))


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

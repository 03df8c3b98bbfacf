"""The price bound: from any expert prices, a number that no alignment's objective exceeds."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from alignsolve.certificate.exact_bound import terms_exactly
from alignsolve.data.blocks import ClientBlock, small_portions
from alignsolve.data.expert_sets import ExpertSets, Prices
from alignsolve.data.problem_view import ProblemView
from alignsolve.data.rows import whole_or_infinite
from alignsolve.numerics import (
    EPSILON,
    FloatArray,
    Number,
    RealArray,
    rounding_of_difference,
    rounding_of_product,
    total,
)
from alignsolve.runtime.threads import map_in_order
from alignsolve.subproblem.dispatch import RowEngine, is_large, relaxed_rows, row_engine
from alignsolve.subproblem.row import RowOptima

ROUNDINGS = 8
"""Each term of a bound passes through at most this many roundings (switching, price·load, two differences, the sums of
these) and one more for every expert of its row; the rest is summed exactly."""

LATE, RELAXED_AT_ONCE = 0.1, 64
"""Seconds in which clients with budgets are still relaxed after the deadline, or from the beginning if that is later.
And how many of them between two looks at the clock."""
SHORT = 0.01
"""Seconds of some clients' knapsacks up to which twice as many may follow before the clock is looked at."""

Optimise = Callable[[ClientBlock, FloatArray], RowOptima]
"""Solves the clients' own problems under prices, or bounds them."""


class Bound(NamedTuple):
    """An upper bound on every alignment's objective, and how much of it is rounding up."""

    value: Number
    lifted: float


def bound(problem: ProblemView, prices: FloatArray, *, threads: int | None = None, deadline: float = math.inf) -> Bound:
    """Return an upper bound on every alignment's objective, for any prices; −inf where some row has no choice.

    The prices are what clients pay for experts, (num_experts,). Where experts are in sets, the prices of these may
    follow, (num_experts + num_sets,); without them they are 0. The prices are projected onto their box first
    (:meth:`ExpertBounds.project`). Exact integers where the problem and the prices are; otherwise summed exactly and
    rounded up by the error of the terms. Clients whose turn has not come by the deadline, on the clock of
    :func:`time.monotonic`, are relaxed for ``LATE`` seconds, and then taken without their budgets: still a bound.
    """
    asked = Prices.projected(problem, prices)
    experts_term, experts_size = problem.experts.conjugate_and_size(asked.own)
    lost = 0.0
    if problem.sets is not None:
        set_terms, set_sizes = problem.sets.bounds.conjugate_and_size(asked.sets)
        experts_term, experts_size = np.append(experts_term, set_terms), np.append(experts_size, set_sizes)
        lost = lost_by_rounding(problem, problem.sets, asked)
    if np.isneginf(experts_term).any():
        return Bound(-math.inf, 0.0)
    rows: list[Number] = []
    magnitude = float(experts_size.sum())
    for row, size, hidden in _row_totals(problem, asked.paid, threads, deadline):
        if row == -math.inf:
            return Bound(-math.inf, 0.0)
        rows.append(row)
        magnitude += size
        lost += hidden
    if problem.integral and lost == 0.0 and all(isinstance(row, int) for row in rows):
        if _whole(experts_term, experts_size):
            return Bound(sum(rows) + sum(map(int, experts_term.tolist())), 0.0)
        exactly = sum(terms_exactly(problem, asked))
        if exactly == int(exactly):
            return Bound(sum(rows) + int(exactly), 0.0)
    value = math.fsum([*map(float, rows), total(experts_term)])
    lifted = (ROUNDINGS + problem.num_experts) * EPSILON * (magnitude + sum(abs(float(row)) for row in rows)) + lost
    return Bound(value + lifted, lifted)


def lost_by_rounding(problem: ProblemView, sets: ExpertSets, asked: Prices) -> float:
    """Return at least what the bound loses because the experts' own prices are rounded."""
    off = np.abs(asked.paid - sets.around(asked.sets) - asked.own)
    size = np.abs(asked.paid) + np.abs(asked.own) + sets.around(np.abs(asked.sets))
    depth = sets.members.sum(axis=0)
    rounded = off + np.where(depth > 0, depth + 2, 0) * EPSILON * size
    if not rounded.any() or all(whole_or_infinite(part) for part in asked):
        return 0.0  # sums of whole numbers are exact
    largest = problem.num_clients if problem.client_load is None else problem.client_load.sum(axis=0)
    return 2.0 * float((rounded * largest).sum())


def _row_totals(
    problem: ProblemView, prices: FloatArray, threads: int | None, deadline: float
) -> Iterator[tuple[Number, float, float]]:
    """Sum of the clients' optima, −inf if one has no choice, its magnitude, and what is hidden: for each block."""
    engine = row_engine(problem)
    add = adder(problem, engine)
    relaxed_by = max(deadline, time.monotonic()) + LATE

    def sum_up(block: ClientBlock) -> list[tuple[Number, float, float]]:
        found: list[tuple[Number, float, float]] = []
        for part, optimise in _in_time(block, deadline, relaxed_by, engine.optimise):
            optima = optimise(part, prices)
            if not optima.feasible.all():
                return [(-math.inf, 0.0, 0.0)]
            size, hidden = float(optima.magnitude.sum()), _hidden(part, prices, optima.value)
            found.append((add(optima.value), size, hidden))
        return found

    for found in map_in_order(sum_up, small_portions(problem.blocks()), threads if engine.parallel else 1):
        yield from found


def _hidden(block: ClientBlock, prices: FloatArray, value: RealArray) -> float:
    """Return by how much rounded gains may hide a better choice than the one found best, over all clients.

    The difference of two floats never has the wrong sign, so without loads a pair that gains is seen to gain. The
    difference of a float and a rounded product may have the wrong sign: a gain of 1e-16 may be 0. Pairs that a client
    must take may lose, so their rounding counts whatever they gain.
    """
    forced = bool((block.demand > 1).any()) or (block.group_demand is not None and bool(block.group_demand.any()))
    if value.dtype.kind == "i" or (block.load is None and not forced):
        return 0.0
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):  # what is not allowed may be anything
        given, paid = block.value.astype(np.float64, copy=False), block.by_column(prices)
        missed: FloatArray = np.zeros(given.shape)
        if block.load is not None:
            asked, paid = paid, paid * block.load
            missed -= rounding_of_product(asked, block.load, paid)
        gain = given - paid
        missed += rounding_of_difference(given, paid, gain)
        missed = np.where((gain + missed > 0.0) | forced, np.maximum(missed, 0.0), 0.0)
    if block.allowed is not None:
        missed = np.where(block.allowed, missed, 0.0)
    most = np.minimum(missed.sum(axis=1), block.capacity * missed.max(axis=1, initial=0.0))
    return 2.0 * float(most.sum())


def _in_time(
    block: ClientBlock, deadline: float, relaxed_by: float, optimise: Optimise
) -> Iterator[tuple[ClientBlock, Optimise]]:
    """Cut a block of knapsacks so that the clock is looked at often, however long each takes, and say how to solve it.

    The late are relaxed, and the very late lose their budgets.
    """
    if block.budget is None or deadline == math.inf:
        yield block, optimise
        return
    at, step, n = 0, 1, block.num_clients
    while at < n:
        began = time.monotonic()
        if began > relaxed_by:
            yield replace(block.pick(slice(at, n)), budget=None, cost=None), optimise
            return
        if began > deadline:
            step = RELAXED_AT_ONCE
        yield block.pick(slice(at, min(at + step, n))), relaxed_rows if began > deadline else optimise
        at += step
        step = 2 * step if time.monotonic() - began < SHORT else 1


def adder(problem: ProblemView, engine: RowEngine) -> Callable[[RealArray], Number]:
    """Choose how the optima of a block are summed: compiled where they are many floats, exactly otherwise."""
    if problem.integral or not (engine.compiled and is_large(problem)):
        return total
    from alignsolve.certificate.sums_compiled import summed  # noqa: PLC0415  (loads numba)

    return summed


def _whole(values: FloatArray, sizes: FloatArray) -> bool:
    return bool(np.array_equal(values, np.floor(values)) and sizes.max(initial=0.0) < 2**53)

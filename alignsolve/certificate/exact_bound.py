"""The price bound without rounding up, for when rounding alone stands between a bound and an objective.

That happens where an optimum is exactly 0, or cancels to it: no relative tolerance helps there, and a bound that was
rounded up for safety proves nothing. Here every difference is kept with its rounding error, every product is split
into two floats whose sum it is exactly, and one correctly rounded sum is taken in the end. Cardinality class only.
"""

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction

import numpy as np

from alignsolve.data.blocks import ClientBlock
from alignsolve.data.expert_bounds import ExpertBounds
from alignsolve.data.expert_sets import ExpertSets, Prices
from alignsolve.data.problem_view import ProblemView
from alignsolve.numerics import EPSILON, MAX_FLOAT, SPLIT, FloatArray, Number, rounding_of_difference
from alignsolve.subproblem.dispatch import best_rows
from alignsolve.subproblem.reduced_fitness import subtract_prices


def exact_bound(problem: ProblemView, prices: FloatArray) -> Number:
    """Upper bound from projected prices of experts, and of sets after them, lifted only by what rounding lost."""
    given, sets = Prices.projected(problem, prices), problem.sets
    terms, lost, prices = list(_terms(problem.experts, given.own)), 0.0, given.paid
    if sets is not None:
        terms += _terms(sets.bounds, given.sets)
        for more, missed in _remainders(problem, sets, given):
            terms += more
            lost += missed
    for block in problem.blocks():
        optima = best_rows(block, prices, choose=True)
        assert optima.chosen is not None
        if not optima.feasible.all():
            return -math.inf
        value = block.value.astype(np.float64)
        asked = block.by_column(prices)
        reduced = subtract_prices(value, asked)
        terms += reduced[optima.chosen].tolist()
        lost += _lost(block, value, asked, reduced, optima.chosen.sum(axis=1))
    summed = math.fsum(terms)
    if lost == 0.0 and math.fsum([*terms, -summed]) == 0.0:
        return summed
    return summed + EPSILON * abs(summed) + 2.0 * lost


def _remainders(problem: ProblemView, sets: ExpertSets, asked: Prices) -> Iterator[tuple[list[float], float]]:
    """What the terms of experts in sets lack, as their own prices are rounded; and what may be lost where it is open.

    A remainder that leads out of the price's box cannot be earned by the expert: clients might, at most all of them.
    """
    bounds = problem.experts
    for j in np.flatnonzero(sets.members.any(axis=0)).tolist():
        own, rounded = sets.own_exactly(j, float(asked.paid[j]), asked.sets), float(asked.own[j])
        rest = own - Fraction(rounded)
        if rest == 0:
            continue
        load = float(bounds.capacity[j] if own > 0 else bounds.demand[j])
        kept = -Fraction(_finite_or(bounds.shortfall[j])) <= own <= Fraction(_finite_or(bounds.overload[j]))
        same = (own > 0) == (rounded > 0) or rounded == 0.0
        if (
            kept
            and same
            and math.isfinite(load)
            and bounds.demand[j] <= bounds.capacity[j]
            and load == math.floor(load)
        ):
            yield list(_split([rest * Fraction(load)])), 0.0
        else:
            yield [], problem.num_clients * abs(float(rest))


def _finite_or(penalty: float) -> float:
    """A penalty, or a number beyond all prices where the bound is hard."""
    return penalty if math.isfinite(penalty) else 2.0 * MAX_FLOAT


def _lost(block: ClientBlock, value: FloatArray, prices: FloatArray, reduced: FloatArray, chosen: FloatArray) -> float:
    """Return by how much the exact optimum of the rows can exceed that of their rounded reduced fitness at most."""
    wide = np.broadcast_to(prices, value.shape)
    with np.errstate(invalid="ignore"):
        error = rounding_of_difference(value, wide, reduced)
    if block.allowed is not None:
        error = np.where(block.allowed, error, 0.0)
    return math.fsum((chosen * np.maximum(error.max(axis=1, initial=0.0), 0.0)).tolist())


SHORT = 2.0**26
"""A load below this has so few bits that its product with half of the bits of a price is exact."""
SPLITTABLE = 2.0**990
"""Prices up to which that does not overflow."""


def _terms(bounds: ExpertBounds, prices: FloatArray) -> Iterator[float]:
    """The terms of experts, or of sets, each as two floats that sum to it exactly.

    A projected price is no dearer than breaking a bound. So the best load is the capacity where the price is positive,
    and the demand where it is negative, if there are whole loads between the two.
    """
    loads = np.where(prices > 0.0, bounds.capacity, bounds.demand)
    plain = (bounds.demand <= bounds.capacity) & (np.floor(loads) == loads) & (loads < SHORT)
    plain &= np.abs(prices) < SPLITTABLE
    scaled = SPLIT * prices[plain]
    high = scaled - (scaled - prices[plain])
    yield from (high * loads[plain]).tolist()
    yield from ((prices[plain] - high) * loads[plain]).tolist()
    yield from _split(_exactly(bounds, prices, np.flatnonzero(~plain)))


def _split(numbers: Iterable[Fraction]) -> Iterator[float]:
    """Each number as two floats that sum to it exactly."""
    for number in numbers:
        high = float(number)
        yield high
        yield float(number - Fraction(high))


def terms_exactly(problem: ProblemView, asked: Prices) -> Iterator[Fraction]:
    """The terms of all experts and sets."""
    yield from _exactly(problem.experts, asked.own, range(problem.num_experts))
    if problem.sets is not None:
        yield from _exactly(problem.sets.bounds, asked.sets, range(len(problem.sets)))


def _exactly(bounds: ExpertBounds, prices: FloatArray, members: Iterable[int]) -> Iterator[Fraction]:
    """Max over the loads of price·load − penalty for some experts, or sets."""
    points = bounds.breakpoints
    for j in members:
        price, worth = prices[j], []
        for load in points[:, j]:
            if not math.isnan(load):
                over = _excess(load, bounds.capacity[j])
                short = _excess(bounds.demand[j], load)
                penalty = over * _finite(bounds.overload[j]) + short * _finite(bounds.shortfall[j])
                worth.append(Fraction(price) * Fraction(load) - penalty)
        yield max(worth)


def _excess(more: float, less: float) -> Fraction:
    """max(more − less, 0), exactly; nothing exceeds an infinite bound."""
    return Fraction(0) if math.isinf(less) or more <= less else Fraction(more) - Fraction(less)


def _finite(penalty: float) -> Fraction:
    """A penalty as an exact number; that of a hard bound counts 0, for no load breaks the bound."""
    return Fraction(penalty) if math.isfinite(penalty) else Fraction(0)

"""The exact bound of prices of experts, and of sets, from the exact choices of every client."""

import math
from fractions import Fraction
from typing import Any

import numpy as np

from tests.fuzz.truth import Truth

ROUNDED = Fraction(1, 10**12)
"""Share of the sizes of prices by which an expert's own one may leave its box: its sum with the sets' was rounded."""


def price_bound(truth: Truth, prices: Any, set_prices: Any = ()) -> Fraction | None:
    """Return the exact bound of prices, None where it is infinite: every load at the end of what it may be.

    Parameters
    ----------
    truth
        What is true of the problem.
    prices
        (num_experts,) what clients pay for each expert: its own price and those of the sets around it.
    set_prices
        (num_sets,) prices of the sets; empty: all are 0.
    """
    if not all(len(row.choices) for row in truth.rows):
        return None
    members = truth.drawn.members
    of_sets = [Fraction(float(p)) for p in set_prices] or [Fraction(0)] * truth.drawn.num_sets
    own, paid = [], []
    for j, price in enumerate(Fraction(float(p)) for p in prices):
        around = [p for p, inside in zip(of_sets, members, strict=True) if inside[j]]
        rest = price - sum(around)
        near = _in_box(truth, j, rest)
        if around and abs(near - rest) <= ROUNDED * (abs(price) + sum(map(abs, around))):
            rest = near
        own.append(rest)
        paid.append(rest + sum(around))
    parts = [_part(truth, j, price) for j, price in enumerate([*own, *of_sets])]
    if None in parts:
        return None
    return _of_clients(truth, paid) + sum((part for part in parts if part is not None), Fraction(0))


def _of_clients(truth: Truth, paid: list[Fraction]) -> Fraction:
    """Every client's best choice at these prices."""
    bottom = math.lcm(*(p.denominator for p in paid))
    tops = np.array([int(p * bottom) for p in paid], dtype=object)
    scale = bottom * truth.loads[1]
    # value/unit − Σ price·load, over unit · scale
    best = sum(int(max(row.value * scale - (row.load @ tops) * truth.unit)) for row in truth.rows)
    return Fraction(best, truth.unit * scale)


def _in_box(truth: Truth, j: int, price: Fraction) -> Fraction:
    """The price that is closest within the box of an expert, or of a set."""
    (over, short), own = truth.penalties
    if truth.loads[0][1][j] is None:
        price = min(price, Fraction(0))
    elif over[j] is not None:
        price = min(price, Fraction(over[j], own))
    return price if short[j] is None else max(price, -Fraction(short[j], own))


def _part(truth: Truth, j: int, price: Fraction) -> Fraction | None:
    """The most of price · load − penalty of an expert, or of a set, over all its loads; None if there is no end.

    Optional demands are left out, as the library's bound leaves them out: loads that they forbid only add to it.
    """
    (_, capacity, demand, _), bottom = truth.loads
    if _in_box(truth, j, price) != price:
        return None
    bends = [bend for bend in (capacity[j], demand[j], 0) if bend is not None]
    if not truth.weighted:  # loads are whole
        bends = [near * bottom for bend in bends for near in (bend // bottom, -(-bend // bottom))]
    worths = []
    for bend in bends:
        cost = truth.penalty(j, bend, optional=False)
        if cost is not None:
            worths.append(price * Fraction(bend, bottom) - Fraction(cost, truth.unit))
    return max(worths, default=None)

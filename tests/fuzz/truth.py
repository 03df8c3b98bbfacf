"""The truth about a drawn problem, in whole numbers: every choice of every client, every sum of them.

Floats are fractions whose denominators are powers of two. So all values, all loads and all costs are multiplied to
whole numbers, and nothing is rounded. Clients are added one after the other; of all alignments with the same loads only
the best one is kept. Nothing of alignsolve is used.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from tests.fuzz.fields import Drawn

TOLERANCE = Fraction(1, 10**9)
"""The documented one: a share of the larger of the bound and the sum."""
UNCLEAR = (Fraction(9, 10**10), Fraction(11, 10**10))
"""Excesses in which rounding may decide whether a bound holds; such problems are not asked."""
MOST_STATES = 1 << 17
FITS = 1 << 62
SETS = {e: (np.arange(1 << e)[:, None] >> np.arange(e) & 1).astype(np.int64) for e in range(1, 11)}
"""All sets of e experts."""


class TooLargeError(Exception):
    """There are too many sums to look at."""


class UnclearError(Exception):
    """A bound is exceeded by just about the tolerance."""


class Whole(NamedTuple):
    """Numbers over one denominator: Python's whole numbers in arrays of objects; infinities are None."""

    top: Any
    bottom: int


class Row(NamedTuple):
    """What a client may take: (k, num_experts) sets, (k,) values and (k, num_experts) loads, in whole numbers."""

    sets: Any
    value: Any
    load: Any


def whole(*arrays: Any) -> tuple[list[Any], int]:
    """Write arrays over one denominator: arrays of whole numbers, and the denominator."""
    parts = [[None if math.isinf(x) else x.as_integer_ratio() for x in _flat(array)] for array in arrays]
    bottom = math.lcm(*{part[1] for array in parts for part in array if part is not None})
    tops = []
    for array, part in zip(arrays, parts, strict=True):
        top = np.empty(len(part), dtype=object)
        top[:] = [None if each is None else each[0] * (bottom // each[1]) for each in part]
        tops.append(top.reshape(np.shape(array)))
    return tops, bottom


def _flat(array: Any) -> list[Any]:
    array = np.asarray(array)
    return (array if array.dtype.kind in "iu" else array.astype(np.float64)).ravel().tolist()


@dataclass(eq=False)
class Truth:
    """What is true of a drawn problem.

    Attributes
    ----------
    drawn
        The problem.
    tolerance
        The share by which bounds may be exceeded: the documented one, or 0.
    lenient
        Whether any sum that was looked at held by the tolerance alone.
    """

    drawn: Drawn
    tolerance: Fraction = TOLERANCE
    lenient: bool = False

    @cached_property
    def strict(self) -> "Truth":
        """The truth without tolerance."""
        _ = self.best
        return Truth(self.drawn, Fraction(0)) if self.lenient else self

    @cached_property
    def _values(self) -> tuple[list[Any], int]:
        """Fitness less switching costs where the pair is eligible, and penalties, over their denominators."""
        drawn = self.drawn
        allowed = self.eligible
        fitness = np.where(allowed, drawn.full("fitness"), np.zeros(1, dtype=drawn.value("fitness").dtype))
        switching = drawn.full("switching_cost") if "switching_cost" in drawn.fields else np.zeros(drawn.shape)
        held = drawn.full("previous") if "previous" in drawn.fields else np.zeros(drawn.shape, dtype=bool)
        (value, cost), bottom = whole(fitness, np.where(held | ~allowed, 0.0, switching))
        return [value - cost], bottom

    @cached_property
    def eligible(self) -> Any:
        """(num_clients, num_experts) bools."""
        drawn = self.drawn
        return drawn.full("eligible") if "eligible" in drawn.fields else np.ones(drawn.shape, dtype=bool)

    @cached_property
    def _loads(self) -> tuple[list[Any], int]:
        """Loads, the experts' capacities and demands."""
        drawn, e = self.drawn, self.drawn.shape[1]
        load = np.where(self.eligible, drawn.full("client_load"), 0.0) if self.weighted else np.ones(drawn.shape)
        capacity = drawn.full("expert_capacity") if "expert_capacity" in drawn.fields else np.full(e, np.inf)
        demand = drawn.full("expert_demand") if "expert_demand" in drawn.fields else np.zeros(e)
        return whole(load, capacity, demand)

    @cached_property
    def weighted(self) -> bool:
        """Whether any load is not 1: else loads are whole, and bounds are as good as whole."""
        given = "client_load" in self.drawn.fields
        return given and bool((self.drawn.full("client_load")[self.eligible] != 1.0).any())

    @cached_property
    def _penalties(self) -> tuple[list[Any], int]:
        e = self.drawn.shape[1]
        names = ("overload_penalty", "shortfall_penalty")
        return whole(*(self.drawn.full(name) if name in self.drawn.fields else np.full(e, np.inf) for name in names))

    @cached_property
    def unit(self) -> int:
        """The denominator of all objectives: they are whole numbers times 1/unit."""
        return math.lcm(self._values[1], self._penalties[1] * self._loads[1])

    def holds(self, total: int, limit: int | None) -> bool:
        """Whether a sum keeps an upper limit, both over one denominator."""
        if limit is None or total <= limit:
            return True
        share = Fraction(total - limit, max(total, limit))
        if self.tolerance and UNCLEAR[0] < share < UNCLEAR[1]:
            raise UnclearError
        self.lenient |= share <= self.tolerance
        return share <= self.tolerance

    @cached_property
    def rows(self) -> list[Row]:
        """What each client may take."""
        (value,), bottom = self._values
        load = self._loads[0][0]
        times = self.unit // bottom
        rows = []
        for i in range(self.drawn.shape[0]):
            sets = self._sets(i)
            as_objects = sets.astype(object)
            rows.append(Row(sets, as_objects @ (value[i] * times), as_objects * load[i]))
        return rows

    def _sets(self, i: int) -> Any:
        drawn = self.drawn
        sets = SETS[drawn.shape[1]]
        fits = ~(sets[:, ~self.eligible[i]]).any(axis=1)
        count = sets.sum(axis=1)
        fits &= count <= (drawn.full("client_capacity")[i] if "client_capacity" in drawn.fields else 1)
        if "client_demand" in drawn.fields:
            fits &= count >= drawn.full("client_demand")[i]
        if "required" in drawn.fields:
            fits &= sets[:, drawn.full("required")[i]].all(axis=1)
        for g in range(drawn.num_groups):
            inside = sets[:, drawn.value("expert_group") == g].sum(axis=1)
            if "group_capacity" in drawn.fields:
                fits &= inside <= drawn.full("group_capacity")[i, g]
            if "group_demand" in drawn.fields:
                fits &= inside >= drawn.full("group_demand")[i, g]
        sets = sets[fits]
        return sets[self._affordable(i, sets)] if "client_budget" in drawn.fields else sets

    def _affordable(self, i: int, sets: Any) -> Any:
        cost = np.where(self.eligible[i][:, None], self.drawn.full("expert_cost")[i], 0.0)
        keeps = np.ones(len(sets), dtype=bool)
        for r, limit in enumerate(self.drawn.full("client_budget")[i]):
            (own, most), _ = whole(cost[:, r], np.array([limit]))
            spent = sets.astype(object) @ own
            keeps &= np.array([self.holds(each, most[0]) for each in spent], dtype=bool)
        return keeps

    @cached_property
    def best(self) -> Fraction | None:
        """The optimum; None if there is no alignment."""
        if not all(len(row.sets) for row in self.rows):
            return None
        value, load = self._sums()
        penalty = np.zeros(len(value), dtype=object)
        allowed = np.ones(len(value), dtype=bool)
        for j in range(load.shape[1]):
            levels, where = np.unique(load[:, j], return_inverse=True)
            told = [self.penalty(j, int(level)) for level in levels.tolist()]
            allowed &= np.array([each is not None for each in told], dtype=bool)[where.reshape(-1)]
            costs = np.empty(len(told), dtype=object)
            costs[:] = [each or 0 for each in told]
            penalty += costs[where.reshape(-1)]
        net = (value.astype(object) - penalty)[allowed]
        return Fraction(int(max(net)), self.unit) if len(net) else None

    def _sums(self) -> tuple[Any, Any]:
        """Values and loads of all alignments; of those with the same loads the best."""
        size = [sum(max(map(abs, row.value)) for row in self.rows), sum(row.load.max() for row in self.rows)]
        kind = np.int64 if max(size) < FITS else object
        value, load = np.zeros(1, dtype=kind), np.zeros((1, self.drawn.shape[1]), dtype=kind)
        hard = [(j, cap) for j, cap in enumerate(self._loads[0][1]) if cap is not None and self.is_hard(0, j)]
        for row in self.rows:
            if len(value) * len(row.sets) > MOST_STATES:
                raise TooLargeError
            value = (value[:, None] + row.value.astype(kind)).ravel()
            load = (load[:, None, :] + row.load.astype(kind)).reshape(len(value), self.drawn.shape[1])
            for j, cap in hard:  # loads only grow; the last digits are looked at in the end
                limit = cap + max(cap, 1) // 1000 + 1
                fits = load[:, j] <= (limit if kind is object else min(limit, FITS))
                value, load = value[fits], load[fits]
            if len(value) > 64:
                value, load = _best_of_each(value, load)
        return value, load

    def is_hard(self, side: int, j: int) -> bool:
        """Whether expert j's capacity (side 0) or demand (side 1) is hard."""
        return self._penalties[0][side][j] is None

    def most(self, j: int) -> int | None:
        """What expert j's hard capacity admits, over the loads' denominator; None if there is no limit."""
        capacity, bottom = self._loads[0][1][j], self._loads[1]
        if capacity is None or not self.is_hard(0, j):
            return None
        return capacity if self.weighted else capacity // bottom * bottom

    def least(self, j: int) -> int:
        """What expert j demands, over the loads' denominator."""
        demand, bottom = self._loads[0][2][j], self._loads[1]
        return demand if self.weighted else -(-demand // bottom) * bottom

    def penalty(self, j: int, load: int) -> int | None:
        """The cost of expert j's soft bounds at a load, in units of the objective; None where a hard one breaks."""
        (_, capacity, demand), bottom = self._loads
        (over, short), own = self._penalties
        times = self.unit // (bottom * own)
        if self.is_hard(0, j):
            if not self.holds(load, capacity[j]):
                return None
            cost = 0
        else:
            cost = 0 if capacity[j] is None else over[j] * max(load - capacity[j], 0)
        if self.is_hard(1, j):
            return cost * times if self.holds(demand[j], load) else None
        return (cost + short[j] * max(demand[j] - load, 0)) * times

    def loads_of(self, x: Any) -> Any:
        """(num_experts,) loads of an alignment, over the loads' denominator."""
        return (np.asarray(x).astype(object) * self._loads[0][0]).sum(axis=0)

    def judge(self, x: Any) -> tuple[Fraction, Fraction] | None:
        """Objective of an alignment, and the sum of the sizes of its terms; None where it breaks a bound."""
        total = size = 0
        for i, row in enumerate(self.rows):
            place = np.flatnonzero((row.sets == np.asarray(x[i]).astype(np.int64)).all(axis=1))
            if not len(place):
                return None
            total += row.value[place[0]]
        (value,), bottom = self._values
        size = int(np.abs(value[np.asarray(x)]).sum()) * (self.unit // bottom)
        for j, load in enumerate(self.loads_of(x).tolist()):
            cost = self.penalty(j, int(load))
            if cost is None:
                return None
            total, size = total - cost, size + cost
        return Fraction(int(total), self.unit), Fraction(int(size), self.unit)

    def fitness_of(self, x: Any) -> Fraction:
        """The sum of |fitness| of an alignment: the documented tolerance of a proof is a share of it."""
        (fitness,), bottom = whole(np.where(self.eligible, self.drawn.full("fitness"), 0))
        return Fraction(int(np.abs(fitness[np.asarray(x)]).sum()), bottom)

    @property
    def scale(self) -> Fraction:
        """The sum of the largest sizes that each client's choice may have."""
        return Fraction(int(sum(max(map(abs, row.value)) for row in self.rows if len(row.sets))), self.unit)

    @property
    def whole_numbers(self) -> bool:
        """Whether the fitness is of a whole type and all objectives are whole."""
        soft = any(price is not None for side in self._penalties[0] for price in side)
        plain = self.unit if soft else self._values[1]
        return self.drawn.value("fitness").dtype.kind in "iu" and plain == 1

    def price_bound(self, prices: Any) -> Fraction | None:
        """The exact bound of prices, None where it is infinite: experts at the ends of what they may take."""
        if not all(len(row.sets) for row in self.rows):
            return None
        price = [Fraction(float(p)) for p in prices]
        bottom = math.lcm(*(p.denominator for p in price))
        tops = np.array([int(p * bottom) for p in price], dtype=object)
        scale = bottom * self._loads[1]
        total = Fraction(0)
        for row in self.rows:
            # value/unit − Σ price·load, over unit · scale
            total += Fraction(int(max(row.value * scale - (row.load @ tops) * self.unit)), self.unit * scale)
        for j, p in enumerate(price):
            part = self._expert_part(j, p)
            if part is None:
                return None
            total += part
        return total

    def _expert_part(self, j: int, price: Fraction) -> Fraction | None:
        """The most of price · load − penalty of an expert over all its loads; None if there is no end."""
        (_, capacity, demand), bottom = self._loads
        (over, short), own = self._penalties
        rising = price if capacity[j] is None else (Fraction(-1) if over[j] is None else price - Fraction(over[j], own))
        falling = Fraction(-1) if short[j] is None else -price - Fraction(short[j], own)
        if rising > 0 or falling > 0:
            return None
        bends = [bend for bend in (capacity[j], demand[j], 0) if bend is not None]
        if not self.weighted:  # loads are whole
            bends = [near * bottom for bend in bends for near in (bend // bottom, -(-bend // bottom))]
        worths = []
        for bend in bends:
            cost = self.penalty(j, bend)
            if cost is not None:
                worths.append(price * Fraction(bend, bottom) - Fraction(cost, self.unit))
        return max(worths, default=None)


def _best_of_each(value: Any, load: Any) -> tuple[Any, Any]:
    """Keep the largest value for each vector of loads."""
    key = np.zeros(len(value), dtype=np.int64)
    for j in range(load.shape[1]):
        levels, where = np.unique(load[:, j], return_inverse=True)
        key = np.unique(key * len(levels) + where.reshape(-1), return_inverse=True)[1].reshape(-1)
    order = np.argsort(key, kind="stable")
    first = np.flatnonzero(np.diff(key[order], prepend=-1))
    best = np.maximum.reduceat(value[order], first)
    return best, load[order[first]]

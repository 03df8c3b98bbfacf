"""The truth about a drawn problem, in whole numbers: every choice of every client, every sum of them.

Floats are fractions whose denominators are powers of two. So all values, all loads and all costs are multiplied to
whole numbers, and nothing is rounded. Clients are added one after the other; of all alignments with the same loads only
the best one is kept. Loads of sets of experts follow from those of experts, so their bounds are looked at in the end.
Nothing of alignsolve is used.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from tests.fuzz.fields import Drawn
from tests.fuzz.whole import whole

TOLERANCE = Fraction(1, 10**9)
"""The documented one: a share of the larger of the bound and the sum."""
UNCLEAR = (Fraction(9, 10**10), Fraction(11, 10**10))
"""Excesses in which rounding may decide whether a bound holds; such problems are not asked."""
MOST_STATES = 1 << 17
FITS = 1 << 62
CHOICES = {e: (np.arange(1 << e)[:, None] >> np.arange(e) & 1).astype(np.int64) for e in range(1, 11)}
"""All choices among e experts."""


class TooLargeError(Exception):
    """There are too many sums to look at."""


class UnclearError(Exception):
    """A bound is exceeded by just about the tolerance."""


class Row(NamedTuple):
    """What a client may take: (k, num_experts) choices, (k,) values, (k, num_experts) loads, in whole numbers."""

    choices: Any
    value: Any
    load: Any


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
    def loads(self) -> tuple[list[Any], int]:
        """Loads of pairs; capacities, demands and optional demands of the experts and, behind them, of the sets."""
        drawn = self.drawn
        load = np.where(self.eligible, drawn.full("client_load"), 0.0) if self.weighted else np.ones(drawn.shape)
        capacity = self._bounds("expert_capacity", "set_capacity", np.inf)
        demand = self._bounds("expert_demand", "set_demand", 0.0)
        return whole(load, capacity, demand, self._bounds("optional_demand", "set_optional_demand", 0.0))

    def _bounds(self, of_experts: str, of_sets: str, missing: float) -> Any:
        """(num_experts + num_sets,) bounds of experts and sets, ``missing`` where there are none."""
        drawn = self.drawn
        sizes = {of_experts: drawn.shape[1], of_sets: drawn.num_sets}
        given = {name: drawn.full(name) if name in drawn.fields else np.full(size, missing)
                 for name, size in sizes.items()}  # fmt: skip
        if len(given[of_sets]) != drawn.num_sets:
            raise ValueError(f"{of_sets} has {len(given[of_sets])} entries for {drawn.num_sets} sets")
        return np.concatenate([given[of_experts], given[of_sets]])

    @cached_property
    def weighted(self) -> bool:
        """Whether any load is not 1: else loads are whole, and bounds are as good as whole."""
        given = "client_load" in self.drawn.fields
        return given and bool((self.drawn.full("client_load")[self.eligible] != 1.0).any())

    @cached_property
    def penalties(self) -> tuple[list[Any], int]:
        """Overload and shortfall penalties of the experts and, behind them, of the sets; None for hard bounds."""
        names = ("overload_penalty", "shortfall_penalty")
        return whole(*(self._bounds(name, f"set_{name}", np.inf) for name in names))

    @cached_property
    def unit(self) -> int:
        """The denominator of all objectives: they are whole numbers times 1/unit."""
        return math.lcm(self._values[1], self.penalties[1] * self.loads[1])

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
        load = self.loads[0][0]
        times = self.unit // bottom
        rows = []
        for i in range(self.drawn.shape[0]):
            choices = self._choices(i)
            as_objects = choices.astype(object)
            rows.append(Row(choices, as_objects @ (value[i] * times), as_objects * load[i]))
        return rows

    def _choices(self, i: int) -> Any:
        drawn = self.drawn
        choices = CHOICES[drawn.shape[1]]
        fits = ~(choices[:, ~self.eligible[i]]).any(axis=1)
        count = choices.sum(axis=1)
        fits &= count <= (drawn.full("client_capacity")[i] if "client_capacity" in drawn.fields else 1)
        if "client_demand" in drawn.fields:
            fits &= count >= drawn.full("client_demand")[i]
        if "required" in drawn.fields:
            fits &= choices[:, drawn.full("required")[i]].all(axis=1)
        for g in range(drawn.num_groups):
            inside = choices[:, drawn.value("expert_group") == g].sum(axis=1)
            if "group_capacity" in drawn.fields:
                fits &= inside <= drawn.full("group_capacity")[i, g]
            if "group_demand" in drawn.fields:
                fits &= inside >= drawn.full("group_demand")[i, g]
        choices = choices[fits]
        return choices[self._affordable(i, choices)] if "client_budget" in drawn.fields else choices

    def _affordable(self, i: int, choices: Any) -> Any:
        cost = np.where(self.eligible[i][:, None], self.drawn.full("expert_cost")[i], 0.0)
        keeps = np.ones(len(choices), dtype=bool)
        for r, limit in enumerate(self.drawn.full("client_budget")[i]):
            (own, most), _ = whole(cost[:, r], np.array([limit]))
            spent = choices.astype(object) @ own
            keeps &= np.array([self.holds(each, most[0]) for each in spent], dtype=bool)
        return keeps

    @cached_property
    def best(self) -> Fraction | None:
        """The optimum; None if there is no alignment."""
        if not all(len(row.choices) for row in self.rows):
            return None
        value, load = self._sums()
        load = self.with_sets(load)
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
        worth = sum(max(map(abs, row.value)) for row in self.rows)
        heaviest = sum(row.load.sum(axis=1).max() for row in self.rows)
        kind = np.int64 if max(worth, heaviest) < FITS else object
        value, load = np.zeros(1, dtype=kind), np.zeros((1, self.drawn.shape[1]), dtype=kind)
        hard = [(j, cap) for j, cap in enumerate(self.loads[0][1]) if cap is not None and self.is_hard(0, j)]
        for row in self.rows:
            if len(value) * len(row.choices) > MOST_STATES:
                raise TooLargeError
            value = (value[:, None] + row.value.astype(kind)).ravel()
            load = (load[:, None, :] + row.load.astype(kind)).reshape(len(value), self.drawn.shape[1])
            for j, cap in hard:  # loads only grow, those of sets too; the last digits are looked at in the end
                limit = cap + max(cap, 1) // 1000 + 1
                carried = load[:, j] if j < load.shape[1] else load[:, self.inside[j]].sum(axis=1)
                fits = carried <= (limit if kind is object else min(limit, FITS))
                value, load = value[fits], load[fits]
            if len(value) > 64:
                value, load = _best_of_each(value, load)
        return value, load

    @cached_property
    def inside(self) -> Any:
        """(num_experts + num_sets, num_experts) bools: the expert itself, and the experts of the set."""
        return np.concatenate([np.eye(self.drawn.shape[1], dtype=np.bool_), self.drawn.members])

    def with_sets(self, load: Any) -> Any:
        """(…, num_experts) loads with those of the sets behind them."""
        return load if not self.drawn.num_sets else load @ self.inside.T.astype(load.dtype)

    def is_hard(self, side: int, j: int) -> bool:
        """Whether the capacity (side 0) or demand (side 1) of expert j is hard; from num_experts on of a set."""
        return self.penalties[0][side][j] is None

    def most(self, j: int) -> int | None:
        """What the hard capacity of an expert or a set admits, over the loads' denominator; None without a limit."""
        capacity, bottom = self.loads[0][1][j], self.loads[1]
        if capacity is None or not self.is_hard(0, j):
            return None
        return capacity if self.weighted else capacity // bottom * bottom

    def least(self, j: int) -> int:
        """What an expert or a set demands, over the loads' denominator."""
        demand, bottom = self.loads[0][2][j], self.loads[1]
        return demand if self.weighted else -(-demand // bottom) * bottom

    def penalty(self, j: int, load: int, *, optional: bool = True) -> int | None:
        """The cost of soft bounds at a load, in units of the objective; None where a hard one breaks.

        From num_experts on the bounds are those of a set. An optional demand is always hard, where there is any load;
        ``optional=False`` leaves it out.
        """
        (_, capacity, demand, least), bottom = self.loads
        (over, short), own = self.penalties
        times = self.unit // (bottom * own)
        if optional and load > 0 and not self.holds(least[j], load):
            return None
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
        """(num_experts + num_sets,) loads of an alignment, over the loads' denominator."""
        return self.with_sets((np.asarray(x).astype(object) * self.loads[0][0]).sum(axis=0))

    def judge(self, x: Any) -> tuple[Fraction, Fraction] | None:
        """Objective of an alignment, and the sum of the sizes of its terms; None where it breaks a bound."""
        total = size = 0
        for i, row in enumerate(self.rows):
            place = np.flatnonzero((row.choices == np.asarray(x[i]).astype(np.int64)).all(axis=1))
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

    def charged(self, x: Any) -> Fraction:
        """The sizes of the loads and bounds whose difference is charged: a load is one float, rounded by its size."""
        (_, capacity, demand, _), bottom = self.loads
        (over, short), own = self.penalties
        size = 0
        for j, load in enumerate(self.loads_of(x).tolist()):
            if capacity[j] is not None and not self.is_hard(0, j) and load + load // 10**9 >= capacity[j]:
                size += over[j] * load
            if not self.is_hard(1, j) and load <= demand[j] + demand[j] // 10**9:
                size += short[j] * demand[j]
        return Fraction(int(size), own * bottom)

    def fitness_of(self, x: Any) -> Fraction:
        """The sum of |fitness| of an alignment: the documented tolerance of a proof is a share of it."""
        (fitness,), bottom = whole(np.where(self.eligible, self.drawn.full("fitness"), 0))
        return Fraction(int(np.abs(fitness[np.asarray(x)]).sum()), bottom)

    @property
    def scale(self) -> Fraction:
        """The sum of the largest sizes that each client's choice may have."""
        return Fraction(int(sum(max(map(abs, row.value)) for row in self.rows if len(row.choices))), self.unit)

    @property
    def whole_numbers(self) -> bool:
        """Whether the fitness is of a whole type and all objectives are whole."""
        soft = any(price is not None for side in self.penalties[0] for price in side)
        plain = self.unit if soft else self._values[1]
        return self.drawn.value("fitness").dtype.kind in "iu" and plain == 1


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

"""Sets of experts that share a bound: a server's experts, a lecturer's projects, a cell's or a region's traffic.

A set's load is the sum of its experts' loads. Its bounds are like an expert's, and so is its price. What a client pays
for an expert is the expert's own price and the prices of all sets around it: the *effective* price.

Sets that are nested or disjoint are a tree: the experts are its leaves, each inside the smallest set around it, and the
*ground* is the root. Then a unit of load flows from an expert through its sets to the ground, and the problem stays a
min-cost flow. Two sets *cross* where they share some experts and each has others: then it is none.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from alignsolve.data import validation
from alignsolve.data.expert_bounds import ExpertBounds
from alignsolve.data.names import called, naming, read_names
from alignsolve.numerics import BoolArray, FloatArray, IntArray, total

SET_BOUNDS = ("set_capacity", "set_demand", "set_overload_penalty", "set_shortfall_penalty")
"""The fields of a problem that bound sets."""


@dataclass(frozen=True, eq=False)
class ExpertSets:
    """Sets of experts and their bounds.

    Attributes
    ----------
    members
        (num_sets, num_experts) bools.
    bounds
        The sets' bounds and penalties, one entry for each set.
    """

    members: BoolArray
    bounds: ExpertBounds

    def __len__(self) -> int:
        return len(self.members)

    @cached_property
    def crossing(self) -> tuple[int, int] | None:
        """The first two sets that cross; None where all are nested or disjoint."""
        wide = self.members.astype(np.float64)
        shared, size = wide @ wide.T, wide.sum(axis=1)
        smaller = np.minimum(size[:, None], size[None, :])
        first, second = np.nonzero(np.triu((shared > 0) & (shared < smaller), 1))
        return (int(first[0]), int(second[0])) if len(first) else None

    @cached_property
    def parent(self) -> IntArray:
        """(num_experts + num_sets,) the smallest set around each expert, then around each set, as a node.

        The nodes are the experts, the sets, and the ground: node num_experts + num_sets. Of two sets with the same
        experts the later one is around the other. Only where no sets cross.
        """
        num_sets, num_experts = self.members.shape
        size = self.members.sum(axis=1)
        order = np.lexsort((np.arange(num_sets), size))  # the smaller first; then the earlier
        rank = np.empty(num_sets, dtype=np.int64)
        rank[order] = np.arange(num_sets)
        sorted_members = self.members[order]
        ground = num_experts + num_sets
        inside = np.vstack([sorted_members.T, np.zeros((num_sets, num_sets), dtype=np.bool_)])
        first = np.array([int(np.argmax(each)) for each in self.members], dtype=np.int64)
        inside[num_experts:] = sorted_members[:, first].T & (np.arange(num_sets)[None, :] > rank[:, None])
        nearest = inside.argmax(axis=1)
        return np.where(inside.any(axis=1), num_experts + order[nearest], ground)

    @cached_property
    def disjoint(self) -> list[IntArray]:
        """The sets in lists of disjoint ones: each is in the first list that has none of its experts."""
        lists: list[list[int]] = []
        for s, inside in enumerate(self.members):
            fitting = next((some for some in lists if not (self.members[some] & inside).any()), None)
            if fitting is None:
                lists.append([s])
            else:
                fitting.append(s)
        return [np.array(some, dtype=np.int64) for some in lists]

    @cached_property
    def smallest(self) -> IntArray:
        """(num_experts,) the smallest set around each expert, −1 where there is none; of equal ones the first."""
        order = np.argsort(self.members.sum(axis=1), kind="stable")
        inside = self.members[order]
        return np.where(inside.any(axis=0), order[inside.argmax(axis=0)], -1)

    def loads(self, loads: FloatArray) -> FloatArray:
        """Load of each set, (num_sets,), from those of the experts; summed exactly and rounded once."""
        return np.array([total(loads[inside]) for inside in self.members], dtype=np.float64)

    def around(self, set_prices: FloatArray) -> FloatArray:
        """What clients pay for each expert because of the sets around it, (num_experts,)."""
        paid: FloatArray = set_prices @ self.members
        return paid

    def own_exactly(self, j: int, price: float, set_prices: FloatArray) -> Fraction:
        """What is left of the price that clients pay for expert j without the prices of the sets around it."""
        return Fraction(price) - sum(map(Fraction, set_prices[self.members[:, j]].tolist()))


def split_prices(problem: Any, prices: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Split prices into what clients pay for experts, and the prices of sets, which may follow; else these are 0."""
    num_experts, sets = problem.num_experts, problem.sets
    if sets is None:
        return prices, np.zeros(0)
    of_sets = prices[num_experts:] if len(prices) > num_experts else np.zeros(len(sets))
    return prices[:num_experts], of_sets


class Prices(NamedTuple):
    """Prices within their boxes.

    Attributes
    ----------
    paid
        (num_experts,) what clients pay for each expert: its own price and those of the sets around it.
    own
        (num_experts,) the experts' own prices, rounded.
    sets
        (num_sets,) the prices of the sets.
    """

    paid: FloatArray
    own: FloatArray
    sets: FloatArray

    @property
    def joint(self) -> FloatArray:
        """(num_experts + num_sets,) what clients pay, and then the prices of the sets."""
        return np.append(self.paid, self.sets) if len(self.sets) else self.paid

    @classmethod
    def projected(cls, problem: Any, prices: FloatArray) -> "Prices":
        """Project the prices of sets, and then the experts' own ones, onto their boxes.

        Parameters
        ----------
        problem
            A problem.
        prices
            (num_experts,) or (num_experts + num_sets,): what clients pay, and then the prices of the sets.
        """
        sets, (paid, of_sets) = problem.sets, split_prices(problem, prices)
        if sets is None:
            own = problem.experts.project(paid)
            return cls(own, own, of_sets)
        of_sets = sets.bounds.project(of_sets)
        around = sets.around(of_sets)
        wanted = paid - around
        own = problem.experts.project(wanted)
        return cls(np.where(own == wanted, paid, own + around), own, of_sets)


def read_sets(given: Any, fields: dict[str, Any], names: Any, num_experts: int) -> dict[str, Any]:
    """Validate the fields of sets.

    Parameters
    ----------
    given
        ``expert_sets``: (num_sets, num_experts) bools, or (num_experts,) labels 0..num_sets-1; None: no sets.
    fields
        The fields of ``SET_BOUNDS``, each a scalar or (num_sets,).
    names
        ``set_names``: a name for each set; None: numbers.
    num_experts
        Number of experts.

    Returns
    -------
    fields
        ``expert_sets`` as bools, the bounds as (num_sets,) floats, and ``set_names``; all None where there are no sets.

    Raises
    ------
    ValueError
        If a set names no expert, a label is negative, bounds are given without sets, or a bound is none.
    """
    if given is None:
        stray = [name for name, value in fields.items() if value is not None and np.any(np.asarray(value) != 0)]
        if stray:
            raise ValueError(f"{stray[0]} is given without expert_sets: say which experts are in which set")
        if names is not None and len(names):
            raise ValueError("set_names is given without expert_sets: say which experts are in which set")
        return {"expert_sets": None, **dict.fromkeys(SET_BOUNDS), "set_names": None}
    members = _members(given, num_experts)
    read: dict[str, Any] = {"expert_sets": members, "set_names": read_names("set_names", names, len(members))}
    empty = ~members.any(axis=1)
    if empty.any():
        raise ValueError(
            f"expert_sets: {called(read['set_names'], 'set', int(empty.argmax()))} names no expert; leave it out"
        )
    shape, axes = (len(members),), ("num_sets",)
    with naming(None, None, read["set_names"]):
        for name in SET_BOUNDS:
            missing = 0.0 if name == "set_demand" else np.inf
            value = missing if fields[name] is None else fields[name]
            read[name] = validation.amounts(name, value, shape, axes, infinite=name != "set_demand")
    return read


def _members(given: Any, num_experts: int) -> BoolArray:
    """Read which experts are in which set, (num_sets, num_experts)."""
    values = np.asarray(given)
    if values.ndim == 1 and values.dtype != np.bool_:
        labels = validation.counts("expert_sets", values, (num_experts,), ("num_experts",))
        num_sets, used = int(labels.max(initial=-1)) + 1, np.unique(labels)
        if num_sets > len(used):
            unused = int(np.flatnonzero(np.append(used, -1) != np.arange(len(used) + 1))[0])
            raise ValueError(f"expert_sets: no expert has the label {unused}; number the sets 0, 1, 2, … without holes")
        members: BoolArray = labels[None, :] == np.arange(num_sets)[:, None]
        return members
    if values.ndim != 2 or values.shape[1] != num_experts:
        raise ValueError(
            f"expert_sets has shape {values.shape}; it must be (num_sets, {num_experts}) bools, or a label for each of "
            f"the {num_experts} experts"
        )
    return validation.flags("expert_sets", values, (len(values), num_experts))

"""What a reduction is: a simpler problem, and the way back for answers; and how a problem's fields are rewritten.

A reduction is exact. The simpler problem has the same pairs and the same objective, and an alignment is feasible in one
exactly if it is feasible in the other, in the tolerance's own arithmetic. So an alignment needs no way back.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from alignsolve.certificate.tree import Leaf
from alignsolve.data.blocks import block_rows
from alignsolve.data.expert_sets import ExpertSets, split_prices
from alignsolve.data.labels import NAMES
from alignsolve.numerics import BoolArray, FloatArray
from alignsolve.problem import FIELDS, AlignmentProblem
from alignsolve.solver import Answer, WarmStart

FIRST_ROWS = 32
"""Clients that are looked at first: the usual answer is that there is nothing to simplify, and they show it."""


class Reduction(Protocol):
    """A simpler problem with the same optimum, and the way back."""

    @property
    def problem(self) -> AlignmentProblem:
        """The simpler problem."""
        ...

    @property
    def told(self) -> str:
        """What was simplified, in a few words: a line of ``stats["presolve"]``."""
        ...

    @property
    def proves_more(self) -> bool:
        """Whether prices or a witness may prove more about the simpler problem than about the one before it.

        Then the bound and the infeasibility that they prove there are passed on as claims.
        """
        ...

    @property
    def only_by_rounding(self) -> bool:
        """Whether prices prove more only where rounding decides, as exact sums are made of the simpler problem."""
        ...

    def lift_answer(self, answer: Answer) -> Answer:
        """Return the answer to the problem before from an answer to the simpler one."""
        ...

    def lower_warm_start(self, warm: WarmStart) -> WarmStart:
        """Return the warm start of the simpler problem."""
        ...


Rule = Callable[[AlignmentProblem], Reduction | None]
"""A way to simplify; None where there is nothing to simplify."""


@dataclass(frozen=True, eq=False)
class Rewritten:
    """The reduction of most rules: other bounds on the same pairs.

    Attributes
    ----------
    problem, told, proves_more, only_by_rounding
        As in :class:`Reduction`.
    unit
        (num_experts,) what a load of 1 in the simpler problem is before: a price there is ``unit`` times the price
        before. 0 where the simpler problem has no bound on the expert: its price before is 0. None: all are 1.
    known
        (num_experts,) prices before that are known exactly, NaN elsewhere. None: there are none.
    known_sets
        (num_sets,) prices of sets before that are known exactly, NaN elsewhere. None: there are none.
    unbounded
        (num_experts,) experts without a capacity in the simpler problem alone: their price there is 0 at most. None:
        there are none.
    """

    problem: AlignmentProblem
    told: str
    proves_more: bool = False
    unit: FloatArray | None = None
    known: FloatArray | None = None
    unbounded: BoolArray | None = None
    only_by_rounding: bool = False
    known_sets: FloatArray | None = None

    def lift_answer(self, answer: Answer) -> Answer:
        """Divide the prices by the units, those of a tree too. What are no prices is left for the judge to reject."""
        if self.problem.sets is None or answer.prices is None:
            return with_prices(answer, self.problem.num_experts, self._lift_prices)
        return replace(answer, prices=self._lift_with_sets(self.problem.sets, answer.prices))

    def _lift_with_sets(self, sets: ExpertSets, prices: FloatArray) -> FloatArray:
        """Return prices before, where experts are in sets: what changes are own prices, of experts and of sets."""
        number, num_experts = np.shape(prices), self.problem.num_experts
        if number not in {(num_experts,), (num_experts + len(sets),)}:
            return prices
        paid, of_sets = split_prices(self.problem, prices)
        own = paid - sets.around(of_sets)
        lifted, same = self._lift_prices(own, directions=False), sets.around(of_sets)
        if self.known_sets is not None:
            of_sets = np.where(np.isnan(self.known_sets), of_sets, self.known_sets)
        around = sets.around(of_sets)
        return np.append(np.where((lifted == own) & (around == same), paid, lifted + around), of_sets)

    def _lift_prices(self, prices: FloatArray, directions: bool) -> FloatArray:
        """Return prices before, (…, num_experts)."""
        if self.known is not None and not directions:
            prices = np.where(np.isnan(self.known), prices, self.known)
        if self.unbounded is not None:
            prices = np.where(self.unbounded, np.minimum(prices, 0.0), prices)
        if self.unit is None:
            return prices
        lifted = np.zeros(prices.shape)
        np.divide(prices, self.unit, out=lifted, where=self.unit > 0)
        return lifted

    def lower_warm_start(self, warm: WarmStart) -> WarmStart:
        """Multiply the prices by the units."""
        if self.unit is None or warm.prices is None:
            return warm
        if self.problem.sets is not None:
            return warm  # an expert without bounds of its own may be bounded by a set: its price is kept
        return warm._replace(prices=warm.prices * self.unit)


def with_prices(answer: Answer, num_experts: int, lift: Callable[[FloatArray, bool], FloatArray]) -> Answer:
    """Return an answer whose prices, and those of its tree, are lifted; what has no fitting shape stays as it is.

    ``lift(prices, directions)`` gets (…, num_experts) prices, and whether they are directions.
    """
    prices, tree = answer.prices, answer.tree
    if prices is not None and np.shape(prices) == (num_experts,):
        prices = lift(prices, False)
    if tree is not None and np.ndim(tree.prices) == 2 and tree.prices.shape[1] == num_experts:
        tree = replace(tree, prices=lift(tree.prices, bool((tree.expert == Leaf.DIRECTION).any())))
    return replace(answer, prices=prices, tree=tree)


def changed(problem: AlignmentProblem, **fields: Any) -> AlignmentProblem:
    """Return a problem with some fields replaced by arrays of their full shape, or by None.

    The fields are not validated again, which would be a pass over the fitness.
    """
    new = object.__new__(AlignmentProblem)
    for name in (*FIELDS, *NAMES):
        object.__setattr__(new, name, fields[name] if name in fields else getattr(problem, name))
    return new


def portions(problem: AlignmentProblem) -> list[slice]:
    """Split the clients into rows to look at: a few first, then blocks."""
    first, step = min(FIRST_ROWS, problem.num_clients), block_rows(problem.num_experts)
    return [slice(0, first), *(slice(at, at + step) for at in range(first, problem.num_clients, step))]


def able(problem: AlignmentProblem, rows: slice) -> BoolArray:
    """Which pairs of these clients may be chosen, (rows, num_experts)."""
    if problem.eligible is not None:
        mask: BoolArray = problem.eligible[rows]
        return mask
    num_rows = len(range(*rows.indices(problem.num_clients)))
    return np.broadcast_to(np.ones(1, dtype=np.bool_), (num_rows, problem.num_experts))

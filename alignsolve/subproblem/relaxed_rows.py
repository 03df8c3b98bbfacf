"""Clients with budgets and very many experts, a block at a time: bounds on their own problems, and good choices.

The door to :mod:`.relaxed_row` and :mod:`.row_core`. It is not exact: the bound holds, and the choice is close to
it. The more experts a client takes, the closer.
"""

from typing import Any, NamedTuple

import numpy as np

from alignsolve.data.blocks import ClientBlock
from alignsolve.numerics import BoolArray, FloatArray, IntArray, fixed
from alignsolve.runtime.jit import kernel
from alignsolve.subproblem.relaxed_row import relax
from alignsolve.subproblem.row_choice import Row, copied, new_desk
from alignsolve.subproblem.row_core import search_core

EXACT = 2.0**53
"""Whole numbers up to which floats are added exactly."""


class BudgetRows(NamedTuple):
    """What clients with budgets may take.

    Attributes
    ----------
    allowed, required
        (n, num_experts) bools.
    cost, budget
        (n, num_experts, num_resources), with one row where all clients pay the same, and (n, num_resources).
    group, order, first
        As in :class:`~alignsolve.subproblem.row_choice.Row`.
    least, most
        (n, num_groups) the bounds of each group.
    demand, room
        (n,) the bounds of each row.
    """

    allowed: Any
    required: Any
    cost: Any
    budget: Any
    group: Any
    order: Any
    first: Any
    least: Any
    most: Any
    demand: Any
    room: Any

    def part(self, begin: int, end: int) -> "BudgetRows":
        """Rows begin..end − 1."""
        return self.pick(slice(begin, end))

    def pick(self, rows: slice | IntArray) -> "BudgetRows":
        """Some of the rows: by a slice, or by their positions."""
        by_row = ("allowed", "required", "budget", "least", "most", "demand", "room")
        own = {name: getattr(self, name)[rows] for name in by_row}
        return self._replace(**own, cost=self.cost[rows] if len(self.cost) > 1 else self.cost)


class Relaxed(NamedTuple):
    """The relaxed problems of some clients.

    Attributes
    ----------
    bound
        (n,) on the optimum of each; −inf where there is no choice.
    chosen, worth
        (n, num_experts) a good choice within the budgets and (n,) what it is worth; −inf where none was found.
    """

    bound: FloatArray
    chosen: BoolArray
    worth: FloatArray


def budget_rows(block: ClientBlock, budget: FloatArray) -> BudgetRows:
    """Read a block with budgets; ``budget`` may be larger than the block's own by a tolerance.

    Costs that are whole multiples of one unit leave a part of a unit of each budget unspent; it is taken off.
    """
    assert block.cost is not None
    n, num_experts = block.num_clients, block.num_experts
    cost = np.asarray(block.cost, dtype=np.float64)
    if n > 1 and cost.strides[0] == 0:
        cost = cost[:1]
    if not np.isfinite(cost).all():  # the costs of pairs that are not eligible mean nothing
        cost = np.where(np.isfinite(cost), cost, 0.0)
    if len(cost) == 1:
        budget = whole_units(cost[0], budget)
    group = np.zeros(num_experts, dtype=np.int64) if block.group is None else block.group
    least, most = block.group_demand, block.group_capacity
    if least is None or most is None:
        least, most = np.zeros((n, 1), np.int64), np.full((n, 1), num_experts)
    order = np.argsort(group, kind="stable")
    first = np.searchsorted(group[order], np.arange(least.shape[1] + 1))
    allowed = np.ones((n, num_experts), np.bool_) if block.allowed is None else block.allowed
    required = np.zeros((n, num_experts), np.bool_) if block.required is None else block.required
    limits = (least, most, block.demand, np.minimum(block.capacity, num_experts))
    return BudgetRows(*map(fixed, (allowed, required, cost, budget, group, order, first, *limits)))


def whole_units(cost: FloatArray, budget: FloatArray) -> FloatArray:
    """Round budgets down to what can be spent, where an expert's costs are whole multiples of a unit.

    Parameters
    ----------
    cost, budget
        (num_experts, num_resources) and (n, num_resources).
    """
    rounded = budget.copy()
    for k in range(cost.shape[1]):
        own = cost[:, k]
        if (own == np.floor(own)).all() and own.sum() < EXACT:
            unit = float(np.gcd.reduce(own.astype(np.int64), initial=0))
            finite = np.isfinite(budget[:, k]) & (budget[:, k] < EXACT)
            if unit > 0.0:
                rounded[finite, k] = np.floor(budget[finite, k] / unit) * unit
    return rounded


def relax_rows(rows: BudgetRows, worth: FloatArray, rate: FloatArray, *, choose: bool = True) -> Relaxed:
    """Bound the clients' own problems, and choose.

    Parameters
    ----------
    rows
        The clients.
    worth
        (n, num_experts) reduced fitness.
    rate
        (n, num_resources) what a unit of each budget is worth: rates to begin with, or zeros. The ones found are
        written into it.
    choose
        Whether choices matter; without them it is faster.
    """
    n, num_experts = worth.shape
    result = Relaxed(np.empty(n), np.zeros((n, num_experts), np.bool_), np.empty(n))
    _relax_rows(fixed(worth), *map(fixed, rows), rate, choose, *result)
    return result


@kernel
def _relax_rows(
    worth: Any, allowed: Any, required: Any, cost: Any, budget: Any, group: Any, order: Any, first: Any, least: Any,
    most: Any, demand: Any, room: Any, rate: Any, choose: bool, bound: Any, chosen: Any, found: Any,
) -> None:  # fmt: skip
    """Relax one row after the other."""
    desk = new_desk(worth.shape[1], budget.shape[1])
    own_worth, open_ = np.empty(worth.shape[1]), np.empty(worth.shape[1], np.bool_)
    for i in range(len(worth)):
        own = 0 if len(cost) == 1 else i
        copied(worth[i], own_worth)
        copied(allowed[i], open_)
        row = Row(
            own_worth, open_, required[i], cost[own], budget[i], group, order, first, least[i], most[i], demand[i],
            room[i],
        )  # fmt: skip
        bound[i] = relax(row, desk, rate[i])
        found[i] = desk.top[0]
        if choose and bound[i] > -np.inf:
            search_core(row, desk, rate[i])
        if desk.top[0] > -np.inf:
            found[i] = desk.top[0]
            copied(desk.best, chosen[i])

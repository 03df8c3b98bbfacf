"""A partial alignment while it is built: the pairs taken, budgets spent, loads, and the room that is left.

A client's row is kept completable wherever that can be seen cheaply: the places that its groups still demand are
reserved, and so is the least budget that they could cost.

There are few arrays, with many columns each, which are named below. The functions that are called for every pair take
single arrays, not the whole state: compiled code counts the references of every array that it passes on, which would
cost more than the work.
"""

from typing import Any, NamedTuple

import numpy as np

from alignsolve.data.alignment import Alignment
from alignsolve.numerics import FEASIBILITY, BoolArray, FloatArray, IntArray
from alignsolve.problem import AlignmentProblem
from alignsolve.runtime.jit import absent, inner, kernel, present

FREE, HELD, SHUT, FIXED = 0, 1, 2, 3
"""States of a pair: it could be taken; is taken; may not be taken; must be taken (and is)."""

COUNT, CAPACITY, DEMAND, OWED, GROUPS = 0, 1, 2, 3, 4
"""Columns of ``rows``: experts held, their bounds, how many experts the groups still demand; then the groups'
columns."""
IN_GROUP, GROUP_CAPACITY, GROUP_DEMAND, PER_GROUP = 0, 1, 2, 3
"""A group's columns: experts held, and their bounds; ``PER_GROUP`` is their number."""

LOAD, MOST, LEAST, SOFT_CAPACITY, OVERLOAD, SOFT_DEMAND, SHORTFALL = 0, 1, 2, 3, 4, 5, 6
"""Columns of ``experts``: load, hard bounds; soft bounds, and their penalty per unit: 0 where the bound is hard."""

MARGIN = FEASIBILITY / 2
"""Tolerance of fitting in here; half of the front door's, so that rounding on the way is forgiven."""


class State(NamedTuple):
    """The data of a problem and the alignment so far.

    There is always at least one group; there may be 0 resources.
    """

    status: Any  # (N, E) int8
    value: Any  # (N, E) float64, fitness minus switching cost
    load: Any  # (N, E) float64, absent where loads are 1
    weight: Any  # (N, E) float64, by which gains are divided to rank them; absent: not at all
    rows: Any  # (N, 4 + 3·G) int64
    money: Any  # (N, 3·R) float64: spent, budget (tolerance included), the least that one more expert can cost
    cost: Any  # (N, E, R) float64
    experts: Any  # (E, 7) float64, tolerances included
    group: Any  # (E,) int64

    @property
    def loads(self) -> FloatArray:
        """(num_experts,) load per expert."""
        loads: FloatArray = self.experts[:, LOAD]
        return loads

    @property
    def most(self) -> FloatArray:
        """(num_experts,) largest load that hard bounds allow."""
        most: FloatArray = self.experts[:, MOST]
        return most

    @property
    def least(self) -> FloatArray:
        """(num_experts,) smallest load that hard bounds allow."""
        least: FloatArray = self.experts[:, LEAST]
        return least

    @property
    def lacking(self) -> IntArray:
        """Clients whose own demands, or whose groups' demands, are not met."""
        rows = self.rows
        return np.flatnonzero((rows[:, COUNT] < rows[:, DEMAND]) | (rows[:, OWED] > 0))

    @property
    def broken(self) -> BoolArray:
        """(num_experts,) whether the load is beyond a hard bound."""
        broken: BoolArray = (self.loads > self.most) | (self.loads < self.least)
        return broken


def gather(problem: AlignmentProblem) -> State:
    """Lay a problem out for compiled code, with only the required pairs taken."""
    n, e = problem.shape
    block = problem.block(0, n)
    status = np.full((n, e), FREE, dtype=np.int8)
    if block.allowed is not None:
        status[~block.allowed] = SHUT
    if block.required is not None:
        status[block.required] = FIXED
    cost = np.zeros((n, e, 0)) if block.cost is None else _owned(block.cost)
    budget = np.zeros((n, 0)) if block.budget is None else block.budget * (1.0 + MARGIN)
    state = State(
        status=status,
        value=_owned(block.value),
        load=absent(np.float64) if block.load is None else _owned(block.load),
        weight=absent(np.float64),
        rows=_rows(problem),
        money=np.hstack([np.zeros(budget.shape), budget, _cheapest(cost, status)]),
        cost=cost,
        experts=_experts(problem),
        group=np.zeros(e, dtype=np.int64) if block.group is None else np.array(block.group),
    )
    recount(state)
    return state


def usage(state: State) -> FloatArray:
    """The use that a pair makes of resources, (num_clients, num_experts): shares of mean load and of budgets."""
    used = np.zeros(state.status.shape)
    if state.load.size:
        open_loads = state.load[state.status != SHUT]
        used += state.load / (open_loads.mean() if open_loads.any() else 1.0)
    num_resources = state.cost.shape[2]
    for r in range(num_resources):
        budget = state.money[:, num_resources + r, None]
        with np.errstate(over="ignore"):  # of a budget near 0, any cost is endlessly much
            used += len(state.group) * state.cost[:, :, r] / np.where(budget > 0, budget, 1.0)
    return np.maximum(used, 1e-6)


def to_alignment(state: State) -> Alignment:
    """Read off the pairs that are taken."""
    return Alignment.from_dense((state.status == HELD) | (state.status == FIXED))


def hold(state: State, clients: IntArray, chosen: BoolArray) -> None:
    """Give some clients new rows, (len(clients), num_experts); counts, sums and loads are computed anew."""
    rows = state.status[clients]
    movable = (rows == FREE) | (rows == HELD)
    state.status[clients] = np.where(movable, np.where(chosen, HELD, FREE), rows)
    recount(state)


@kernel
def choose(s: State, clients: IntArray, chosen: Any) -> None:
    """Give some clients new rows, move by move: sums of loads carry rounding until they are computed anew."""
    for row in range(len(clients)):
        i = clients[row]
        for j in range(chosen.shape[1]):
            if s.status[i, j] == HELD and not chosen[row, j]:
                drop(s, i, j)
        for j in range(chosen.shape[1]):
            if s.status[i, j] == FREE and chosen[row, j]:
                take(s, i, j)


def _owned(values: Any) -> FloatArray:
    """Contiguous, writable floats, so that one compiled version serves all; copied only where they are not."""
    return np.require(values, dtype=np.float64, requirements=["C", "W"])


def _rows(problem: AlignmentProblem) -> IntArray:
    """Build ``rows``: the bounds of clients and groups."""
    n, e = problem.shape
    num_groups = problem.num_groups or 1
    rows = np.zeros((n, GROUPS + PER_GROUP * num_groups), dtype=np.int64)
    rows[:, CAPACITY], rows[:, DEMAND] = problem.client_capacity, problem.client_demand
    rows[:, GROUPS + GROUP_CAPACITY :: PER_GROUP] = e if problem.expert_group is None else problem.group_capacity
    rows[:, GROUPS + GROUP_DEMAND :: PER_GROUP] = 0 if problem.expert_group is None else problem.group_demand
    return rows


def _experts(problem: AlignmentProblem) -> FloatArray:
    """Build ``experts``: hard and soft bounds, with penalties."""
    bounds = problem.experts
    soft_overload = np.where(np.isfinite(bounds.overload) & np.isfinite(bounds.capacity), bounds.overload, 0.0)
    soft_shortfall = np.where(np.isfinite(bounds.shortfall), bounds.shortfall, 0.0)
    most, least = bounds.most * (1.0 + MARGIN), bounds.least * (1.0 - MARGIN)
    columns = [np.zeros(len(most)), most, least, bounds.capacity, soft_overload, bounds.demand, soft_shortfall]
    return np.stack(columns, axis=1)


@kernel
def _cheapest(cost: Any, status: Any) -> Any:
    """The least cost of an open expert to each client, (num_clients, num_resources); 0 if no expert is open."""
    n, num_experts, num_resources = cost.shape
    least = np.full((n, num_resources), np.inf)
    for i in range(n):
        for j in range(num_experts):
            if status[i, j] != SHUT:
                for r in range(num_resources):
                    least[i, r] = min(least[i, r], cost[i, j, r])
        for r in range(num_resources):
            if least[i, r] == np.inf:
                least[i, r] = 0.0
    return least


@kernel
def recount(s: State) -> None:
    """Compute every count, sum and load from the pairs taken."""
    n, num_experts = s.status.shape
    s.experts[:, LOAD] = 0.0
    for i in range(n):
        s.rows[i, COUNT] = 0
        s.rows[i, OWED] = 0
        for g in range(GROUPS, s.rows.shape[1], PER_GROUP):
            s.rows[i, g + IN_GROUP] = 0
        for j in range(num_experts):
            if s.status[i, j] == HELD or s.status[i, j] == FIXED:
                s.rows[i, COUNT] += 1
                s.rows[i, GROUPS + PER_GROUP * s.group[j]] += 1
                s.experts[j, LOAD] += load_of(s, i, j)
        for g in range(GROUPS, s.rows.shape[1], PER_GROUP):
            s.rows[i, OWED] += max(0, s.rows[i, g + GROUP_DEMAND] - s.rows[i, g + IN_GROUP])
        _resum(s, i)


@inner
def _resum(s: State, i: int) -> None:
    """Sum up client i's spending."""
    for r in range(s.cost.shape[2]):
        s.money[i, r] = 0.0
        for j in range(s.status.shape[1]):
            if s.status[i, j] == HELD or s.status[i, j] == FIXED:
                s.money[i, r] += s.cost[i, j, r]


@inner
def load_of(s: State, i: int, j: int) -> float:
    """The load of a pair on its expert."""
    return s.load[i, j] if present(s.load) else 1.0


@inner
def penalty(experts: Any, j: int, load: float) -> float:
    """The penalty of soft bounds at this load of expert j."""
    lost = 0.0
    if load > experts[j, SOFT_CAPACITY]:
        lost += experts[j, OVERLOAD] * (load - experts[j, SOFT_CAPACITY])
    if load < experts[j, SOFT_DEMAND]:
        lost += experts[j, SHORTFALL] * (experts[j, SOFT_DEMAND] - load)
    return lost


@inner
def toll(experts: Any, j: int, load: float) -> float:
    """The change of penalty for so much more load on expert j; negative where it lowers a shortfall."""
    now = experts[j, LOAD]
    return penalty(experts, j, now + load) - penalty(experts, j, now)


@inner
def wants(rows: Any, group: Any, i: int, j: int) -> bool:
    """Whether client i's demands ask for one more expert like j, whatever its worth."""
    g = GROUPS + PER_GROUP * group[j]
    return rows[i, COUNT] < rows[i, DEMAND] or rows[i, g + IN_GROUP] < rows[i, g + GROUP_DEMAND]


@inner
def has_place(rows: Any, group: Any, i: int, j: int) -> bool:
    """Whether client i can take one more expert like j and keep places for its groups' demands."""
    g = GROUPS + PER_GROUP * group[j]
    if rows[i, g + IN_GROUP] >= rows[i, g + GROUP_CAPACITY]:
        return False
    owed = rows[i, OWED]
    if rows[i, g + IN_GROUP] < rows[i, g + GROUP_DEMAND]:
        owed -= 1
    return rows[i, COUNT] + 1 + owed <= rows[i, CAPACITY]


@inner
def affords(s: State, i: int, j: int) -> bool:
    """Whether client i's budgets allow expert j and, by the cheapest costs, the experts that it must still take."""
    num_resources = s.cost.shape[2]
    g = GROUPS + PER_GROUP * s.group[j]
    owed = s.rows[i, OWED] - (s.rows[i, g + IN_GROUP] < s.rows[i, g + GROUP_DEMAND])
    still = max(0, s.rows[i, DEMAND] - s.rows[i, COUNT] - 1, owed)
    for r in range(num_resources):
        reserved = still * s.money[i, 2 * num_resources + r]
        if s.money[i, r] + s.cost[i, j, r] + reserved > s.money[i, num_resources + r]:
            return False
    return True


@inner
def row_admits(s: State, i: int, j: int) -> bool:
    """Whether client i can take the free expert j besides the experts that it holds, and still meet its demands."""
    return has_place(s.rows, s.group, i, j) and (s.cost.shape[2] == 0 or affords(s, i, j))


@inner
def row_releases(s: State, i: int, j: int) -> bool:
    """Whether client i, whose row is complete, can drop expert j."""
    return may_release(s.rows, s.group, i, j)


@inner
def may_release(rows: Any, group: Any, i: int, j: int) -> bool:
    """Whether client i's row bounds allow it to drop expert j; takes the state's arrays."""
    g = GROUPS + PER_GROUP * group[j]
    return rows[i, COUNT] > rows[i, DEMAND] and rows[i, g + IN_GROUP] > rows[i, g + GROUP_DEMAND]


@inner
def row_trades(s: State, i: int, j: int, k: int) -> bool:
    """Whether client i, whose row is complete, can take the free expert k in place of j."""
    return may_swap(s.rows, s.group, i, j, k) and may_pay(s.money, s.cost, i, j, k)


@inner
def may_swap(rows: Any, group: Any, i: int, j: int, k: int) -> bool:
    """Whether client i's groups allow k in place of j."""
    g, h = GROUPS + PER_GROUP * group[j], GROUPS + PER_GROUP * group[k]
    if g == h:
        return True
    if rows[i, g + IN_GROUP] <= rows[i, g + GROUP_DEMAND]:
        return False
    return rows[i, h + IN_GROUP] < rows[i, h + GROUP_CAPACITY]


@inner
def may_pay(money: Any, cost: Any, i: int, j: int, k: int) -> bool:
    """Whether client i's budgets allow k if it gives up j (−1: nothing)."""
    num_resources = cost.shape[2]
    for r in range(num_resources):
        given = cost[i, j, r] if j >= 0 else 0.0
        if money[i, r] - given + cost[i, k, r] > money[i, num_resources + r]:
            return False
    return True


@inner
def take(s: State, i: int, j: int) -> None:
    """Give expert j to client i."""
    g = GROUPS + PER_GROUP * s.group[j]
    s.status[i, j] = HELD
    s.rows[i, COUNT] += 1
    if s.rows[i, g + IN_GROUP] < s.rows[i, g + GROUP_DEMAND]:
        s.rows[i, OWED] -= 1
    s.rows[i, g + IN_GROUP] += 1
    s.experts[j, LOAD] += load_of(s, i, j)
    for r in range(s.cost.shape[2]):
        s.money[i, r] += s.cost[i, j, r]


@inner
def drop(s: State, i: int, j: int) -> None:
    """Take expert j from client i; its spending is summed up anew, so that no rounding is carried on."""
    g = GROUPS + PER_GROUP * s.group[j]
    s.status[i, j] = FREE
    s.rows[i, COUNT] -= 1
    s.rows[i, g + IN_GROUP] -= 1
    if s.rows[i, g + IN_GROUP] < s.rows[i, g + GROUP_DEMAND]:
        s.rows[i, OWED] += 1
    s.experts[j, LOAD] -= load_of(s, i, j)
    _resum(s, i)

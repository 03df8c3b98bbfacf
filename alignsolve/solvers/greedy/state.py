"""A partial alignment while it is built: who holds what, what is spent and loaded, and what still fits.

All arrays are plain and writable, so that compiled code can work on them; a client's row is kept completable wherever
that can be seen cheaply: the places that its groups still demand are reserved, and so is the least they could cost.
"""

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from alignsolve.alignment import Alignment
from alignsolve.numerics import FEASIBILITY, BoolArray
from alignsolve.problem import AlignmentProblem

FREE, HELD, SHUT, FIXED = 0, 1, 2, 3
"""What a pair is: could be taken; is taken; may not be; must be (and is)."""

MARGIN = FEASIBILITY / 2
"""What counts as fitting here; half of what the front door allows, so that rounding on the way is forgiven."""


class State(NamedTuple):
    """The data of a problem and the alignment so far.

    ``load`` is (0, 0) where loads are 1; ``weight`` is (0, 0) where pairs are ranked by their gain alone, else what a
    pair uses up, by which its gain is divided. Resources may be 0 in number; there is always at least one group.
    """

    value: Any  # (N, E) float64, fitness minus switching cost
    status: Any  # (N, E) int8
    load: Any  # (N, E) float64 or (0, 0)
    weight: Any  # (N, E) float64 or (0, 0)
    capacity: Any  # (N,) int64
    demand: Any  # (N,) int64
    group: Any  # (E,) int64
    group_capacity: Any  # (N, G) int64
    group_demand: Any  # (N, G) int64
    budget: Any  # (N, R) float64, tolerance included
    cost: Any  # (N, E, R) float64
    cheapest: Any  # (N, R) float64, the least that one more expert can cost
    most: Any  # (E,) float64, hard bounds on loads, tolerance included
    least: Any  # (E,) float64
    soft_capacity: Any  # (E,) float64, and what a unit beyond costs: 0 where the bound is hard
    overload: Any  # (E,) float64
    soft_demand: Any  # (E,) float64
    shortfall: Any  # (E,) float64
    count: Any  # (N,) int64, experts held
    in_group: Any  # (N, G) int64
    owed: Any  # (N,) int64, experts that groups still demand
    spent: Any  # (N, R) float64
    loads: Any  # (E,) float64


def gather(problem: AlignmentProblem) -> State:
    """Lay a problem out for compiled code, with nothing but the required pairs taken."""
    n, e = problem.shape
    block = problem.block(0, n)
    status = np.full((n, e), FREE, dtype=np.int8)
    if block.allowed is not None:
        status[~block.allowed] = SHUT
    bounds = problem.experts
    grouped = block.group is not None
    budget = np.zeros((n, 0)) if block.budget is None else block.budget * (1.0 + MARGIN)
    cost = np.zeros((n, e, 0)) if block.cost is None else _owned(block.cost, np.float64)
    state = State(
        value=_owned(block.value, np.float64),
        status=status,
        load=np.zeros((0, 0)) if block.load is None else _owned(block.load, np.float64),
        weight=np.zeros((0, 0)),
        capacity=_owned(block.capacity, np.int64),
        demand=_owned(block.demand, np.int64),
        group=_owned(block.group, np.int64) if grouped else np.zeros(e, dtype=np.int64),
        group_capacity=_owned(block.group_capacity, np.int64) if grouped else np.full((n, 1), e, dtype=np.int64),
        group_demand=_owned(block.group_demand, np.int64) if grouped else np.zeros((n, 1), dtype=np.int64),
        budget=budget,
        cost=cost,
        cheapest=_cheapest(cost, status),
        most=bounds.most * (1.0 + MARGIN),
        least=bounds.least * (1.0 - MARGIN),
        soft_capacity=_owned(bounds.capacity, np.float64),
        overload=np.where(np.isfinite(bounds.overload) & np.isfinite(bounds.capacity), bounds.overload, 0.0),
        soft_demand=_owned(bounds.demand, np.float64),
        shortfall=np.where(np.isfinite(bounds.shortfall), bounds.shortfall, 0.0),
        count=np.zeros(n, dtype=np.int64),
        in_group=np.zeros((n, problem.num_groups or 1), dtype=np.int64),
        owed=np.zeros(n, dtype=np.int64),
        spent=np.zeros((n, budget.shape[1])),
        loads=np.zeros(e),
    )
    if block.required is not None:
        status[block.required] = FIXED
    recount(state)
    return state


def usage(problem: AlignmentProblem, state: State) -> npt.NDArray[np.float64]:
    """What a pair uses up, (num_clients, num_experts): its share of the mean load plus its shares of the budgets."""
    n, e = problem.shape
    used = np.zeros((n, e))
    if state.load.size:
        open_loads = state.load[state.status != SHUT]
        used += state.load / (open_loads.mean() if open_loads.any() else 1.0)
    for r in range(state.budget.shape[1]):
        budget = np.where(state.budget[:, r] > 0, state.budget[:, r], 1.0)
        used += e * state.cost[:, :, r] / budget[:, None]
    return np.maximum(used, 1e-6)


def to_alignment(state: State) -> Alignment:
    """Read off who holds what."""
    return Alignment.from_dense((state.status == HELD) | (state.status == FIXED))


def hold(state: State, clients: npt.NDArray[np.int64], chosen: BoolArray) -> None:
    """Give some clients new rows, (len(clients), num_experts); the counts are made anew."""
    rows = state.status[clients]
    movable = (rows == FREE) | (rows == HELD)
    state.status[clients] = np.where(movable, np.where(chosen, HELD, FREE), rows)
    recount(state)


def _owned(values: Any, dtype: Any) -> Any:
    """Contiguous, writable and of one type, so that one compiled version serves all; copied only where it is not."""
    return np.require(values, dtype=dtype, requirements=["C", "W"])


def _cheapest(cost: Any, status: Any) -> Any:
    n, e, num_resources = cost.shape
    if not num_resources or not e:
        return np.zeros((n, num_resources))
    least = np.where((status == SHUT)[:, :, None], np.inf, cost).min(axis=1)
    return np.where(np.isfinite(least), least, 0.0)


@numba.njit(cache=True, nogil=True)
def recount(s: State) -> None:
    """Compute every count, sum and load from who holds what."""
    s.loads[:] = 0.0
    n, e = s.status.shape
    for i in range(n):
        s.count[i] = 0
        s.in_group[i, :] = 0
        s.spent[i, :] = 0.0
        for j in range(e):
            if s.status[i, j] == HELD or s.status[i, j] == FIXED:
                s.count[i] += 1
                s.in_group[i, s.group[j]] += 1
                s.loads[j] += load_of(s, i, j)
                for r in range(s.spent.shape[1]):
                    s.spent[i, r] += s.cost[i, j, r]
        s.owed[i] = 0
        for g in range(s.in_group.shape[1]):
            s.owed[i] += max(0, s.group_demand[i, g] - s.in_group[i, g])


@numba.njit(cache=True, nogil=True)
def load_of(s: State, i: int, j: int) -> float:
    """What the pair loads its expert with."""
    return s.load[i, j] if s.load.shape[0] else 1.0


@numba.njit(cache=True, nogil=True)
def penalty(s: State, j: int, load: float) -> float:
    """What soft bounds cost at this load of expert j."""
    lost = 0.0
    if load > s.soft_capacity[j]:
        lost += s.overload[j] * (load - s.soft_capacity[j])
    if load < s.soft_demand[j]:
        lost += s.shortfall[j] * (s.soft_demand[j] - load)
    return lost


@numba.njit(cache=True, nogil=True)
def gain_of(s: State, i: int, j: int) -> float:
    """What the objective gains if client i takes expert j too."""
    before = s.loads[j]
    return s.value[i, j] - (penalty(s, j, before + load_of(s, i, j)) - penalty(s, j, before))


@numba.njit(cache=True, nogil=True)
def wants(s: State, i: int, j: int) -> bool:
    """Whether client i's demands ask for one more expert like j, whatever it is worth."""
    g = s.group[j]
    return s.count[i] < s.demand[i] or s.in_group[i, g] < s.group_demand[i, g]


@numba.njit(cache=True, nogil=True)
def row_admits(s: State, i: int, j: int) -> bool:
    """Whether client i can take the free expert j besides what it holds, and still meet its demands."""
    g = s.group[j]
    if s.count[i] >= s.capacity[i] or s.in_group[i, g] >= s.group_capacity[i, g]:
        return False
    owed = s.owed[i] - 1 if s.in_group[i, g] < s.group_demand[i, g] else s.owed[i]
    if s.count[i] + 1 + owed > s.capacity[i]:
        return False
    still = max(0, s.demand[i] - s.count[i] - 1, owed)
    for r in range(s.spent.shape[1]):
        if s.spent[i, r] + s.cost[i, j, r] + still * s.cheapest[i, r] > s.budget[i, r]:
            return False
    return True


@numba.njit(cache=True, nogil=True)
def row_releases(s: State, i: int, j: int) -> bool:
    """Whether client i, whose row is complete, can do without expert j."""
    g = s.group[j]
    return s.count[i] > s.demand[i] and s.in_group[i, g] > s.group_demand[i, g]


@numba.njit(cache=True, nogil=True)
def row_trades(s: State, i: int, j: int, k: int) -> bool:
    """Whether client i, whose row is complete, can take the free expert k in place of j."""
    g, h = s.group[j], s.group[k]
    if g != h and (s.in_group[i, g] <= s.group_demand[i, g] or s.in_group[i, h] >= s.group_capacity[i, h]):
        return False
    for r in range(s.spent.shape[1]):
        if s.spent[i, r] - s.cost[i, j, r] + s.cost[i, k, r] > s.budget[i, r]:
            return False
    return True


@numba.njit(cache=True, nogil=True)
def take(s: State, i: int, j: int) -> None:
    """Give expert j to client i."""
    g = s.group[j]
    s.status[i, j] = HELD
    s.count[i] += 1
    s.owed[i] -= 1 if s.in_group[i, g] < s.group_demand[i, g] else 0
    s.in_group[i, g] += 1
    s.loads[j] += load_of(s, i, j)
    for r in range(s.spent.shape[1]):
        s.spent[i, r] += s.cost[i, j, r]


@numba.njit(cache=True, nogil=True)
def drop(s: State, i: int, j: int) -> None:
    """Take expert j from client i; what it spent is summed anew, so that no rounding is carried on."""
    g = s.group[j]
    s.status[i, j] = FREE
    s.count[i] -= 1
    s.in_group[i, g] -= 1
    s.owed[i] += 1 if s.in_group[i, g] < s.group_demand[i, g] else 0
    s.loads[j] -= load_of(s, i, j)
    for r in range(s.spent.shape[1]):
        s.spent[i, r] = 0.0
        for k in range(s.status.shape[1]):
            if s.status[i, k] == HELD or s.status[i, k] == FIXED:
                s.spent[i, r] += s.cost[i, k, r]

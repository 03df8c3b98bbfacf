"""The bounds that bind in a solution, and the most that one more unit of each bound can gain, computed from prices.

Take the problem with one bound moved by one unit. For any prices, its bound(prices) limits the moved problem's
objective. The difference to the present objective is the most that the unit can gain. Moving an expert's bound changes
only that expert's term of the bound; moving a client's bound changes only that client's term. So all units are computed
in one pass, without solving again. Prices of degenerate optima are not unique: the true gain may be smaller, but never
larger.
"""

import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from alignsolve.certificate.worth import selected
from alignsolve.data.blocks import ClientBlock
from alignsolve.data.expert_bounds import ExpertBounds
from alignsolve.front import solve
from alignsolve.numerics import BoolArray, FloatArray, slack
from alignsolve.runtime.interruptible import late
from alignsolve.solution import Solution, Status
from alignsolve.solver import Solver
from alignsolve.subproblem.dispatch import best_rows


@dataclass(frozen=True, eq=False)
class Worth:
    """The most that moving each bound by one unit (of load, or one expert) can gain, in fitness.

    Attributes
    ----------
    gap
        Difference between the bound of the prices and the objective; every number below includes it.
    expert_capacity, expert_demand
        (num_experts,) gain of one unit more of the capacity, and of one unit less of the demand (or of all of it, if it
        is less than a unit); NaN if the bound does not bind. Weighted loads rarely meet a bound exactly; for them a
        bound with a nonzero price counts as binding.
    set_capacity, set_demand
        (num_sets,) the same for the bounds of sets of experts; empty without sets.
    client_capacity, client_demand
        (num_clients,) gain of one expert more, and of one expert less; NaN if the bound does not bind.
    group_capacity, group_demand
        (num_clients, num_groups) gain of one expert more, and of one less, within each group; NaN if the bound does not
        bind. Without groups there are no columns.
    client_budget
        (num_clients, num_resources) gain if that resource had no limit; NaN if each further expert would fit.
    clients_judged
        Number of clients, from the first on, that were judged before the time limit.
    exact_expert_capacity, exact_expert_demand, exact_set_capacity, exact_set_demand
        (num_experts,) and (num_sets,) true gain of the unit, found by solving again; NaN if the bound does not bind or
        the gain was not proven in time. None if not requested.
    """

    gap: float
    expert_capacity: FloatArray
    expert_demand: FloatArray
    client_capacity: FloatArray
    client_demand: FloatArray
    group_capacity: FloatArray
    group_demand: FloatArray
    client_budget: FloatArray
    clients_judged: int = 0
    exact_expert_capacity: FloatArray | None = None
    exact_expert_demand: FloatArray | None = None
    set_capacity: FloatArray = dataclasses.field(default_factory=lambda: np.zeros(0))
    set_demand: FloatArray = dataclasses.field(default_factory=lambda: np.zeros(0))
    exact_set_capacity: FloatArray | None = None
    exact_set_demand: FloatArray | None = None


def worth_of(solution: Solution, deadline: float = math.inf) -> Worth:
    """Compute the worth of every bound of a solved problem from the solution's prices, or from prices of 0.

    Clients are judged until the deadline on the clock of :func:`time.monotonic`.
    """
    problem = solution.problem
    assert solution.assigned is not None
    assert solution.objective is not None
    assert solution.loads is not None
    prices = np.zeros(problem.num_experts) if solution.prices is None else solution.prices
    own = prices if solution.own_prices is None else solution.own_prices
    gap = max(0.0, float(problem.bound(prices, solution.set_prices) - solution.objective))
    if solution.status is Status.OPTIMAL and gap <= 1e-9 * max(abs(float(solution.objective)), 1e-300):
        gap = 0.0  # no more than the rounding of the bound
    capacity, demand = _experts_worth(problem.experts, own, solution.loads)
    clients, judged = _clients_worth(solution, prices, deadline)
    lifted: dict[str, Any] = {kind: values + gap for kind, values in clients.items()}
    if problem.sets is not None and solution.set_prices is not None and solution.set_loads is not None:
        more, less = _experts_worth(problem.sets.bounds, solution.set_prices, solution.set_loads)
        lifted |= {"set_capacity": more + gap, "set_demand": less + gap}
    return Worth(gap, capacity + gap, demand + gap, clients_judged=judged, **lifted)


def _experts_worth(bounds: ExpertBounds, prices: FloatArray, loads: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the growth of each expert's term of the bound with one more capacity, and with one less demand."""
    now = bounds.conjugate(prices)
    more = replace(bounds, capacity=bounds.capacity + 1.0).conjugate(prices) - now
    less = replace(bounds, demand=np.maximum(bounds.demand - 1.0, 0.0)).conjugate(prices) - now
    full = np.isfinite(bounds.capacity) & (loads >= bounds.capacity - _tolerance(bounds.capacity, loads, bounds))
    scarce = (bounds.demand > 0) & (loads <= bounds.demand + _tolerance(bounds.demand, loads, bounds))
    if not bounds.unit_loads:  # weighted loads rarely meet a bound exactly: a price shows that it binds
        full, scarce = full | (prices > 0), scarce | (prices < 0)
    return np.where(full, np.maximum(more, 0.0), np.nan), np.where(scarce, np.maximum(less, 0.0), np.nan)


def _tolerance(bound: FloatArray, loads: FloatArray, bounds: ExpertBounds) -> FloatArray:
    """Return the distance up to which a load counts as at its bound: below one client if loads count clients."""
    near = slack(bound, loads)
    return np.where(bound == np.floor(bound), near, 1.0 - 1e-9) if bounds.unit_loads else near


Loosen = Callable[[ClientBlock], ClientBlock]


def _clients_worth(solution: Solution, prices: FloatArray, deadline: float) -> tuple[dict[str, FloatArray], int]:
    """Return the growth of each client's optimum when one of its bounds is loosened, and how many were judged."""
    problem = solution.problem
    n, g = problem.num_clients, problem.num_groups
    resources = 0 if problem.client_budget is None else int(problem.client_budget.shape[1])
    shapes = {"client_capacity": (n,), "client_demand": (n,), "group_capacity": (n, g), "group_demand": (n, g),
              "client_budget": (n, resources)}  # fmt: skip
    found = {field: np.full(shape, np.nan) for field, shape in shapes.items()}
    assert solution.assigned is not None
    for block, rows, experts in selected(problem, solution.assigned):
        if late(deadline):
            return found, block.start
        taken = np.zeros((block.num_clients, block.num_experts), dtype=np.bool_)
        taken[rows, experts] = True
        for field, place, binds, loosen in _bindings(block, taken):
            binding = np.flatnonzero(binds)
            if len(binding):
                where: Any = (block.start + binding, *place)
                found[field][where] = _gains(block.pick(binding), prices, loosen)
    return found, n


def _gains(block: ClientBlock, prices: FloatArray, loosen: Loosen) -> FloatArray:
    now, then = best_rows(block, prices), best_rows(loosen(block), prices)
    gains: FloatArray = np.maximum(then.value.astype(np.float64) - now.value.astype(np.float64), 0.0)
    return gains


def _bindings(block: ClientBlock, taken: BoolArray) -> Iterator[tuple[str, tuple[int, ...], BoolArray, Loosen]]:
    """Yield the field, its column, the rows in which it binds, and the function that loosens it."""
    count = taken.sum(axis=1)
    full = (count >= block.capacity) & (count < block.num_experts)
    yield "client_capacity", (), full, lambda rows: replace(rows, capacity=rows.capacity + 1)
    scarce = (count <= block.demand) & (block.demand > 0)
    yield "client_demand", (), scarce, lambda rows: replace(rows, demand=rows.demand - 1)
    if block.group is not None and block.group_capacity is not None and block.group_demand is not None:
        for g in range(block.group_capacity.shape[1]):
            members = block.group == g
            count = taken[:, members].sum(axis=1)
            full = (count >= block.group_capacity[:, g]) & (count < members.sum())
            yield "group_capacity", (g,), full, _loosen_group("group_capacity", g, 1)
            scarce = (count <= block.group_demand[:, g]) & (block.group_demand[:, g] > 0)
            yield "group_demand", (g,), scarce, _loosen_group("group_demand", g, -1)
    if block.budget is not None and block.cost is not None:
        open_ = ~taken if block.allowed is None else block.allowed & ~taken
        for r in range(block.budget.shape[1]):
            spent = np.where(taken, block.cost[:, :, r], 0.0).sum(axis=1)
            dearest = np.where(open_, block.cost[:, :, r], 0.0).max(axis=1, initial=0.0)
            over = spent + dearest - block.budget[:, r] > slack(block.budget[:, r], spent)
            yield "client_budget", (r,), over, _lift_budget(r)


def _loosen_group(field: str, g: int, step: int) -> Loosen:
    def loosen(rows: ClientBlock) -> ClientBlock:
        bound = getattr(rows, field).copy()
        bound[:, g] += step
        return replace(rows, **{field: bound})

    return loosen


def _lift_budget(r: int) -> Loosen:
    def loosen(rows: ClientBlock) -> ClientBlock:
        assert rows.budget is not None
        budget = rows.budget.copy()
        budget[:, r] = np.inf
        return replace(rows, budget=budget)

    return loosen


def solved_again(
    solution: Solution, worth: Worth, solver: str | Solver, *, deadline: float, seed: int, threads: int | None
) -> Worth:
    """Return the worth with the true gains of experts' bounds; the problem is solved once per binding bound."""
    exact: dict[str, Any] = {}
    of_sets = [] if solution.problem.sets is None else [("set_capacity", 1.0), ("set_demand", -1.0)]
    for kind, step in [("expert_capacity", 1.0), ("expert_demand", -1.0), *of_sets]:
        most = getattr(worth, kind)
        gains = np.where(np.isnan(most), np.nan, 0.0)
        for j in np.flatnonzero(most > 0):
            bound = getattr(solution.problem, kind).copy()
            bound[j] = max(bound[j] + step, 0.0)
            seconds = None if math.isinf(deadline) else max(deadline - time.monotonic(), 0.0)
            moved = solve(replace(solution.problem, **{kind: bound}), solver, time_limit=seconds, warm_start=solution,
                          seed=seed, threads=threads, throw=False)  # fmt: skip
            proven = solution.status is moved.status is Status.OPTIMAL
            gains[j] = _difference(moved, solution) if proven else np.nan
        exact[f"exact_{kind}"] = gains
    return replace(worth, **exact)


def _difference(moved: Solution, solution: Solution) -> float:
    assert moved.objective is not None
    assert solution.objective is not None
    return float(moved.objective - solution.objective)

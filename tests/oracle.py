"""The oracle: an alignment problem is read and solved independently, without any of alignsolve's arithmetic.

Judging one alignment is done in exact fractions. Finding the best one is done by listing what every client may take
(at most 2^num_experts choices) and either combining all of them, or handing one binary per choice to HiGHS.
"""

import math
from fractions import Fraction
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from alignsolve import AlignmentProblem, Witness
from tests.oracle_program import best_choices

TOLERANCE = Fraction(1, 10**9)
Choice = tuple[int, ...]


class Optimum(NamedTuple):
    """The best alignment: its exact objective and, for every client, its experts."""

    objective: Fraction
    choices: tuple[Choice, ...]


def exact(number: Any) -> Fraction:
    """Return the exact value of a float or an integer."""
    if isinstance(number, Fraction):
        return number
    return Fraction(int(number)) if isinstance(number, (int, np.integer, np.bool_)) else Fraction(float(number))


def holds(total: Fraction, limit: Any) -> bool:
    """Return whether ``total <= limit`` within the documented tolerance; both are sums of non-negative terms."""
    if limit == math.inf:
        return True
    return total - exact(limit) <= TOLERANCE * max(exact(limit), total)


def reached(total: Fraction, least: Any) -> bool:
    """Return whether ``total >= least`` within the documented tolerance."""
    return exact(least) - total <= TOLERANCE * max(exact(least), total)


# One client ----------------------------------------------------------------------------------------------------------


def pair_value(problem: AlignmentProblem, i: int, j: int) -> Fraction:
    """Return the fitness of a pair, minus the switching cost if the client does not hold the expert."""
    held = problem.previous is not None and bool(problem.previous[i, j])
    fitness = exact(problem.fitness[i : i + 1][0, j])
    return fitness - (0 if held else exact(problem.switching_cost[i, j]))


def pair_load(problem: AlignmentProblem, i: int, j: int) -> Fraction:
    """Return the load of client i on expert j."""
    return Fraction(1) if problem.client_load is None else exact(problem.client_load[i, j])


def row_allows(problem: AlignmentProblem, i: int, choice: Choice) -> bool:
    """Return whether client i's own bounds allow exactly these experts."""
    if not problem.client_demand[i] <= len(choice) <= problem.client_capacity[i]:
        return False
    if problem.eligible is not None and not all(problem.eligible[i, j] for j in choice):
        return False
    if problem.required is not None and not {int(j) for j in np.flatnonzero(problem.required[i])} <= set(choice):
        return False
    if problem.expert_group is not None:
        for g in range(problem.group_capacity.shape[1]):
            members = sum(1 for j in choice if problem.expert_group[j] == g)
            if not problem.group_demand[i, g] <= members <= problem.group_capacity[i, g]:
                return False
    if problem.client_budget is not None:
        for r in range(problem.client_budget.shape[1]):
            spent = sum((exact(problem.expert_cost[i, j, r]) for j in choice), Fraction(0))
            if not holds(spent, problem.client_budget[i, r]):
                return False
    return True


def row_choices(problem: AlignmentProblem, i: int) -> list[Choice]:
    """Return all sets of experts that client i may take, the smallest first."""
    most = min(int(problem.client_capacity[i]), problem.num_experts)
    sizes = range(int(min(problem.client_demand[i], problem.num_experts + 1)), most + 1)
    subsets = (choice for size in sizes for choice in combinations(range(problem.num_experts), size))
    return [choice for choice in subsets if row_allows(problem, i, choice)]


def best_row(problem: AlignmentProblem, i: int, prices: list[Fraction]) -> Fraction | None:
    """Return the largest fitness − price·load of client i alone; None if it has no feasible choice."""
    worths = [
        sum((pair_value(problem, i, j) - prices[j] * pair_load(problem, i, j) for j in choice), Fraction(0))
        for choice in row_choices(problem, i)
    ]
    return max(worths, default=None)


# All clients ---------------------------------------------------------------------------------------------------------


def chosen(x: Any) -> tuple[Choice, ...]:
    """Return every client's experts, read from a matrix of bools."""
    return tuple(tuple(int(j) for j in np.flatnonzero(row)) for row in np.asarray(x))


class Limits(NamedTuple):
    """The bounds of one expert's load, or of one set's."""

    capacity: float
    demand: float
    overload: float
    shortfall: float


def limits(problem: AlignmentProblem, j: int) -> Limits:
    """Return the bounds of expert j; from num_experts on those of the sets of experts."""
    if j < problem.num_experts:
        fields = (problem.expert_capacity, problem.expert_demand, problem.overload_penalty, problem.shortfall_penalty)
        return Limits(*(float(field[j]) for field in fields))
    fields = (
        problem.set_capacity, problem.set_demand, problem.set_overload_penalty, problem.set_shortfall_penalty,
    )  # fmt: skip
    return Limits(*(float(field[j - problem.num_experts]) for field in fields))


def optional(problem: AlignmentProblem, j: int) -> float:
    """Return the least load above 0 that expert j may have; 0 where any is allowed, and for sets."""
    return float(problem.optional_demand[j]) if problem.optional_demand is not None and j < problem.num_experts else 0.0


def bounded(problem: AlignmentProblem) -> int:
    """Return the number of experts and sets."""
    return problem.num_experts + (0 if problem.expert_sets is None else len(problem.expert_sets))


def set_loads(problem: AlignmentProblem, load: list[Fraction]) -> list[Fraction]:
    """Return the load of every set, from those of the experts."""
    if problem.expert_sets is None:
        return []
    return [sum((load[int(j)] for j in np.flatnonzero(inside)), Fraction(0)) for inside in problem.expert_sets]


def loads(problem: AlignmentProblem, choices: tuple[Choice, ...]) -> list[Fraction]:
    """Return the load of every expert."""
    load = [Fraction(0)] * problem.num_experts
    for i, choice in enumerate(choices):
        for j in choice:
            load[j] += pair_load(problem, i, j)
    return load


def penalty(problem: AlignmentProblem, j: int, load: Fraction) -> Fraction:
    """Return the cost of expert j's soft bounds at a load; from num_experts on of a set's."""
    limit, cost = limits(problem, j), Fraction(0)
    if math.isfinite(limit.overload) and math.isfinite(limit.capacity):
        cost += exact(limit.overload) * max(load - exact(limit.capacity), Fraction(0))
    if math.isfinite(limit.shortfall):
        cost += exact(limit.shortfall) * max(exact(limit.demand) - load, Fraction(0))
    return cost


def expert_allows(problem: AlignmentProblem, j: int, load: Fraction) -> bool:
    """Return whether expert j's hard bounds allow a load; from num_experts on a set's."""
    limit = limits(problem, j)
    if math.isinf(limit.overload) and not holds(load, limit.capacity):
        return False
    if load > 0 and not reached(load, optional(problem, j)):
        return False
    return math.isfinite(limit.shortfall) or reached(load, limit.demand)


def all_loads(problem: AlignmentProblem, choices: tuple[Choice, ...]) -> list[Fraction]:
    """Return the load of every expert, and then of every set."""
    load = loads(problem, choices)
    return load + set_loads(problem, load)


def objective(problem: AlignmentProblem, choices: tuple[Choice, ...]) -> Fraction:
    """Return fitness − switching costs − penalties, exactly."""
    value = sum((pair_value(problem, i, j) for i, choice in enumerate(choices) for j in choice), Fraction(0))
    lost = (penalty(problem, j, load) for j, load in enumerate(all_loads(problem, choices)))
    return value - sum(lost, start=Fraction(0))


def magnitude(problem: AlignmentProblem, choices: tuple[Choice, ...]) -> float:
    """Return the sum of the sizes of an objective's terms, the scale of its rounding."""
    pairs = sum(abs(pair_value(problem, i, j)) for i, choice in enumerate(choices) for j in choice)
    soft = sum(penalty(problem, j, load) for j, load in enumerate(all_loads(problem, choices)))
    return float(pairs + soft)


def feasible(problem: AlignmentProblem, choices: tuple[Choice, ...]) -> bool:
    """Return whether every bound holds."""
    rows = all(row_allows(problem, i, choice) for i, choice in enumerate(choices))
    return rows and all(expert_allows(problem, j, load) for j, load in enumerate(all_loads(problem, choices)))


def best(problem: AlignmentProblem) -> Optimum | None:
    """Return the optimum, by the faster method for this size; None if there is no alignment."""
    choices = [row_choices(problem, i) for i in range(problem.num_clients)]
    if math.prod(len(rows) for rows in choices) <= 2**16:
        return best_by_enumeration(problem, choices)
    return best_by_milp(problem, choices)


def best_by_enumeration(problem: AlignmentProblem, choices: list[list[Choice]]) -> Optimum | None:
    """Evaluate every combination of choices in floats, and the best ones exactly."""
    if not all(choices):
        return None
    value, load = np.zeros(1), np.zeros((1, problem.num_experts))
    for i, rows in enumerate(choices):
        worth, weight = _table(problem, i, rows)
        value = (value[:, None] + worth).ravel()
        load = (load[:, None, :] + weight).reshape(len(value), problem.num_experts)
    load = _with_sets(problem, load)
    allowed, cost = np.ones(len(value), dtype=bool), np.zeros(len(value))
    for j in range(bounded(problem)):
        levels, where = np.unique(load[:, j], return_inverse=True)
        at = [Fraction(level) for level in levels.tolist()]
        allowed &= np.array([expert_allows(problem, j, level) for level in at])[where]
        cost += np.array([float(penalty(problem, j, level)) for level in at])[where]
    if not allowed.any():
        return None
    net = np.where(allowed, value - cost, -np.inf)
    close = net.max() - 1e-12 * (np.abs(value).max() + cost.max())
    leading = np.flatnonzero(net >= close)[:20]
    shape = [len(rows) for rows in choices]
    picks = [tuple(rows[k] for rows, k in zip(choices, index, strict=True))
             for index in zip(*np.unravel_index(leading, shape), strict=True)] if shape else [()]  # fmt: skip
    return max(Optimum(objective(problem, pick), pick) for pick in picks)


def best_by_milp(problem: AlignmentProblem, choices: list[list[Choice]]) -> Optimum | None:
    """Use one binary per choice of each client: clients' bounds hold by construction, HiGHS handles the experts'."""
    if not all(choices):
        return None
    e = bounded(problem)
    tables = [_table(problem, i, rows) for i, rows in enumerate(choices)]
    value = np.concatenate([worth for worth, _ in tables])
    load = _with_sets(problem, np.concatenate([weight for _, weight in tables]))
    owner = np.repeat(np.arange(problem.num_clients), [len(rows) for rows in choices])
    limit = np.array([[*limits(problem, j), optional(problem, j)] for j in range(e)]).reshape(e, 5)
    taken = best_choices(value, load, owner, limit)
    if taken is None:
        return None
    flat = [choice for rows in choices for choice in rows]
    picked = tuple(flat[k] for k in np.flatnonzero(taken))
    assert feasible(problem, picked), "the oracle's own MILP used its tolerance: a finer instance than it can judge"
    return Optimum(objective(problem, picked), picked)


def _with_sets(problem: AlignmentProblem, load: Any) -> Any:
    """Return loads of experts, (…, num_experts), with those of the sets behind them."""
    if problem.expert_sets is None:
        return load
    return np.concatenate([load, load @ problem.expert_sets.T.astype(np.float64)], axis=-1)


def _table(problem: AlignmentProblem, i: int, rows: list[Choice]) -> tuple[Any, Any]:
    """Return value and loads of every choice of client i, in floats rounded once."""
    worth = [float(sum((pair_value(problem, i, j) for j in choice), Fraction(0))) for choice in rows]
    weight = np.zeros((len(rows), problem.num_experts))
    for k, choice in enumerate(rows):
        for j in choice:
            weight[k, j] = float(pair_load(problem, i, j))
    return np.array(worth), weight


# Bounds and witnesses ------------------------------------------------------------------------------------------------


def lagrangian(problem: AlignmentProblem, prices: Any, set_prices: Any = ()) -> Fraction | None:
    """Return DESIGN.md's bound for these prices, with each expert's term at its bends; None if a row has no choice.

    Where experts are in sets, prices are what clients pay: the experts' own, and those of the sets around them.
    """
    e = problem.num_experts
    of_sets = [_in_box(problem, e + s, exact(p)) for s, p in enumerate(np.asarray(set_prices))]
    around = [sum((p for s, p in enumerate(of_sets) if problem.expert_sets[s, j]), Fraction(0)) for j in range(e)]
    own = [_in_box(problem, j, exact(p) - around[j]) for j, p in enumerate(np.asarray(prices))]
    price = [p + more for p, more in zip(own, around, strict=True)]
    rows = [best_row(problem, i, price) for i in range(problem.num_clients)]
    terms = [_expert_term(problem, j, p) for j, p in enumerate([*own, *of_sets])]
    if any(part is None for part in (*rows, *terms)):
        return None
    return sum((part for part in (*rows, *terms) if part is not None), Fraction(0))


def _in_box(problem: AlignmentProblem, j: int, price: Fraction) -> Fraction:
    limit = limits(problem, j)
    if math.isinf(limit.capacity):
        price = min(price, Fraction(0))
    elif math.isfinite(limit.overload):
        price = min(price, exact(limit.overload))
    if math.isfinite(limit.shortfall):
        price = max(price, -exact(limit.shortfall))
    return price


def _expert_term(problem: AlignmentProblem, j: int, price: Fraction) -> Fraction | None:
    """Return the largest price·load − penalty of expert j over its loads: at a bend, or at a whole load beside it."""
    limit = limits(problem, j)
    bends = [exact(b) for b in (limit.capacity, limit.demand, 0.0) if math.isfinite(b)]
    if problem.client_load is None:
        bends = [Fraction(whole) for b in bends for whole in (math.floor(b), math.ceil(b), round(b))]
    worths = [price * load - penalty(problem, j, load) for load in bends if expert_allows(problem, j, load)]
    return max(worths, default=None)


def confirms(problem: AlignmentProblem, witness: Witness) -> bool:
    """Return whether a witness proves infeasibility, added up independently."""
    if witness.side == "row":
        accused = np.flatnonzero(witness.clients)
        return len(accused) > 0 and all(not row_choices(problem, int(i)) for i in accused)
    members = [int(j) for j in np.flatnonzero(witness.experts)]
    into = [
        [sum((pair_load(problem, i, j) for j in choice if j in members), Fraction(0)) for choice in rows]
        for i, rows in ((i, row_choices(problem, i)) for i in range(problem.num_clients))
    ]
    if problem.expert_sets is not None:
        return all(into) and _confirms_with_sets(problem, witness, into)
    if not members or not all(into):
        return False
    most = [_whole(problem, j, math.floor) if math.isinf(problem.overload_penalty[j]) else None for j in members]
    room = None if None in most else sum((each for each in most if each is not None), Fraction(0))
    if witness.side == "demand":
        wanted = sum((_whole(problem, j, math.ceil) or Fraction(0) for j in members), Fraction(0))
        clients_give = sum((max(able) for able in into), Fraction(0))
        given = clients_give if room is None else min(clients_give, room)
        return all(math.isinf(problem.shortfall_penalty[j]) for j in members) and not reached(given, wanted)
    return room is not None and not holds(sum((min(able) for able in into), Fraction(0)), room)


def _confirms_with_sets(problem: AlignmentProblem, witness: Witness, into: list[list[Fraction]]) -> bool:
    """Whether bounds of sets and experts, some counted and some taken away, contradict what the clients can do."""
    demand_side, e = witness.side == "demand", problem.num_experts
    signs = np.zeros(len(problem.expert_sets), dtype=int) if witness.sets is None else witness.sets
    own = witness.experts.astype(int) - signs @ problem.expert_sets.astype(int)
    added = taken = Fraction(0)
    for j, count in enumerate([*own.tolist(), *signs.tolist()]):
        limit, lower = limits(problem, j), demand_side == (count > 0)
        if count == 0:
            continue
        hard = math.isinf(limit.shortfall if lower else limit.overload)
        bound = _whole(problem, j, math.ceil if lower else math.floor) if hard else (Fraction(0) if lower else None)
        if bound is None:
            return False
        added, taken = (added + count * bound, taken) if count > 0 else (added, taken - count * bound)
    if demand_side:
        capacity = [_whole(problem, e + s, math.floor) for s in np.flatnonzero(
            (problem.expert_sets | ~witness.experts).all(axis=1) & np.isinf(problem.set_overload_penalty))]  # fmt: skip
        members = [_whole(problem, j, math.floor) if math.isinf(problem.overload_penalty[j]) else None
                   for j in np.flatnonzero(witness.experts)]  # fmt: skip
        rooms = [room for room in capacity if room is not None] + (
            [] if None in members else [sum(members, Fraction(0))]
        )
        given = min([sum((max(able) for able in into), Fraction(0)), *rooms])
        return not reached(given + taken, added)
    return not holds(sum((min(able) for able in into), Fraction(0)) + taken, added)


def _whole(problem: AlignmentProblem, j: int, rounding: Any) -> Fraction | None:
    """Return an expert's capacity (``floor``) or demand (``ceil``), rounded if loads are whole; None if unbounded."""
    bound = limits(problem, j).capacity if rounding is math.floor else limits(problem, j).demand
    if math.isinf(bound):
        return None
    return exact(bound) if problem.client_load is not None else Fraction(rounding(bound))

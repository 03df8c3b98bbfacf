"""Why one client got its experts, and who almost got one expert: told by prices, and true by the bound they prove.

Under prices, every client has a best choice of its own. If a client must take an expert that is not in it, its choice
loses something. No alignment in which it has that expert is worth more than the bound of these prices less this loss.
Where prices leave a gap between this bound and the objective, what they say of one more place includes the gap.
"""

import difflib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from alignsolve.data.blocks import ClientBlock
from alignsolve.data.names import Names, called, named
from alignsolve.numerics import OPTIMALITY, BoolArray, FloatArray, relative_gap
from alignsolve.subproblem.dispatch import best_rows
from alignsolve.subproblem.reduced_fitness import reduced_fitness

SHOWN = 8
"""Most experts, or clients, of a list."""


def member(names: Names | None, what: str, given: Any, count: int) -> int:
    """Find a client or an expert by its name, or by its number where numbers are not names.

    Raises
    ------
    ValueError
        If there is none; with the nearest name.
    """
    if names is not None:
        if given in names:
            return names.index(given)
        texts = [str(name) for name in names]
        if str(given) in texts:
            return texts.index(str(given))
    whole = isinstance(given, int | np.integer) and not isinstance(given, bool)
    if whole and 0 <= given < count and (names is None or not isinstance(names[0], int)):
        return int(given)
    if names is None:
        raise ValueError(f"there is no {what} {given!r}: {what}s have the numbers 0 to {count - 1}")
    near = difflib.get_close_matches(str(given), list(map(str, names)), n=1)
    raise ValueError(f"there is no {what} {given!r}" + (f"; did you mean {near[0]!r}?" if near else ""))


def _without_alignment(solution: Any, side: str, k: int, who: str) -> Iterator[str]:
    """Yield why there is no alignment, and whether this client or expert is one of those that show it."""
    yield solution.explain()
    if solution.witness is not None and getattr(solution.witness, side)[k]:
        yield f"{who} is one of the {side} that show it"


def client_lines(solution: Any, i: int) -> Iterator[str]:
    """Yield why client i has its experts, what another one would cost, and what would change it."""
    problem, block = solution.problem, solution.problem.block(i, i + 1)
    client = called(problem.client_names, "client", i)
    if solution.assigned is None:
        yield from _without_alignment(solution, "clients", i, client)
        return
    taken = solution.assigned.experts[solution.assigned.indptr[i] : solution.assigned.indptr[i + 1]]
    experts = np.arange(problem.num_experts) if block.experts is None else block.experts[0]
    able = np.ones(len(experts), dtype=np.bool_) if block.allowed is None else block.allowed[0]
    prices = np.zeros(problem.num_experts) if solution.prices is None else solution.prices
    reduced = reduced_fitness(block, prices)[0].astype(np.float64)
    held = np.isin(experts, taken) & able
    names = named(np.isin(np.arange(problem.num_experts), taken), "expert", problem.expert_names)
    yield f"{client} has {names}; it is eligible for {int(able.sum())} and may have {int(block.capacity[0])}"
    columns = np.flatnonzero(able)
    for k in columns[np.argsort(-reduced[columns], kind="stable")][:SHOWN].tolist():
        load = 1.0 if block.load is None else float(block.load[0, k])
        paid = f"price {prices[experts[k]]:.6g}" + (f" x load {load:.6g}" if load != 1.0 else "")
        mark = " (has it)" if held[k] else ""
        expert = called(problem.expert_names, "expert", experts[k])
        yield f"  {expert}: fitness {block.value[0, k]:.6g}, {paid}, reduced fitness {reduced[k]:.6g}{mark}"
    if len(columns) > SHOWN:
        yield f"  … and {len(columns) - SHOWN} more experts"
    missed = np.flatnonzero(able & ~held)
    if not len(missed):
        return
    k = int(missed[np.argmax(block.value[0, missed])])
    yield _wish(solution, block, prices, k, called(problem.expert_names, "expert", experts[k]))


def _wish(solution: Any, block: ClientBlock, prices: FloatArray, k: int, expert: str) -> str:
    """Tell what the wished-for expert in column k would have cost."""
    wish = f"of the experts that it does not have, {expert} has the highest fitness, {block.value[0, k]:.6g}"
    lost = float(_lost(block, prices, np.array([k]))[0])
    if np.isinf(lost):
        return f"{wish}; this client's own limits leave no choice that has it"
    reached = min(float(solution.bound), float(solution.problem.bound(prices, solution.set_prices)) - lost)
    most = f"no alignment in which it has {expert} is worth more than {reached:.12g}"
    if lost <= 0.0:
        return f"{wish}; it would lose nothing by it at these prices, so only ties, or the experts' limits, decide"
    return (
        f"{wish}; it would lose {lost:.6g} by it at these prices\n"
        f"so {most}; at these prices it would change if that fitness were {block.value[0, k] + lost:.6g} or more"
    )


def _lost(block: ClientBlock, prices: FloatArray, columns: Any) -> FloatArray:
    """What each row's best choice loses if it must hold a column, (n,); inf where it cannot."""
    rows = np.arange(block.num_clients)
    required: BoolArray = np.zeros(block.value.shape, dtype=np.bool_)
    if block.required is not None:
        required |= block.required
    required[rows, columns] = True
    forced = best_rows(replace(block, required=required), prices)
    best = best_rows(block, prices).value.astype(np.float64)
    with np.errstate(invalid="ignore"):
        lost = np.maximum(best - forced.value.astype(np.float64), 0.0)
    return np.where(forced.feasible, lost, np.inf)


def expert_lines(solution: Any, j: int) -> Iterator[str]:
    """Yield who has expert j, who almost got it, and what one more place is worth."""
    problem = solution.problem
    expert = called(problem.expert_names, "expert", j)
    if solution.assigned is None:
        yield from _without_alignment(solution, "experts", j, expert)
        return
    least, most = float(problem.expert_demand[j]), float(problem.expert_capacity[j])
    limit = "without a limit" if np.isinf(most) else f"of at most {most:.6g}"
    yield f"{expert} carries a load of {solution.loads[j]:.12g} {limit}, at least {least:.6g}"
    opening = float(problem.experts.opening[j])
    if opening:
        now = "is closed" if solution.loads[j] == 0 else "is open, and may be closed"
        yield f"it {now}; an optional demand says that it needs a load of at least {opening:.6g} to be open"
    holders = solution.assigned.clients()[solution.assigned.experts == j]
    yield "it has " + named(np.isin(np.arange(problem.num_clients), holders), "client", problem.client_names)
    if solution.prices is None:
        yield "no prices are known, so nothing more can be said"
        return
    if problem.sets is None:
        yield _place_worth(solution, float(solution.prices[j]), least)
    else:
        yield _place_worth(solution, float(solution.own_prices[j]), least)
        yield from _sets_around(solution, j)
    yield from _almost(solution, j, holders)


def _sets_around(solution: Any, j: int) -> Iterator[str]:
    """Yield the load of each set around expert j, and what one more place in it is worth."""
    problem = solution.problem
    for s in np.flatnonzero(problem.expert_sets[:, j]).tolist():
        least, most = float(problem.set_demand[s]), float(problem.set_capacity[s])
        limit = "without a limit" if np.isinf(most) else f"of at most {most:.6g}"
        worth = _place_worth(solution, float(solution.set_prices[s]), least)
        name, load = called(problem.set_names, "set", s), solution.set_loads[s]
        yield f"it is in {name}, which carries a load of {load:.12g} {limit}, at least {least:.6g}"
        yield f"  {worth.replace('its price', 'the price of the set')}"


def _place_worth(solution: Any, price: float, demand: float) -> str:
    """Tell what one more place is worth: the price, and the gap that the prices leave."""
    objective = float(solution.objective)
    bound = float(solution.problem.bound(solution.prices, solution.set_prices))
    gap = 0.0 if _is_closed(bound, objective) else bound - objective
    told = f"its price is {price:.6g}"
    if gap > 0.0:
        told += f", and the prices leave a gap of {gap:.6g}"
    if price > 0:
        return f"{told}: one more unit of its capacity is worth at most {price + gap:.6g}"
    if price < 0 < demand:
        return f"{told}: one unit less of its demand is worth at most {gap - price:.6g}"
    if gap > 0.0:
        return f"{told}: neither more capacity nor less demand is worth more than that gap"
    return f"{told}: neither more capacity nor less demand is worth anything"


def _is_closed(bound: float, objective: float) -> bool:
    """Whether a bound differs from the objective by rounding alone."""
    return relative_gap(bound, objective) <= OPTIMALITY


def _almost(solution: Any, j: int, holders: Any) -> Iterator[str]:
    """Yield the clients that lose least if they must take expert j."""
    problem, lost = solution.problem, np.full(solution.problem.num_clients, np.inf)
    for block in problem.blocks():
        column = np.full(block.num_clients, j)
        able = np.ones(block.num_clients, dtype=np.bool_)
        if block.experts is not None:
            column = np.argmax((block.experts == j) & block.allowed, axis=1)
            able = ((block.experts == j) & block.allowed).any(axis=1)
        elif block.allowed is not None:
            able = block.allowed[:, j]
        rows = np.flatnonzero(able)
        if len(rows):
            lost[block.start + rows] = _lost(block.pick(rows), solution.prices, column[rows])
    lost[holders] = np.inf
    near = np.argsort(lost, kind="stable")[:SHOWN]
    near = near[np.isfinite(lost[near])]
    if not len(near):
        yield "no other client can take it"
        return
    yield "closest to it are, with what they would lose at these prices:"
    yield from (f"  {called(problem.client_names, 'client', i)}: {lost[i]:.6g}" for i in near.tolist())

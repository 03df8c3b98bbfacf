"""The constraints that an alignment breaks, each told by its worst row, from the problem's own data."""

from collections.abc import Iterator

import numpy as np

from alignsolve.certificate.worth import loads_of
from alignsolve.data.alignment import Alignment
from alignsolve.data.blocks import ClientBlock
from alignsolve.data.expert_sets import ExpertSets
from alignsolve.data.names import Names, called, named
from alignsolve.data.problem_view import ProblemView
from alignsolve.numerics import BoolArray, FloatArray, IntArray, RealArray, slack


def violations(problem: ProblemView, alignment: Alignment) -> list[str]:
    """Describe each kind of constraint that an alignment breaks by its worst row; empty if it is feasible."""
    found: list[str] = []
    for block in problem.blocks():
        indptr = alignment.indptr[block.start : block.stop + 1]
        experts = alignment.experts[indptr[0] : indptr[-1]]
        told = _row_violations(block, np.diff(indptr), experts, problem.client_names, problem.expert_names)
        found += [text for text in told if text]
    loads, bounds = loads_of(problem, alignment), problem.experts
    over = bounds.overloads(loads)
    if over.any():
        j = int(over.argmax())
        expert = called(problem.expert_names, "expert", j)
        found.append(f"{expert} carries a load of {loads[j]:.12g}, its capacity is {bounds.capacity[j]:.12g}")
    short = bounds.shortfalls(loads)
    if short.any():
        j = int(short.argmax())
        expert = called(problem.expert_names, "expert", j)
        found.append(f"{expert} carries a load of {loads[j]:.12g}, its demand is {bounds.demand[j]:.12g}")
    missing = bounds.half_open(loads)
    if missing.any():
        j = int(missing.argmax())
        expert, least = called(problem.expert_names, "expert", j), bounds.opening[j]
        found.append(f"{expert} carries a load of {loads[j]:.12g}, it must carry none or at least {least:.12g}")
    return found if problem.sets is None else found + list(_set_violations(problem, problem.sets, loads))


def _set_violations(problem: ProblemView, sets: ExpertSets, loads: FloatArray) -> Iterator[str]:
    """Tell the worst set above its capacity, and the worst one below its demand."""
    carried, bounds = sets.loads(loads), sets.bounds
    for excess, limit, kind in (
        (bounds.overloads(carried), bounds.capacity, "capacity"),
        (bounds.shortfalls(carried), bounds.demand, "demand"),
    ):
        if excess.any():
            s = int(excess.argmax())
            members = named(sets.members[s], "expert", problem.expert_names)
            name = called(problem.set_names, "set", s)
            yield f"{name} ({members}) carries a load of {carried[s]:.12g}, its {kind} is {limit[s]:.12g}"


def _row_violations(
    block: ClientBlock, count: IntArray, experts: IntArray, clients: Names | None, known: Names | None
) -> Iterator[str]:
    """Tell, for each kind of row constraint, the worst client of the block that breaks it; (n,) experts of each."""
    n = block.num_clients
    about_pairs = (block.allowed, block.required, block.group, block.budget)
    rows = count[:0] if all(part is None for part in about_pairs) else np.repeat(np.arange(n), count)
    columns = experts if all(part is None for part in about_pairs) else block.columns(rows, experts)
    if block.allowed is not None:
        barred = np.flatnonzero(~_allowed(block.allowed, rows, columns))
        if len(barred):
            client = called(clients, "client", block.start + rows[barred[0]])
            expert = called(known, "expert", experts[barred[0]])
            yield f"{client} is assigned {expert}, for which it is not eligible"
    if block.required is not None:
        lacking = block.required.copy()
        lacking[rows[columns >= 0], columns[columns >= 0]] = False
        if lacking.any():
            i, j = np.argwhere(lacking)[0]
            j = j if block.experts is None else block.experts[i, j]
            yield f"{called(clients, 'client', block.start + i)} lacks {called(known, 'expert', j)}, which is required"
    yield _worst_client(block, clients, count - block.capacity, count, block.capacity, "experts, its capacity is")
    yield _worst_client(block, clients, block.demand - count, count, block.demand, "experts, its demand is")
    if block.group is not None and block.group_capacity is not None and block.group_demand is not None:
        num_groups = block.group_capacity.shape[1]
        inside = np.bincount(rows * num_groups + block.group[experts], minlength=n * num_groups).reshape(n, num_groups)
        over, short = inside - block.group_capacity, block.group_demand - inside
        for g in np.flatnonzero(((over > 0) | (short > 0)).any(axis=0)):
            most, least, has = block.group_capacity[:, g], block.group_demand[:, g], inside[:, g]
            yield _worst_client(block, clients, over[:, g], has, most, f"experts of group {g}, its capacity there is")
            yield _worst_client(block, clients, short[:, g], has, least, f"experts of group {g}, its demand there is")
    if block.budget is not None and block.cost is not None:
        for r in range(block.budget.shape[1]):
            spent = np.bincount(rows, weights=block.cost[rows, experts, r], minlength=n).astype(np.float64)
            budget = block.budget[:, r]
            excess = np.where(spent - budget > slack(budget, spent), spent - budget, 0.0)
            yield _worst_client(block, clients, excess, spent, budget, f"of resource {r}, its budget is")


def _allowed(allowed: BoolArray, rows: IntArray, columns: IntArray) -> BoolArray:
    """Whether pairs are allowed; those without a column are not."""
    found: BoolArray = columns >= 0
    found[found] = allowed[rows[found], columns[found]]
    return found


def _worst_client(
    block: ClientBlock,
    clients: Names | None,
    excess: RealArray,
    has: RealArray,
    limit: RealArray,
    text: str,
) -> str:
    i = int(excess.argmax())
    if excess[i] <= 0:
        return ""
    return f"{called(clients, 'client', block.start + i)} has {has[i]:.12g} {text} {limit[i]:.12g}"

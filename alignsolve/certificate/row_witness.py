"""Rows that contradict themselves: clients whose own bounds leave no choice, and the reason in words."""

import numpy as np

from alignsolve.certificate.supply import most_for
from alignsolve.data.blocks import ClientBlock
from alignsolve.data.names import called
from alignsolve.data.problem_view import ProblemView
from alignsolve.data.validation import unspread
from alignsolve.numerics import FEASIBILITY, BoolArray, FloatArray, IntArray


def contradictory_clients(problem: ProblemView) -> BoolArray | None:
    """Find the clients that contradict themselves, (num_clients,) bools; None if there are none."""
    if _rows_plainly_fit(problem):
        return None
    _, feasible = most_for(problem, np.zeros(problem.num_experts))
    return None if feasible.all() else ~feasible


def _rows_plainly_fit(problem: ProblemView) -> bool:
    """Whether it is clear without a pass over the pairs that no row contradicts itself."""
    if problem.required is not None:
        return False
    if problem.client_budget is not None and (problem.client_budget < 0).any():
        return False
    if not problem.client_demand.any() and (problem.group_demand is None or not problem.group_demand.any()):
        return True
    if (problem.client_demand > problem.client_capacity).any():
        return False
    if problem.num_groups:
        return _groups_plainly_fit(problem)
    if problem.eligible is None and problem.stored is None and problem.client_budget is None:
        return bool((problem.client_demand <= problem.num_experts).all())
    return bool(problem.client_demand.max() <= 1) and all(_one_fits(block) for block in problem.blocks())


def _groups_plainly_fit(problem: ProblemView) -> bool:
    """Whether it is clear from the sizes of the groups, with every pair eligible, that every row has a choice."""
    least, most, group = problem.group_demand, problem.group_capacity, problem.expert_group
    assert group is not None and least is not None and most is not None  # noqa: PT018  (they come together)
    if problem.client_budget is not None and problem.stored is None:
        # Long searches are left to rows that cannot pay for the cheapest expert of each group.
        few = least.max() <= 1 and (least <= most).all() and (least.sum(axis=1) <= problem.client_capacity).all()
        enough = (problem.client_demand <= least.sum(axis=1)).all()
        return bool(few and enough and all(_cheapest_fit(block) for block in problem.blocks()))
    if problem.eligible is not None or problem.stored is not None or problem.client_budget is not None:
        return False
    room = np.minimum(most, np.bincount(group, minlength=problem.num_groups))
    within = (least <= room).all() and (least.sum(axis=1) <= problem.client_capacity).all()
    return bool(within and (problem.client_demand <= room.sum(axis=1)).all())


def _cheapest_fit(block: ClientBlock) -> bool:
    """Whether each client can pay for the cheapest experts that its groups demand, one in each."""
    cost, budget, group, least = block.cost, block.budget, block.group, block.group_demand
    assert cost is not None and budget is not None and group is not None and least is not None  # noqa: PT018
    if block.allowed is None and _dearest_fit(unspread(cost), budget, group, least):
        return True
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        share = np.where(cost > 0.0, cost / budget[:, None, :], 0.0).max(axis=2)
    if block.allowed is not None:
        share = np.where(block.allowed, share, np.inf)
    spent, rows = np.zeros(budget.shape), np.arange(block.num_clients)
    for g in range(least.shape[1]):
        members = np.flatnonzero(group == g)
        wanted = rows[least[:, g] > 0]
        if not len(wanted):
            continue
        if not len(members):
            return False
        best = members[share[np.ix_(wanted, members)].argmin(axis=1)]
        if not np.isfinite(share[wanted, best]).all():
            return False
        spent[wanted] += cost[wanted, best]
    return bool((spent <= budget).all())


def _dearest_fit(cost: FloatArray, budget: FloatArray, group: IntArray, least: IntArray) -> bool:
    """Whether each client can pay even for the dearest expert of each group that demands one; costs may be spread."""
    used = np.flatnonzero(least.any(axis=0))
    if not len(used) or not np.isin(used, group).all():
        return False
    dearest = np.stack([cost[:, group == g].max(axis=1) for g in used], axis=1)
    return bool(((least[:, used, None] * dearest).sum(axis=1) <= budget).all())


def _one_fits(block: ClientBlock) -> bool:
    """Whether every client that demands an expert can take some one expert alone."""
    fits = np.ones(block.value.shape, dtype=np.bool_) if block.allowed is None else block.allowed
    if block.budget is not None and block.cost is not None:
        for r in range(block.budget.shape[1]):
            fits = fits & (block.cost[:, :, r] <= block.budget[:, r, None])
    return bool((fits.any(axis=1) | (block.demand == 0)).all())


def row_reason(problem: ProblemView, i: int) -> str:
    """Tell in words why client i has no choice that meets its own bounds."""
    block = problem.block(i, i + 1)
    capacity, demand = int(block.capacity[0]), int(block.demand[0])
    client = called(problem.client_names, "client", i)
    eligible = _marked(problem, block, block.allowed, missing=True)
    required = _marked(problem, block, block.required, missing=False)
    if demand > capacity:
        return f"{client} demands {demand} experts, its capacity is {capacity}"
    if (required & ~eligible).any():
        expert = called(problem.expert_names, "expert", int(np.argmax(required & ~eligible)))
        return f"{client} requires {expert}, for which it is not eligible"
    if required.sum() > capacity:
        return f"{client} requires {required.sum()} experts, its capacity is {capacity}"
    if eligible.sum() < demand:
        return f"{client} demands {demand} experts, it is eligible for {eligible.sum()}"
    if block.group is not None and block.group_capacity is not None and block.group_demand is not None:
        for g, (most, least) in enumerate(zip(block.group_capacity[0], block.group_demand[0], strict=True)):
            members = block.group == g
            wanted, able = max(least, (required & members).sum()), min(most, (eligible & members).sum())
            if wanted > able:
                return f"{client} needs {wanted} experts of group {g}, it can take {able}"
        least_total = sum(
            max(int(least), int((required & (block.group == g)).sum())) for g, least in enumerate(block.group_demand[0])
        )
        if least_total > capacity:
            return f"{client} needs {least_total} experts over its groups, its capacity is {capacity}"
        able_total = sum(
            min(int(most), int((eligible & (block.group == g)).sum())) for g, most in enumerate(block.group_capacity[0])
        )
        if able_total < demand:
            return f"{client} demands {demand} experts, its groups admit {able_total}"
    if block.budget is not None and block.cost is not None:
        return _budget_reason(client, demand, block.budget[0], block.cost[0], eligible, required)
    return f"{client} has no choice that meets all its bounds together"


def _marked(problem: ProblemView, block: ClientBlock, flags: BoolArray | None, *, missing: bool) -> BoolArray:
    """The experts that are marked in a block of one client, (num_experts,); ``missing`` where nothing says."""
    if flags is None:
        return np.full(problem.num_experts, missing)
    if block.experts is None:
        return flags[0]
    marked = np.zeros(problem.num_experts, dtype=np.bool_)
    marked[block.experts[0, flags[0]]] = True
    return marked


def _budget_reason(
    client: str, demand: int, budget: FloatArray, cost: FloatArray, eligible: BoolArray, required: BoolArray
) -> str:
    """Tell which budget a client cannot keep, and why; budgets that only clash together are listed."""
    for r, limit in enumerate(budget):
        spent = float(cost[required, r].sum())
        if spent - limit > FEASIBILITY * max(limit, spent):
            return f"{client} requires experts that cost {spent:.12g} of resource {r}, its budget is {limit:.12g}"
        cheapest = np.sort(cost[eligible & ~required, r])[: max(demand - int(required.sum()), 0)]
        spent += float(cheapest.sum())
        if spent - limit > FEASIBILITY * max(limit, spent):
            return (
                f"{client} demands {demand} experts, which cost at least {spent:.12g} of resource {r}, "
                f"its budget is {limit:.12g}"
            )
    return f"{client} cannot pay for the experts it must take out of its budget of {budget.tolist()}"

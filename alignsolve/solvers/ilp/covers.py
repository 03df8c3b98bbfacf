"""Cover cuts: rows with coefficients of 1 that forbid infeasible choices which a back end's tolerance let through.

A set of pairs whose loads together exceed a capacity is a cover: not all of them may be taken. A set of pairs without
which the others cannot meet a demand is a cover of the demand: at least one of them must be taken. All coefficients of
these rows are 1, so a tolerance cannot make them inexact (Balas 1975; Nemhauser and Wolsey, chapter II.2).
"""

from collections.abc import Iterator

import numpy as np

from alignsolve.data.expert_bounds import ExpertBounds
from alignsolve.data.expert_sets import ExpertSets
from alignsolve.numerics import FEASIBILITY, BoolArray, FloatArray, IntArray, RealArray
from alignsolve.problem import AlignmentProblem
from alignsolve.solvers.common.sparse_rows import Row, Sense
from alignsolve.solvers.ilp.model import Model


def cuts(problem: AlignmentProblem, model: Model, taken: BoolArray) -> list[Row]:
    """Return rows that forbid a choice of pairs which breaks weighted bounds; none if all of these bounds hold.

    Parameters
    ----------
    problem, model
        The problem with the exact bounds, and its integer program.
    taken
        (num_pairs,) True for the chosen pairs.
    """
    sets = [] if problem.sets is None else _set_cuts(problem.sets, model, taken)
    experts = [*_expert_cuts(problem, model, taken), *_opening_cuts(problem, model, taken)]
    return [*experts, *sets, *_budget_cuts(problem, model, taken)]


def _expert_cuts(problem: AlignmentProblem, model: Model, taken: BoolArray) -> Iterator[Row]:
    order = np.argsort(model.experts, kind="stable")
    ends = np.searchsorted(model.experts[order], np.arange(problem.num_experts + 1))
    yield from _load_cuts(
        problem.experts, [order[ends[j] : ends[j + 1]] for j in range(problem.num_experts)], model, taken
    )


def _opening_cuts(problem: AlignmentProblem, model: Model, taken: BoolArray) -> Iterator[Row]:
    """Yield the cuts of experts whose load is above 0 and below their optional demand.

    If a chosen pair with a load is taken, so must be one of the pairs that cover the demand.
    """
    opening = problem.experts.opening
    for j in np.flatnonzero(opening > 0):
        columns = np.flatnonzero(model.experts == j)
        weight, mine = model.load[columns], taken[columns]
        total = weight[mine].sum()
        if total > 0 and _falls_short(total, opening[j]):
            cover = _demand_cover(columns, weight, mine, float(opening[j]))
            loading = columns[np.argmax(mine & (weight > 0))]
            yield Row(np.append(cover.columns, loading), np.append(cover.coefficients, -1.0), Sense.AT_LEAST, 0.0)


def _set_cuts(sets: ExpertSets, model: Model, taken: BoolArray) -> Iterator[Row]:
    yield from _load_cuts(sets.bounds, [np.flatnonzero(inside[model.experts]) for inside in sets.members], model, taken)


def _load_cuts(bounds: ExpertBounds, pairs: list[IntArray], model: Model, taken: BoolArray) -> Iterator[Row]:
    """Yield the cuts of experts, or of sets, given the pairs that load each."""
    for j in np.flatnonzero(bounds.hard_capacity | bounds.hard_demand):
        columns = pairs[j]
        weight, mine = model.load[columns], taken[columns]
        if bounds.hard_capacity[j] and _exceeds(weight[mine].sum(), bounds.most[j]):
            yield _cover(columns, weight, mine, float(bounds.most[j]))
        if bounds.hard_demand[j] and _falls_short(weight[mine].sum(), bounds.least[j]):
            yield _demand_cover(columns, weight, mine, float(bounds.least[j]))


def _budget_cuts(problem: AlignmentProblem, model: Model, taken: BoolArray) -> Iterator[Row]:
    if problem.client_budget is None:
        return
    ends = np.searchsorted(model.clients, np.arange(problem.num_clients + 1))
    for r in range(problem.client_budget.shape[1]):
        cost = problem.expert_cost[model.clients, model.experts, r]
        spent = np.bincount(model.clients[taken], weights=cost[taken], minlength=problem.num_clients)
        for i in np.flatnonzero(_exceeds(spent, problem.client_budget[:, r])):
            columns = np.arange(ends[i], ends[i + 1])
            yield _cover(columns, cost[columns], taken[columns], float(problem.client_budget[i, r]))


def _exceeds(total: RealArray, limit: FloatArray | float) -> BoolArray:
    """Return whether totals exceed limits by more than the documented tolerance."""
    return np.isfinite(limit) & (total - limit > FEASIBILITY * np.maximum(limit, total))


def _falls_short(total: RealArray, least: FloatArray | float) -> BoolArray:
    return least - total > FEASIBILITY * np.maximum(least, total)


def _cover(columns: IntArray, weight: FloatArray, mine: BoolArray, limit: float) -> Row:
    """Return the cover cut of a capacity: of these pairs, at most one fewer than the size of the cover.

    The cover consists of the heaviest chosen pairs, just enough to exceed the limit. Then the row is extended by all
    pairs that weigh at least as much as the heaviest of them.
    """
    chosen = np.flatnonzero(mine)
    heaviest_first = chosen[np.argsort(-weight[chosen], kind="stable")]
    size = int(np.argmax(_exceeds(np.cumsum(weight[heaviest_first]), limit))) + 1
    cover = heaviest_first[:size]
    extended = np.union1d(cover, np.flatnonzero(weight >= weight[cover[0]]))
    return Row(columns[extended], np.ones(len(extended)), Sense.AT_MOST, float(size - 1))


def _demand_cover(columns: IntArray, weight: FloatArray, mine: BoolArray, least: float) -> Row:
    """Return the cover cut of a demand: at least one of these pairs.

    The pairs that were not chosen are added to the chosen ones, lightest first, as long as the demand is not met. At
    least one of the remaining pairs must be taken.
    """
    rest = np.flatnonzero(~mine)
    lightest_first = rest[np.argsort(weight[rest], kind="stable")]
    reach = weight[mine].sum() + np.cumsum(weight[lightest_first])
    useless = int(_falls_short(reach, least).sum())
    needed = lightest_first[useless:]
    return Row(columns[needed], np.ones(len(needed)), Sense.AT_LEAST, 1.0)

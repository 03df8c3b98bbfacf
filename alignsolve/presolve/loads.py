"""Loads that are the same for all clients of an expert are counts of clients.

If every eligible client loads expert j by w_j > 0, then k clients load it by k·w_j, correctly rounded. Its capacity is
the largest k that holds within the tolerance, its demand the smallest, and a price per client is w_j times a price per
unit of load. Loads of experts without bounds do not matter.

Soft bounds are rewritten only if this is exact: the bound is a multiple of w_j, and so is the penalty. Elsewhere the
problem keeps its loads.
"""

from collections.abc import Callable

import numpy as np

from alignsolve.numerics import MAX_FLOAT, BoolArray, FloatArray, slack
from alignsolve.presolve.reduction import Reduction, Rewritten, able, changed, portions
from alignsolve.problem import AlignmentProblem


def count_loads(problem: AlignmentProblem) -> Reduction | None:
    """Replace equal loads by counts; None if some expert's loads differ, or a bound is none of a count."""
    if problem.client_load is None or problem.sets is not None:
        return None  # the load of a set is a sum over experts, whose loads may differ
    bounds = problem.experts
    bounded = np.isfinite(bounds.capacity) | (bounds.demand > 0) | (bounds.opening > 0)
    weight = _common_loads(problem, bounded)
    if weight is None:
        return None
    above = _counted(bounds.capacity, bounds.overload, weight, np.isfinite(bounds.overload + bounds.capacity))
    below = _counted(bounds.demand, bounds.shortfall, weight, np.isfinite(bounds.shortfall) & (bounds.demand > 0))
    if above is None or below is None:
        return None
    (capacity, overload), (demand, shortfall) = above, below
    capacity = np.where(bounds.hard_capacity, _most_clients(problem, weight), capacity)
    demand = np.where(bounds.hard_demand, _fewest_clients(problem, weight, bounds.least), demand)
    if (bounds.hard_demand & (demand > np.minimum(capacity, problem.num_clients))).any():
        return None  # the expert contradicts itself, of which the problem as given has the clearer witness
    fields = {
        "client_load": None,
        "expert_capacity": capacity,
        "expert_demand": demand,
        "overload_penalty": overload,
        "shortfall_penalty": shortfall,
    }
    if problem.optional_demand is not None:
        fields["optional_demand"] = np.where(bounds.opening > 0, _fewest_clients(problem, weight, bounds.opening), 0.0)
    unit = np.where(bounded, weight, 0.0)
    return Rewritten(changed(problem, **fields), "loads are counts of clients", proves_more=True, unit=unit)


def _common_loads(problem: AlignmentProblem, bounded: BoolArray) -> FloatArray | None:
    """The load that all clients put on an expert, (num_experts,), 1 where it does not matter; None if they differ."""
    low, high = np.full(problem.num_experts, np.inf), np.full(problem.num_experts, -np.inf)
    for rows in portions(problem):
        load, possible = problem.client_load[rows], able(problem, rows)
        low = np.minimum(low, np.where(possible, load, np.inf).min(axis=0))
        high = np.maximum(high, np.where(possible, load, -np.inf).max(axis=0))
        if (bounded & (low < high)).any():
            return None
    weight: FloatArray = np.where(bounded & np.isfinite(high), high, 1.0)
    return weight if (weight > 0).all() else None


def _counted(
    bound: FloatArray, penalty: FloatArray, weight: FloatArray, soft: BoolArray
) -> tuple[FloatArray, FloatArray] | None:
    """Soft bounds in clients and their penalties per client, others unchanged: (num_experts,); None unless exact."""
    count = np.where(soft, np.rint(bound / weight), bound)
    per_client = np.where(soft, penalty * np.where(soft, weight, 1.0), penalty)
    for j in np.flatnonzero(soft):
        if not _is_product(bound[j], count[j], weight[j]) or not _is_product(per_client[j], penalty[j], weight[j]):
            return None
    return count, per_client


def _is_product(product: float, factor: float, other: float) -> bool:
    """Whether a float is the exact product of two others, and of a size that a problem may have."""
    if not abs(product) <= MAX_FLOAT:
        return False
    (a, b), (c, d), (e, f) = (float(x).as_integer_ratio() for x in (product, factor, other))
    return a * d * f == c * e * b


def _most_clients(problem: AlignmentProblem, weight: FloatArray) -> FloatArray:
    """The largest number of clients whose load holds the expert's hard capacity, (num_experts,)."""
    most = problem.experts.most
    return _first_false(problem, lambda count: ~(count * weight - most > slack(most, count * weight))) - 1.0


def _fewest_clients(problem: AlignmentProblem, weight: FloatArray, least: FloatArray) -> FloatArray:
    """The smallest number of clients whose load meets a demand, (num_experts,): num_clients + 1 if none does."""
    return _first_false(problem, lambda count: least - count * weight > slack(least, count * weight))


def _first_false(problem: AlignmentProblem, true_at: Callable[[FloatArray], BoolArray]) -> FloatArray:
    """The first count of clients at which a condition fails, num_clients + 1 if it holds at all; by bisection."""
    low = np.full(problem.num_experts, -1.0)
    high = np.full(problem.num_experts, problem.num_clients + 1.0)
    while (high - low > 1.0).any():
        middle = np.floor((low + high) / 2.0)
        truth, between = true_at(middle), high - low > 1.0
        low, high = np.where(between & truth, middle, low), np.where(between & ~truth, middle, high)
    return high

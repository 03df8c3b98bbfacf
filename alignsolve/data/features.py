"""What kinds of problems there are, and what a problem can ask of a solver."""

from enum import StrEnum
from typing import Any

import numpy as np

from alignsolve.data.rows import distinct, whole_or_infinite


class ProblemClass(StrEnum):
    """What kind of optimisation problem an alignment is."""

    CARDINALITY = "cardinality"
    """Unit loads, no budgets, no crossing sets, no optional demands: a min-cost flow; prices prove optimality."""
    GENERAL = "general"
    """Weighted loads, budgets, crossing sets or optional demands: NP-hard; prices give a bound."""


class Feature(StrEnum):
    """A part of a problem that not every solver can handle."""

    FRACTIONAL_VALUES = "fractional values"
    ELIGIBILITY = "eligibility"
    REQUIRED_PAIRS = "required pairs"
    CLIENT_DEMANDS = "client demands"
    GROUPS = "groups"
    HARD_EXPERT_CAPACITIES = "hard expert capacities"
    HARD_EXPERT_DEMANDS = "hard expert demands"
    SOFT_BOUNDS = "soft bounds"
    SWITCHING_COSTS = "switching costs"
    WEIGHTED_LOADS = "weighted loads"
    BUDGETS = "budgets"
    SPARSE = "stored pairs"
    EXPERT_SETS = "sets of experts"
    CROSSING_SETS = "sets that cross"
    OPTIONAL_DEMANDS = "optional demands"


def features_of(problem: Any) -> frozenset[Feature]:
    """Return what an :class:`~alignsolve.AlignmentProblem` asks of a solver."""
    experts, sets = problem.experts, problem.sets
    soft_capacity = np.isfinite(problem.overload_penalty) & np.isfinite(problem.expert_capacity)
    soft_demand = np.isfinite(problem.shortfall_penalty) & (problem.expert_demand > 0)
    asks = {
        Feature.FRACTIONAL_VALUES: not problem.integral,
        Feature.ELIGIBILITY: problem.eligible is not None or problem.stored is not None,
        Feature.REQUIRED_PAIRS: problem.required is not None and bool(distinct(problem.required).any()),
        Feature.CLIENT_DEMANDS: bool(problem.client_demand.any()),
        Feature.GROUPS: problem.expert_group is not None,
        Feature.HARD_EXPERT_CAPACITIES: bool(experts.hard_capacity.any()),
        Feature.HARD_EXPERT_DEMANDS: bool(experts.hard_demand.any()),
        Feature.SOFT_BOUNDS: bool((soft_capacity | soft_demand).any()),
        Feature.SWITCHING_COSTS: problem.has_switching_costs,
        Feature.WEIGHTED_LOADS: problem.client_load is not None,
        Feature.BUDGETS: problem.client_budget is not None,
        Feature.SPARSE: problem.stored is not None,
        Feature.EXPERT_SETS: sets is not None,
        Feature.CROSSING_SETS: sets is not None and sets.crossing is not None,
        Feature.OPTIONAL_DEMANDS: bool(experts.opening.any()),
    }
    return frozenset(feature for feature, asked in asks.items() if asked)


def is_integral(problem: Any) -> bool:
    """Return whether every alignment's objective is a whole number."""
    data = [problem.switching_cost, problem.overload_penalty, problem.shortfall_penalty]
    if np.isfinite(problem.overload_penalty).any() or np.isfinite(problem.shortfall_penalty).any():
        data += [problem.expert_capacity, problem.expert_demand]
        data += [] if problem.client_load is None else [problem.client_load]
    if problem.sets is not None:
        bounds = problem.sets.bounds
        data += [bounds.overload, bounds.shortfall]
        if bounds.any_soft:
            data += [bounds.capacity, bounds.demand]
            data += [] if problem.client_load is None else [problem.client_load]
    return np.dtype(problem.fitness.dtype).kind in "iu" and all(whole_or_infinite(values) for values in data)

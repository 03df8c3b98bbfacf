"""What kinds of problems there are, and what a problem can ask of a solver."""

from enum import StrEnum


class ProblemClass(StrEnum):
    """What kind of optimisation problem an alignment is."""

    CARDINALITY = "cardinality"
    """Unit loads, no budgets: a min-cost flow; expert prices prove optimality."""
    GENERAL = "general"
    """Weighted loads or budgets: NP-hard; prices give a bound."""


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

"""Merging of inspected updates, expert by expert, with a choice of rules.

Each rule has its own file and is a pure function of stacked updates. :mod:`fedtrain.partial` calls this room, and users
may call it directly. Torch is not needed. It imports config and layouts.
"""

from fedtrain.aggregate.distance_filtered import distance_filtered
from fedtrain.aggregate.domain_aware import domain_aware
from fedtrain.aggregate.learned import learned
from fedtrain.aggregate.mean import mean
from fedtrain.aggregate.median import median
from fedtrain.aggregate.merge import RULES, WEIGHINGS, Score, aggregate
from fedtrain.aggregate.multi_krum import multi_krum
from fedtrain.aggregate.norm_matched import norm_matched
from fedtrain.aggregate.part import Memory, Part
from fedtrain.aggregate.trimmed_mean import trimmed_mean

__all__ = [
    "RULES",
    "WEIGHINGS",
    "Memory",
    "Part",
    "Score",
    "aggregate",
    "distance_filtered",
    "domain_aware",
    "learned",
    "mean",
    "median",
    "multi_krum",
    "norm_matched",
    "trimmed_mean",
]

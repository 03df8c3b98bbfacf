"""Merging of inspected updates, expert by expert, with a choice of rules.

Each rule has its own file and is a pure function of stacked updates. :mod:`fedtrain.partial` calls this room, and users
may call it directly. Torch is not needed. It imports config and layouts.
"""

from fedtrain.aggregate.mean import mean
from fedtrain.aggregate.median import median
from fedtrain.aggregate.merge import RULES, aggregate
from fedtrain.aggregate.multi_krum import multi_krum
from fedtrain.aggregate.trimmed_mean import trimmed_mean

__all__ = ["RULES", "aggregate", "mean", "median", "multi_krum", "trimmed_mean"]

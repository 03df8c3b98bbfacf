"""The core without a framework: give each client its part of a model's weights, and merge what comes back.

Weights are tensors by name, numpy's or torch's; a layout (:mod:`fedtrain.layouts`) tells which entries belong to which
expert. :func:`slice_weights` takes out a client's part, anybody trains it anywhere, and :func:`merge` inspects what
came back and averages it expert by expert. Nothing else of fedtrain is needed, and neither is torch.
"""

from fedtrain.partial.merging import Merged, merge
from fedtrain.partial.slicing import RouterRows, Traffic, assignments, slice_weights, traffic
from fedtrain.partial.update import PartialUpdate, find_fault

__all__ = [
    "Merged",
    "PartialUpdate",
    "RouterRows",
    "Traffic",
    "assignments",
    "find_fault",
    "merge",
    "slice_weights",
    "traffic",
]

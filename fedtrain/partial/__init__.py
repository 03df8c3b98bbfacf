"""The federated core without a framework: slice a model's weights, inspect what clients return, and merge it.

:func:`slice_weights` takes out a client's part by a layout (:mod:`fedtrain.layouts`), anybody trains it anywhere, and
:func:`merge` inspects the updates and merges them expert by expert. Weights are tensors by name, numpy's or torch's.

Anybody may call it; torch is not needed. It imports config, layouts and aggregate.
"""

from fedtrain.layouts import RouterRows
from fedtrain.partial.merging import Merged, merge
from fedtrain.partial.slicing import Traffic, assignments, slice_weights, traffic
from fedtrain.partial.update import Measured, PartialUpdate, find_fault

__all__ = [
    "Measured",
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

"""The federated core without a framework: slice a model's weights, inspect the clients' updates, and merge them.

:func:`slice_weights` copies a client's part of the weights by a layout (:mod:`fedtrain.layouts`). The client trains it
with any software. :func:`merge` inspects the updates and merges them expert by expert. Weights are numpy arrays or
torch tensors by name.

All rooms above and users may call it. Torch is not needed. It imports config, layouts and aggregate.
"""

from fedtrain.layouts import RouterRows
from fedtrain.partial.footprint import Footprint, footprint
from fedtrain.partial.geometry import geometry_of
from fedtrain.partial.merging import Merged, merge
from fedtrain.partial.slicing import Traffic, assignments, slice_weights, traffic
from fedtrain.partial.update import Measured, PartialUpdate, find_fault

__all__ = [
    "Footprint",
    "Measured",
    "Merged",
    "PartialUpdate",
    "RouterRows",
    "Traffic",
    "assignments",
    "find_fault",
    "footprint",
    "geometry_of",
    "merge",
    "slice_weights",
    "traffic",
]

"""The memory that training takes at a client, read from the tensors: of the shared part, and of each expert."""

import math
from typing import NamedTuple

import numpy as np

from alignsolve.numerics import IntArray
from fedtrain.layouts import Layout, RouterRows, Weights


class Footprint(NamedTuple):
    """Bytes of memory that training takes.

    Attributes
    ----------
    shared_bytes
        Bytes of what every client holds.
    expert_bytes
        (num_experts,) bytes of each expert, with its rows of the router if a client gets only its own rows.
    """

    shared_bytes: int
    expert_bytes: IntArray


def footprint(weights: Weights, layout: Layout, *, copies: int = 1, router_rows: RouterRows = "held") -> Footprint:
    """Return the memory that training takes, without activations.

    Parameters
    ----------
    weights
        The whole model's tensors by name; only their shapes and types are read.
    layout
        The model's layout, from :func:`fedtrain.layouts.detect`.
    copies
        How often each parameter is in memory: itself, its gradient, and what the optimiser keeps of it. 4 for Adam, 2
        for plain SGD, 1 for frozen weights.
    router_rows
        The rows of the router that the client gets.

    Examples
    --------
    >>> import numpy as np
    >>> from fedtrain.layouts import detect
    >>> weights = {f"experts.{j}.weight": np.zeros((2, 3)) for j in range(4)} | {"head.weight": np.zeros((5, 2))}
    >>> footprint(weights, detect(weights), copies=4)
    Footprint(shared_bytes=320, expert_bytes=array([192, 192, 192, 192]))
    """
    shared, experts = 0, np.zeros(layout.num_experts, dtype=np.int64)
    for name, value in weights.items():
        part = layout.travelling(name, router_rows)
        size = copies * math.prod(value.shape) * value.dtype.itemsize
        if part is None:
            shared += size
        elif part.axis is None:
            experts[part.first] += size
        else:
            experts[part.first : part.first + part.count] += size // part.count
    return Footprint(shared, experts)

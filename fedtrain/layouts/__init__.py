"""Layouts: which entries of which tensor belong to which expert; recognised by names and shapes.

All rooms may call it; torch is not needed. It imports nothing else of the package.
To add a layout, write a file with a function that reads it, and add a line to LAYOUTS.
"""

from collections.abc import Callable
from typing import NamedTuple

from fedtrain.layouts import fused, lora, modules, on_disk, transposed
from fedtrain.layouts.layout import Layout, LayoutError, Part, Piece, RouterRows, Weights, with_head


class Kind(NamedTuple):
    """A kind of layout.

    Attributes
    ----------
    read
        Function of a whole model's weights and of the number of experts per layer, if known. It returns the layout, or
        None if the weights have another kind of layout.
    looks_for
        Description of the names and shapes by which this kind is recognised.
    """

    read: Callable[[Weights, int | None], Layout | None]
    looks_for: str


LAYOUTS: dict[str, Kind] = {
    "lora": Kind(lora.read, lora.LOOKS_FOR),
    "fused-transposed": Kind(transposed.read, transposed.LOOKS_FOR),
    "fused": Kind(fused.read, fused.LOOKS_FOR),
    "on-disk": Kind(on_disk.read, on_disk.LOOKS_FOR),
    "modules": Kind(modules.read, modules.LOOKS_FOR),
}
"""Every kind of layout by name; the kinds are tried in this order."""


def detect(weights: Weights, name: str | None = None, *, num_experts: int | None = None) -> Layout:
    """Find the layout of a whole model's tensors, and its head by its name (:data:`fedtrain.layouts.layout.HEADS`).

    Parameters
    ----------
    weights
        Tensors by name; only names and shapes are read.
    name
        One of ``LAYOUTS``, to try only this kind; None tries all.
    num_experts
        Number of experts per layer. It is needed if the tensors do not show it (adapters alone). Otherwise it is
        checked against the tensors.

    Raises
    ------
    LayoutError
        If no layout fits; the message lists the names and shapes that were searched for.

    Examples
    --------
    >>> import numpy as np
    >>> weights = {f"experts.{j}.weight": np.zeros((2, 3)) for j in range(4)} | {"head.weight": np.zeros((5, 2))}
    >>> layout = detect(weights)
    >>> layout.name, layout.num_experts, "head.weight" in layout.parts
    ('modules', 4, False)
    """
    if name is not None and name not in LAYOUTS:
        raise LayoutError(f"there is no layout {name!r}; there are {', '.join(LAYOUTS)}")
    kinds = LAYOUTS if name is None else {name: LAYOUTS[name]}
    for kind in kinds.values():
        layout = kind.read(weights, num_experts)
        if layout is not None:
            return with_head(_checked(layout, num_experts), weights)
    looked_for = "\n".join(f"  {key}: {kind.looks_for}" for key, kind in kinds.items())
    raise LayoutError(f"no experts found among {_some(list(weights))}. Looked for\n{looked_for}")


def _checked(layout: Layout, num_experts: int | None) -> Layout:
    for layer, size in zip(layout.layers, layout.layer_sizes, strict=True):
        if num_experts not in (None, size):
            raise LayoutError(f"layer {layer!r} has {size} experts, not num_experts = {num_experts}")
    return layout


def _some(names: list[str], shown: int = 5) -> str:
    if not names:
        return "no tensors at all"
    return f"{len(names)} tensors ({', '.join(names[:shown])}{', …' if len(names) > shown else ''})"


__all__ = ["LAYOUTS", "Kind", "Layout", "LayoutError", "Part", "Piece", "RouterRows", "Weights", "detect", "with_head"]

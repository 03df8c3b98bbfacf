"""The classes of a layout: which entries of which tensor belong to which expert of a model.

There are three kinds of tensors. A tensor is shared, or belongs to one expert as a whole, or is divided among the
experts of its layer along one axis. In a divided tensor, each expert has a consecutive block or interleaved entries.
Experts are numbered across the layers: if every layer has E experts, expert e of the l-th MoE layer is l·E + e.
Slicing, checking, merging and counting bytes all follow from this table. So a new layout is one function that fills it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from alignsolve.numerics import IntArray

Weights: TypeAlias = Mapping[str, Any]
"""Tensors by name: numpy arrays or torch tensors. To read a layout, any values with a shape are enough."""

Place: TypeAlias = tuple[Any, ...]
"""An index: ``tensor[place]`` is a view of one expert's entries."""

HEADS = ("classifier", "lm_head", "head", "score", "fc")
"""Usual names of a model's classifier."""

RouterRows: TypeAlias = Literal["held", "all"]
"""The router's rows that a client exchanges: those of its own experts, or all, as if the router were shared."""


class Piece(NamedTuple):
    """The entries of one tensor that belong to one expert, or a whole shared tensor.

    Attributes
    ----------
    name
        Name of the tensor.
    expert
        Expert that the entries belong to; None: shared.
    whole, sliced
        Index of the entries in the whole model's tensor, and in a client's slice of it.
    """

    name: str
    expert: int | None
    whole: Place
    sliced: Place


class LayoutError(ValueError):
    """Weights whose experts cannot be found; the message says what was searched for, and what the weights contain."""


@dataclass(frozen=True)
class Part:
    """The division of one tensor among experts.

    Attributes
    ----------
    first, count
        The tensor belongs to the experts ``first .. first + count - 1``.
    axis
        Axis along which the tensor is divided; None if all of it belongs to one expert.
    interleaved
        False: expert e has a block of consecutive entries. True: it has every count-th entry, starting at the e-th.
    router
        Whether the tensor is part of the router, not of an expert itself.
    """

    first: int
    count: int = 1
    axis: int | None = None
    interleaved: bool = False
    router: bool = False

    def held(self, experts: Iterable[int]) -> list[int]:
        """Return those of the given experts that have entries in this tensor, counted from ``first``."""
        return [j - self.first for j in experts if self.first <= j < self.first + self.count]

    def width(self, shape: Sequence[int]) -> int:
        """Return the number of entries per expert along the axis.

        Raises
        ------
        LayoutError
            If the tensor has no such axis, or its length is not a multiple of the number of experts.
        """
        if self.axis is None:
            return 1
        if not 0 <= self.axis < len(shape) or shape[self.axis] % self.count:
            raise LayoutError(f"a tensor of shape {tuple(shape)} cannot be divided among {self.count} experts "
                              f"along axis {self.axis}: its length must be a multiple of their number")  # fmt: skip
        return shape[self.axis] // self.count

    def shape(self, shape: Sequence[int], number: int) -> tuple[int, ...]:
        """Return the tensor's shape with only ``number`` of its experts; ``shape`` is its shape with all of them."""
        if self.axis is None:
            return tuple(shape)
        return (*shape[: self.axis], number * self.width(shape), *shape[self.axis + 1 :])

    def place(self, position: int, number: int, width: int) -> Place:
        """Return the index of the expert at this position, in a tensor that holds ``number`` experts."""
        if self.axis is None:
            return (Ellipsis,)
        block = slice(position * width, (position + 1) * width)
        return (slice(None),) * self.axis + (slice(position, None, number) if self.interleaved else block,)


@dataclass(frozen=True)
class Layout:
    """The division of all tensors of a model among its experts.

    Attributes
    ----------
    name
        Name of the kind of layout.
    layers
        Name of every MoE layer, in order.
    layer_sizes
        Number of experts of every layer.
    parts
        Parts by tensor; tensors that are not named here are shared.
    head
        Name of the tensor of the classifier, which has a row per label: updates of it show the labels that a client
        holds, and whether clients mean the same by them (:func:`fedtrain.partial.geometry_of`). None: there is none.
    head_bias
        Name of the classifier's bias, with an entry per label; None: there is none.
    """

    name: str
    layers: tuple[str, ...]
    layer_sizes: tuple[int, ...]
    parts: Mapping[str, Part]
    head: str | None = None
    head_bias: str | None = None

    def __post_init__(self) -> None:
        """Refuse parts of experts that the layers do not have.

        Raises
        ------
        LayoutError
            If the names and sizes of the layers differ in number, a size is not a whole number of 1 or more, a part
            names other experts than those of the layers, or the head is not shared.
        """
        if len(self.layers) != len(self.layer_sizes):
            raise LayoutError(f"the layout has {len(self.layers)} layers and {len(self.layer_sizes)} sizes of layers")
        for layer, size in zip(self.layers, self.layer_sizes, strict=True):
            if not isinstance(size, int | np.integer) or size < 1:
                raise LayoutError(f"layer {layer!r} has {size!r} experts; it must be a whole number, 1 or more")
        for name, part in self.parts.items():
            if part.count < 1 or part.first < 0 or part.first + part.count > self.num_experts:
                raise LayoutError(f"{name} is part of the experts {part.first} .. {part.first + part.count - 1}; "
                                  f"the layout has {self.num_experts} experts")  # fmt: skip
        for field in ("head", "head_bias"):
            if getattr(self, field) in self.parts:
                raise LayoutError(f"{field} is {getattr(self, field)}, which belongs to experts; it must be shared")

    @classmethod
    def of(cls, name: str, sizes: Mapping[str, int], parts: Mapping[str, Part]) -> "Layout":
        """Make a layout from the sizes of its layers by name; a dot at the end of a layer's name is removed."""
        return cls(name, tuple(layer.rstrip(".") for layer in sizes), tuple(sizes.values()), parts)

    @property
    def num_experts(self) -> int:
        """Number of experts of all layers together."""
        return sum(self.layer_sizes)

    @property
    def expert_group(self) -> IntArray:
        """(num_experts,) each expert's layer, as :class:`alignsolve.AlignmentProblem` takes it."""
        return np.repeat(np.arange(len(self.layer_sizes)), self.layer_sizes)

    @property
    def first_experts(self) -> tuple[int, ...]:
        """Number of each layer's first expert."""
        return tuple(np.cumsum((0, *self.layer_sizes[:-1])).tolist())

    def check_experts(self, experts: Iterable[int]) -> tuple[int, ...]:
        """Return the given experts, ascending.

        Raises
        ------
        ValueError
            If an expert is named twice or does not exist.
        """
        chosen = sorted(int(j) for j in experts)
        if len(set(chosen)) < len(chosen):
            raise ValueError(f"experts {chosen}: one is named twice")
        if chosen and not 0 <= chosen[0] <= chosen[-1] < self.num_experts:
            raise ValueError(f"experts {chosen}: the model has experts 0..{self.num_experts - 1}")
        return tuple(chosen)

    def travelling(self, name: str, router_rows: RouterRows) -> Part | None:
        """Return how a tensor is divided when a client exchanges it; None if the client gets all of it."""
        part = self.parts.get(name)
        return None if part is None or (part.router and router_rows == "all") else part

    def pieces(self, weights: Weights, experts: Sequence[int], router_rows: RouterRows) -> Iterator[Piece]:
        """List the pieces of the whole model that a client with these experts, ascending, has, tensor by tensor."""
        for name, value in weights.items():
            part = self.travelling(name, router_rows)
            if part is None:
                yield Piece(name, None, (Ellipsis,), (Ellipsis,))
                continue
            held, width = part.held(experts), part.width(tuple(value.shape))
            for position, j in enumerate(held):
                whole, sliced = part.place(j, part.count, width), part.place(position, len(held), width)
                yield Piece(name, part.first + j, whole, sliced)

    def sliced_shapes(
        self, weights: Weights, experts: Sequence[int], router_rows: RouterRows
    ) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the tensors in a client's slice."""
        shapes = {}
        for name, value in weights.items():
            part, shape = self.travelling(name, router_rows), tuple(value.shape)
            if part is None:
                shapes[name] = shape
            elif part.axis is not None or part.held(experts):
                shapes[name] = part.shape(shape, len(part.held(experts)))
        return shapes


def with_head(layout: Layout, weights: Weights) -> Layout:
    """Return the layout with the model's head: the one shared tensor with a usual name and two axes, if there is one.

    Examples
    --------
    >>> weights = {"classifier.weight": np.zeros((3, 2)), "classifier.bias": np.zeros(3), "body": np.zeros(4)}
    >>> layout = with_head(Layout("mine", ("",), (1,), {"body": Part(0)}), weights)
    >>> layout.head, layout.head_bias
    ('classifier.weight', 'classifier.bias')
    """
    heads = [
        name
        for name, value in weights.items()
        if name not in layout.parts and name.removesuffix(".weight").rpartition(".")[2] in HEADS
        and name.endswith(".weight") and len(value.shape) == 2
    ]  # fmt: skip
    if len(heads) != 1:
        return layout
    bias = heads[0].removesuffix("weight") + "bias"
    fits = bias in weights and tuple(weights[bias].shape) == tuple(weights[heads[0]].shape[:1])
    return replace(layout, head=heads[0], head_bias=bias if fits else None)


def stacked(sizes: Mapping[str, int]) -> dict[str, int]:
    """Return the number of each layer's first expert, given the layers' sizes in order.

    Examples
    --------
    >>> stacked({"layers.0": 4, "layers.1": 8, "layers.2": 4})
    {'layers.0': 0, 'layers.1': 4, 'layers.2': 12}
    """
    ends = np.cumsum(list(sizes.values())).tolist()
    return {layer: end - sizes[layer] for layer, end in zip(sizes, ends, strict=True)}


def natural(name: str) -> tuple[tuple[bool, int, str], ...]:
    """Return a sort key for dotted names that compares numbers by value: layer 10 comes after layer 9.

    Examples
    --------
    >>> sorted(["layers.10.mlp", "layers.9.mlp"], key=natural)
    ['layers.9.mlp', 'layers.10.mlp']
    """
    return tuple((part.isdigit(), int(part) if part.isdigit() else 0, part) for part in name.split("."))


def divided(weights: Weights, name: str, first: int, count: int, *, axis: int = 0, **kind: bool) -> Part:
    """Return the part of a tensor that is divided along an axis, after a check of its shape.

    Raises
    ------
    LayoutError
        If the length of the axis is not a multiple of the layer's number of experts.
    """
    shape = tuple(weights[name].shape)
    if len(shape) <= axis or shape[axis] % count:
        raise LayoutError(
            f"{name} has shape {shape}; its axis {axis} must be a multiple of the layer's {count} experts"
        )
    return Part(first, count, axis, **kind)

"""What an architecture lets a client have: found by trying, so that a model is refused before anything is sent.

The names of tensors are not enough. So the model's tensors are compared with those of a model of the same config that
has one expert fewer. A tensor that became shorter belongs to the experts or to the router; all others are shared.
Then models with one expert per layer, with two, and so on, run on two tokens, until one does.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedConfig
from transformers.initialization import no_init_weights

from fedtrain.adapters.huggingface.local import Gauge, predict
from fedtrain.adapters.huggingface.models import AUTO, named_layout, weights_of
from fedtrain.adapters.huggingface.submodel import number_of_experts, sub_model, with_experts
from fedtrain.layouts import Layout, LayoutError, Part, Weights

Shape = tuple[int, ...]
UNFIT = (RuntimeError, IndexError, ValueError, TypeError, AttributeError, KeyError, NotImplementedError)
"""Errors of a model that has too few experts, or cannot have fewer at all."""


def layout_of(model: Any) -> Layout:
    """Return the layout of a whole model, with every tensor that depends on the number of experts.

    Raises
    ------
    LayoutError
        If the model has no experts, or tensors that cannot be divided among them. The message names the architecture,
        the layer, and the tensor.
    """
    weights, kind = weights_of(model), model.config.model_type
    named, number = named_layout(model), number_of_experts(model.config)
    if number is None:
        raise LayoutError(f"{kind}: the config does not tell the number of experts of all layers by one whole number")
    for layer, size in zip(named.layers, named.layer_sizes, strict=True):
        if size != number:
            tensor = next(name for name in named.parts if _layer_of(name, named) == layer)
            raise LayoutError(f"{kind}: {tensor} of {layer} seems to hold {size} experts; the config says {number}")
    if number == 1:
        return named
    fewer = _shapes_with(model.config, number - 1)
    parts = dict(named.parts)
    for name, value in weights.items():
        _refuse_numbers(kind, name, value, named)
        part = _part(kind, name, (tuple(value.shape), fewer.get(name, ())), named)
        if part is not None:
            parts[name] = part
    return replace(named, parts=parts)


def fewest_experts(model: Any, layout: Layout) -> int:
    """Return the smallest number of experts per layer with which a model of this architecture runs.

    Parameters
    ----------
    model
        The whole model. Its weights are read, not copied.
    layout
        Its layout, from :func:`layout_of`.

    Raises
    ------
    LayoutError
        If it does not run with fewer experts than it has, or does not tell which experts a token goes through.
    """
    weights, number = weights_of(model), layout.layer_sizes[0]
    told = "it has no experts to leave out"
    for count in range(1, number):
        try:
            _run(model.config, layout, weights, count)
        except UNFIT as error:
            first = next(iter(str(error).splitlines()), "")
            told = first if isinstance(error, LayoutError) else f"{type(error).__name__}: {first}"
        else:
            return count
    if number == 1:
        return 1
    raise LayoutError(f"{model.config.model_type}: no model with fewer experts than {number} in a layer runs: {told}")


def _shapes_with(config: PreTrainedConfig, count: int) -> dict[str, Shape]:
    """Return the shapes of the tensors of a model with this number of experts; it takes no memory."""
    changed = with_experts(config, count)
    try:
        with torch.device("meta"), no_init_weights():
            model = AUTO.from_config(changed)
    except UNFIT as error:
        raise LayoutError(f"{config.model_type}: no model with {count} experts can be made: {error}") from error
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


def _part(kind: str, name: str, shapes: tuple[Shape, Shape], named: Layout) -> Part | None:
    """Return the part of a tensor, from its shapes with all experts and with one fewer; None: it is shared."""
    (before, after), number, known = shapes, named.layer_sizes[0], named.parts.get(name)
    layer = _layer_of(name, named)
    where = f"{kind}: {name}" + (f" of layer {layer}" if layer else "")
    if before == after:
        if known is not None:
            raise LayoutError(f"{where} has shape {before} with any number of experts, so it is not divided among them")
        return None
    told = f"{where} has shape {before} with {number} experts, and {after or 'none'} with {number - 1}"
    axes = [axis for axis, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1]]
    if len(before) != len(after) or len(axes) != 1 or before[axes[0]] * (number - 1) != after[axes[0]] * number:
        raise LayoutError(f"{told}: it cannot be divided among them")
    if layer is None:
        raise LayoutError(f"{told}: it belongs to no layer of experts")
    if known is not None:
        if known.axis != axes[0]:
            raise LayoutError(f"{told}: it was taken to be divided along axis {known.axis}")
        return known
    first = named.first_experts[named.layers.index(layer)]
    return Part(first, number, axes[0], router=f"{layer}.experts." not in name)


def _layer_of(name: str, layout: Layout) -> str | None:
    """Return the layer of experts that a tensor lies in; None if it lies in none."""
    return max((layer for layer in layout.layers if name.startswith(f"{layer}.")), key=len, default=None)


def _refuse_numbers(kind: str, name: str, value: Tensor, layout: Layout) -> None:
    """Refuse a table of whole numbers in a layer of experts: it may hold the experts' numbers, which change."""
    layer = _layer_of(name, layout)
    if layer is not None and not value.is_floating_point():
        raise LayoutError(f"{kind}: {name} of layer {layer} holds whole numbers of shape {tuple(value.shape)}: "
                          "they may be numbers of experts, which a client's model counts anew")  # fmt: skip


def _run(config: Any, layout: Layout, weights: Weights, count: int) -> None:
    """Run a model with the first experts of each layer on two tokens, and see which experts they go through."""
    held = [first + e for first in layout.first_experts for e in range(count)]
    model = sub_model(config, layout, held, dict(_first(weights, layout, count)))
    model = model.to(next(iter(weights.values())).device).eval()  # what the model computes by itself is on the CPU
    gauge = Gauge(layout, held)
    with torch.no_grad(), gauge.watching(model):
        tokens = torch.ones((1, 2), dtype=torch.int64, device=model.device)
        losses, right = predict(model, tokens)
        gauge.add(tokens, losses, right)
    if not torch.isfinite(losses).all():
        raise LayoutError("its loss is not finite")


def _first(weights: Weights, layout: Layout, count: int) -> Iterator[tuple[str, Tensor]]:
    """Yield views of the tensors, of the first experts of each layer only."""
    for name, value in weights.items():
        part = layout.parts.get(name)
        if part is None or part.axis is None:
            yield name, value
        else:
            yield name, value.narrow(part.axis, 0, count * part.width(tuple(value.shape)))

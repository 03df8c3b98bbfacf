"""A client's model: the same architecture as the whole model, with the client's experts only.

Each MoE layer has only the experts that the client holds in it. A token is routed to as many experts as in the whole
model, or to all held experts if there are fewer. The router has the rows of the held experts only.

The client's model matches the whole model with its router masked to the held experts: a softmax over the held logits is
equal to a softmax over all logits with minus infinity for the others.

DeepSeek's models divide the experts into groups, which limit the number of devices that a token visits. If experts are
missing, the groups are joined into one, because a client is one device.
"""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn
from transformers import PreTrainedConfig
from transformers.initialization import no_init_weights

from alignsolve.numerics import IntArray
from fedtrain.adapters.huggingface.models import AUTO
from fedtrain.layouts import Layout, Weights

NUM_EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
"""Names of the number of experts in configs. Some configs have two of them."""

TOP_K = ("num_experts_per_tok", "moe_topk", "moe_k", "moe_top_k", "top_k_experts", "num_experts_per_token")
"""Names of the number of experts that a token is routed to."""

GROUPS = ("n_group", "topk_group")
"""Names of the number of groups of experts, and of the number of groups that a token is routed to."""


def sub_model(config: Any, layout: Layout, experts: Sequence[int], weights: Weights) -> Any:
    """Build a model with only these experts.

    Parameters
    ----------
    config
        The whole model's config; it is not changed.
    layout
        The whole model's layout.
    experts
        The held experts, numbered through the layers.
    weights
        The slice of these experts (:func:`fedtrain.partial.slice_weights`). Its tensors become the parameters without a
        copy, so training changes them.

    Raises
    ------
    ValueError
        If a layer has no expert, or the weights are not the slice of these experts.
    """
    counts = held_in_layers(layout, experts)
    refuse_too_few(config, layout, counts, 1)
    # Build the model without initial values, because the slice replaces them.
    with no_init_weights():
        model = AUTO.from_config(with_experts(config, int(counts[0])))
        # A config has one number of experts for all layers. Layers with another number come from another model.
        for count in np.setdiff1d(counts, counts[:1]).tolist():
            donor = AUTO.from_config(with_experts(config, count))
            for place in np.flatnonzero(counts == count).tolist():
                _replace(model, layout.layers[place], donor)
    # Put in the slice.
    _load(model, weights)
    return model


def held_in_layers(layout: Layout, experts: Sequence[int]) -> IntArray:
    """Return the number of these experts in each layer."""
    held = layout.expert_group[list(layout.check_experts(experts))]
    return np.bincount(held, minlength=len(layout.layers))


def refuse_too_few(config: Any, layout: Layout, counts: IntArray, fewest: int) -> None:
    """Raise an error if a layer has fewer experts than a forward pass needs.

    Raises
    ------
    ValueError
        It names the first such layer, and what to align with.
    """
    if counts.min() < fewest:
        layer = layout.layers[int(counts.argmin())]
        raise ValueError(
            f"layer {layer} has {counts.min()} of the client's experts; a {config.model_type} model needs {fewest} or "
            f"more in every layer: align with Aligner(layer_demand={fewest})"
        )


def number_of_experts(config: Any) -> int | None:
    """Return the number of experts of each layer that a config tells; None if it tells none, or one for each layer."""
    told = (getattr(part, name, None) for part in _configs(config) for name in NUM_EXPERTS)
    return next((count for count in told if isinstance(count, int)), None)


def with_experts(config: Any, count: int) -> Any:
    """Return a copy of a config with this number of experts per layer. If no expert is missing, nothing is changed."""
    sub = copy.deepcopy(config)
    for part in _configs(sub):
        names = [name for name in NUM_EXPERTS if isinstance(getattr(part, name, None), int)]
        if not names or getattr(part, names[0]) == count:
            continue
        for name in names:
            setattr(part, name, count)
        for name in TOP_K:
            if isinstance(getattr(part, name, None), int):
                setattr(part, name, min(getattr(part, name), count))
        for name in GROUPS:
            if getattr(part, name, None) is not None:
                setattr(part, name, 1)
    return sub


def _configs(config: Any) -> list[Any]:
    """Return a config and the configs within it."""
    inner = [value for value in vars(config).values() if isinstance(value, PreTrainedConfig)]
    return [config, *(part for value in inner for part in _configs(value))]


def _replace(model: nn.Module, layer: str, donor: nn.Module) -> None:
    """Replace a layer's block of experts by that of another model."""
    parent, _, name = layer.rpartition(".")
    setattr(model.get_submodule(parent), name, donor.get_submodule(layer))


def _load(model: Any, weights: Weights) -> None:
    """Make the weights the parameters of a model; raise an error if they do not fit."""
    tensors: dict[str, Tensor] = dict(weights)
    try:
        found = model.load_state_dict(tensors, strict=False, assign=True)
    except RuntimeError as error:  # a shape does not fit
        raise ValueError(f"not the weights of this model's slice: {error}") from error
    model.tie_weights()
    missing = set(found.missing_keys) - set(model.all_tied_weights_keys)
    if missing or found.unexpected_keys:
        raise ValueError(
            f"not the weights of this model's slice: missing {sorted(missing)}, unexpected {found.unexpected_keys}"
        )

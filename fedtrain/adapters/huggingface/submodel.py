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
from transformers.initialization import no_init_weights

from alignsolve.numerics import IntArray
from fedtrain.adapters.huggingface.models import AUTO
from fedtrain.layouts import Layout, Weights

NUM_EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts")
"""Names of the number of experts in configs. Some configs have two of them."""

TWO_BEST = ("deepseek_v3",)
"""Types of models whose router sums the scores of a group's two best experts, and so needs two experts."""


def fewest_experts(config: Any) -> int:
    """Return the smallest number of experts per layer that a forward pass needs."""
    return 2 if config.model_type in TWO_BEST else 1


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
        If a layer has too few experts for a forward pass, or the weights are not the slice of these experts.
    """
    counts = _counts(config, layout, experts)
    # Build the model without initial values, because the slice replaces them.
    with no_init_weights():
        model = AUTO.from_config(_with_experts(config, int(counts[0])))
        # A config has one number of experts for all layers. Replace the layers with another number.
        for layer, count in zip(layout.layers, counts.tolist(), strict=True):
            if count != counts[0]:
                _replace(model, layer, _with_experts(config, count))
    # Put in the slice.
    _load(model, weights)
    return model


def _counts(config: Any, layout: Layout, experts: Sequence[int]) -> IntArray:
    """Return the number of held experts in each layer; raise an error if a forward pass needs more."""
    held = layout.expert_group[list(layout.check_experts(experts))]
    counts = np.bincount(held, minlength=len(layout.layers))
    fewest = fewest_experts(config)
    if counts.min() < fewest:
        layer = layout.layers[int(counts.argmin())]
        raise ValueError(
            f"layer {layer} has {counts.min()} of the experts {list(experts)}; a {config.model_type} model needs "
            f"{fewest} or more in every layer: align with client_demand={fewest}"
        )
    return counts


def _with_experts(config: Any, count: int) -> Any:
    """Return a copy of a config with this number of experts per layer. If no expert is missing, nothing is changed."""
    sub = copy.deepcopy(config)
    names = [name for name in NUM_EXPERTS if getattr(sub, name, None) is not None]
    if count == getattr(sub, names[0]):
        return sub
    for name in names:
        setattr(sub, name, count)
    sub.num_experts_per_tok = min(sub.num_experts_per_tok, count)
    for name in ("n_group", "topk_group"):
        if getattr(sub, name, None) is not None:
            setattr(sub, name, 1)
    return sub


def _replace(model: nn.Module, layer: str, config: Any) -> None:
    """Replace the MoE block of a layer by one with the config's number of experts."""
    parent, _, name = layer.rpartition(".")
    block: Any = type(model.get_submodule(layer))
    setattr(model.get_submodule(parent), name, block(config))


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

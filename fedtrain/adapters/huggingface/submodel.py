"""A client's model: the same architecture, with the client's experts only.

Each MoE layer has as many experts as the client holds there, and routes a token to as many as the whole model does, or
to all that are held if those are fewer. With the held experts' rows of the router it computes what the whole model
computes whose router is masked to the same experts: a softmax over held logits is the softmax over all with minus
infinity elsewhere. DeepSeek's groups of experts, which bound the devices that a token visits, are joined into one where
experts are missing: a client is one device.
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
"""What configs call the number of experts; some have two names for it."""

TWO_BEST = ("deepseek_v3",)
"""Models whose router adds up the two best experts of a group, and so needs two."""


def fewest_experts(config: Any) -> int:
    """Fewest experts that a client must hold in every layer to run a forward pass."""
    return 2 if config.model_type in TWO_BEST else 1


def sub_model(config: Any, layout: Layout, experts: Sequence[int], weights: Weights) -> Any:
    """Build a model with only these experts.

    Parameters
    ----------
    config
        The whole model's; not changed.
    layout
        The whole model's.
    experts
        Held experts, numbered through the layers.
    weights
        Their slice (:func:`fedtrain.partial.slice_weights`). These tensors themselves become the parameters: no copy is
        made, and training changes them.

    Raises
    ------
    ValueError
        If a layer has too few experts to run a forward pass, or the weights are not this slice.
    """
    counts = _counts(config, layout, experts)
    with no_init_weights():  # memory is reserved and never touched: the slice takes its place
        model = AUTO.from_config(_with_experts(config, int(counts[0])))
        for layer, count in zip(layout.layers, counts.tolist(), strict=True):
            if count != counts[0]:
                _replace(model, layer, _with_experts(config, count))
    _load(model, weights)
    return model


def _counts(config: Any, layout: Layout, experts: Sequence[int]) -> IntArray:
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
    """Copy a config, with this number of experts per layer; all of them leave it as it is."""
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
    """Put an MoE block with another number of experts in its place."""
    parent, _, name = layer.rpartition(".")
    block: Any = type(model.get_submodule(layer))
    setattr(model.get_submodule(parent), name, block(config))


def _load(model: Any, weights: Weights) -> None:
    tensors: dict[str, Tensor] = dict(weights)
    try:
        found = model.load_state_dict(tensors, strict=False, assign=True)
    except RuntimeError as error:  # names that fit with shapes that do not
        raise ValueError(f"not the weights of this model's slice: {error}") from error
    model.tie_weights()
    missing = set(found.missing_keys) - set(model.all_tied_weights_keys)
    if missing or found.unexpected_keys:
        raise ValueError(
            f"not the weights of this model's slice: missing {sorted(missing)}, unexpected {found.unexpected_keys}"
        )

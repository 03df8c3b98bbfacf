"""Layout of fused experts: all experts of a layer are stacked along an additional first axis.

The transformers library holds Mixtral, OLMoE, Qwen-MoE and DeepSeek in memory like this. With E experts, hidden width I
and model width H, ``mlp.experts.gate_up_proj`` is (E, 2I, H), ``mlp.experts.down_proj`` is (E, H, I), and
``mlp.gate.weight`` is (E, H). DeepSeek's ``e_score_correction_bias`` belongs to the router too. Shared experts
(``mlp.shared_experts.…``) count as shared tensors.
"""

import re

from fedtrain.layouts.layout import Layout, LayoutError, Part, Weights, divided, natural, stacked

LOOKS_FOR = "tensors of all experts, '….experts.gate_up_proj' (E, 2I, H) beside '….gate.weight' (E, H)"
EXPERTS = re.compile(r"(?P<layer>(?:.*\.)?)experts\.(?P<leaf>[A-Za-z_]\w*)")
ROUTER = re.compile(r"(?P<layer>(?:.*\.)?)(?:router|gate)\.(?:weight|bias|e_score_correction_bias)")


def read(weights: Weights, num_experts: int | None = None) -> Layout | None:
    """Read the layout of a whole model's weights; return None if it is of another kind.

    Raises
    ------
    LayoutError
        If the tensors of a layer differ in their number of experts.
    """
    return read_fused("fused", weights)


def read_fused(name: str, weights: Weights) -> Layout | None:
    """Read a layout whose experts' tensors are stacked along their first axis."""
    found = {key: match["layer"] for key in weights if (match := EXPERTS.fullmatch(key))}
    sizes = layer_sizes(weights, found)
    if not sizes:
        return None
    first = stacked(sizes)
    parts = {key: Part(first[layer], sizes[layer], axis=0) for key, layer in found.items()}
    return Layout.of(name, sizes, parts | router_parts(weights, sizes))


def layer_sizes(weights: Weights, found: dict[str, str]) -> dict[str, int]:
    """Return the number of experts of each layer, layers in order; ``found`` maps each stacked tensor to its layer."""
    sizes: dict[str, int] = {}
    for key, layer in found.items():
        shape = tuple(weights[key].shape)
        if not shape or sizes.setdefault(layer, shape[0]) != shape[0]:
            raise LayoutError(f"{key} has shape {shape}; other tensors of the layer have {sizes.get(layer)} experts")
    return {layer: sizes[layer] for layer in sorted(sizes, key=natural)}


def router_parts(weights: Weights, sizes: dict[str, int]) -> dict[str, Part]:
    """Find the routers of these layers; a router has one row per expert."""
    first = stacked(sizes)
    matches = {key: match["layer"] for key in weights if (match := ROUTER.fullmatch(key))}
    return {
        key: divided(weights, key, first[layer], sizes[layer], router=True)
        for key, layer in matches.items()
        if layer in sizes
    }

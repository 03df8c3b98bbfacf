"""Layout of PEFT's LoRA on fused experts (``target_parameters``): A in blocks of rows, B in interleaved columns.

For a fused tensor of E experts and rank r, ``lora_A.weight`` is (r·E, in), and expert e has the rows e·r to (e+1)·r.
``lora_B.weight`` is (out, r·E), and expert e has every E-th column, starting at the e-th. Two adapted tensors of one
module are two nested wrappers: ``experts.base_layer.lora_A`` beside ``experts.lora_A``.

E cannot be computed from r·E alone. It is read from the fused tensors if they are among the weights. Otherwise it must
be given. Adapters of other modules are shared.
"""

import re

from fedtrain.layouts.fused import layer_sizes, router_parts
from fedtrain.layouts.layout import Layout, LayoutError, Part, Weights, divided, natural, stacked

LOOKS_FOR = (
    "PEFT's adapters of fused experts, '….experts.lora_A.weight' (r·E, in) and '….experts.lora_B.weight' (out, r·E)"
)
ADAPTER = re.compile(r"(?P<layer>(?:.*\.)?)experts\.(?:base_layer\.)*lora_(?P<side>[AB])\.(?:\w+\.)?weight")
FUSED = re.compile(r"(?P<layer>(?:.*\.)?)experts\.(?:base_layer\.)*(?!lora_|base_layer)[A-Za-z_]\w*")


def read(weights: Weights, num_experts: int | None = None) -> Layout | None:
    """Read the layout of a whole model's adapters; return None if it is of another kind.

    Parameters
    ----------
    weights
        Tensors by name, from ``peft.get_peft_model_state_dict`` (adapters alone) or from the whole adapted model.
    num_experts
        Number of experts per layer; needed if the fused tensors are not among the weights.

    Raises
    ------
    LayoutError
        If the number of experts is not known, or the rank is not the same for all experts of a tensor.
    """
    # Find the adapters, and the fused tensors that they adapt.
    adapters = {key: match for key in weights if (match := ADAPTER.fullmatch(key))}
    if not adapters:
        return None
    fused = {key: match["layer"] for key in weights if (match := FUSED.fullmatch(key))}
    adapted = [match["layer"] for match in adapters.values()]
    sizes = _all_sizes(layer_sizes(weights, fused), adapted, num_experts)
    first = stacked(sizes)
    # Fused tensors and A are divided along the first axis, B along the second.
    parts = {key: Part(first[layer], sizes[layer], axis=0) for key, layer in fused.items()}
    for key, match in adapters.items():
        layer, outer = match["layer"], match["side"] == "B"
        parts[key] = divided(weights, key, first[layer], sizes[layer], axis=int(outer), interleaved=outer)
    return Layout.of("lora", sizes, parts | router_parts(weights, sizes))


def _all_sizes(known: dict[str, int], adapted: list[str], num_experts: int | None) -> dict[str, int]:
    sizes = {layer: known.get(layer, num_experts) for layer in {*known, *adapted}}
    if None in sizes.values():
        raise LayoutError("adapters alone do not tell how many experts a layer has: pass num_experts")
    return {layer: size for layer in sorted(sizes, key=natural) if (size := sizes[layer]) is not None}

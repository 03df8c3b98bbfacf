"""Layout of fused experts whose matrices are transposed: (E, in, out) instead of (E, out, in), as in GPT-OSS.

``mlp.experts.gate_up_proj`` is (E, H, 2I) and ``mlp.experts.down_proj`` is (E, I, H); each has its own bias. The router
is ``mlp.router.weight`` (E, H) with ``mlp.router.bias`` (E,). The experts are stacked along the first axis, as in
:mod:`.fused`. Only the order of the other two axes differs.
"""

from fedtrain.layouts.fused import EXPERTS, read_fused
from fedtrain.layouts.layout import Layout, Weights

LOOKS_FOR = "transposed tensors of all experts, '….experts.gate_up_proj' (E, H, 2I) and '….experts.down_proj' (E, I, H)"


def read(weights: Weights, num_experts: int | None = None) -> Layout | None:
    """Read the layout of a whole model's weights; return None if it is of another kind."""
    layers = {match["layer"] for key in weights if (match := EXPERTS.fullmatch(key))}
    if not layers or not all(_is_transposed(weights, f"{layer}experts.") for layer in layers):
        return None
    return read_fused("fused-transposed", weights)


def _is_transposed(weights: Weights, experts: str) -> bool:
    up, down = (weights.get(f"{experts}{leaf}") for leaf in ("gate_up_proj", "down_proj"))
    if up is None or down is None or not len(up.shape) == len(down.shape) == 3:
        return False
    return up.shape[2] == 2 * down.shape[1] and up.shape[1] == down.shape[2]

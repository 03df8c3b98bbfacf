"""Small weights in every layout, each entry marked with its expert."""

import numpy as np

from fedtrain.layouts import detect

NUM_EXPERTS, RANK = 4, 2
LAYERS = (0, 1)


def shared():
    return {"model.embed_tokens.weight": np.zeros((10, 8)), "model.norm.weight": np.zeros(8)}


def modules():
    weights = shared()
    for layer in LAYERS:
        for j in range(NUM_EXPERTS):
            weights[f"blocks.{layer}.experts.{j}.0.weight"] = np.zeros((6, 8))
            weights[f"blocks.{layer}.experts.{j}.0.bias"] = np.zeros(6)
            weights[f"blocks.{layer}.router.{j}"] = np.zeros(8)
    return weights


def on_disk():
    weights = shared()
    for layer in LAYERS:
        moe = f"model.layers.{layer}.block_sparse_moe"
        weights[f"{moe}.gate.weight"] = np.zeros((NUM_EXPERTS, 8))
        for j in range(NUM_EXPERTS):
            for matrix, shape in {"w1": (6, 8), "w2": (8, 6), "w3": (6, 8)}.items():
                weights[f"{moe}.experts.{j}.{matrix}.weight"] = np.zeros(shape)
    return weights


def fused(hidden=8, inner=6):
    weights = shared()
    for layer in LAYERS:
        mlp = f"model.layers.{layer}.mlp"
        weights |= {
            f"{mlp}.experts.gate_up_proj": np.zeros((NUM_EXPERTS, 2 * inner, hidden)),
            f"{mlp}.experts.down_proj": np.zeros((NUM_EXPERTS, hidden, inner)),
            f"{mlp}.gate.weight": np.zeros((NUM_EXPERTS, hidden)),
            f"{mlp}.gate.e_score_correction_bias": np.zeros(NUM_EXPERTS),
            f"{mlp}.shared_experts.gate_proj.weight": np.zeros((inner, hidden)),
            f"{mlp}.shared_expert_gate.weight": np.zeros((1, hidden)),
        }
    return weights


def transposed(hidden=8, inner=6):
    weights = shared()
    for layer in LAYERS:
        mlp = f"model.layers.{layer}.mlp"
        weights |= {
            f"{mlp}.experts.gate_up_proj": np.zeros((NUM_EXPERTS, hidden, 2 * inner)),
            f"{mlp}.experts.gate_up_proj_bias": np.zeros((NUM_EXPERTS, 2 * inner)),
            f"{mlp}.experts.down_proj": np.zeros((NUM_EXPERTS, inner, hidden)),
            f"{mlp}.experts.down_proj_bias": np.zeros((NUM_EXPERTS, hidden)),
            f"{mlp}.router.weight": np.zeros((NUM_EXPERTS, hidden)),
            f"{mlp}.router.bias": np.zeros(NUM_EXPERTS),
        }
    return weights


def adapters():
    """Return adapters as ``peft.get_peft_model_state_dict`` does: two nested wrappers, and an adapter of no expert."""
    weights = {}
    for layer in LAYERS:
        model = f"base_model.model.model.layers.{layer}"
        weights |= {
            f"{model}.mlp.experts.base_layer.lora_A.weight": np.zeros((RANK * NUM_EXPERTS, 8)),
            f"{model}.mlp.experts.base_layer.lora_B.weight": np.zeros((12, RANK * NUM_EXPERTS)),
            f"{model}.mlp.experts.lora_A.weight": np.zeros((RANK * NUM_EXPERTS, 6)),
            f"{model}.mlp.experts.lora_B.weight": np.zeros((8, RANK * NUM_EXPERTS)),
            f"{model}.self_attn.q_proj.lora_A.weight": np.zeros((RANK, 8)),
        }
    return weights


EXAMPLES = {
    "modules": modules,
    "on-disk": on_disk,
    "fused": fused,
    "fused-transposed": transposed,
    "lora": adapters,
}


def marked(weights):
    """Mark each entry with the number of its expert, -1 if shared; return the layout, too.

    The marks do not come from the layout: they are written by hand, name by name.
    """
    layout = detect(weights, num_experts=NUM_EXPERTS)
    return {name: _marks(name, value) for name, value in weights.items()}, layout


def _marks(name, value):
    marks = np.full(value.shape, -1)
    parts = name.split(".")
    numbers = [int(part) for part in parts if part.isdigit()]
    first = NUM_EXPERTS * numbers[0] if numbers else 0
    own = "experts" in parts or "gate" in parts or "router" in parts
    if own and len(numbers) >= 2:
        return np.full(value.shape, first + numbers[1])
    if own:
        for e in range(NUM_EXPERTS):
            if "lora_A" in parts:
                marks[e * RANK : (e + 1) * RANK] = first + e
            elif "lora_B" in parts:
                marks[:, e::NUM_EXPERTS] = first + e
            else:
                marks[e] = first + e
    return marks

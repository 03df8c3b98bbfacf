"""A tiny model with random weights of every architecture with experts that the installed transformers has."""

import re
from collections.abc import Iterator
from typing import Any

import transformers
from transformers import CONFIG_MAPPING, PreTrainedConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

transformers.logging.set_verbosity_error()

NUM_EXPERTS, NUM_LAYERS, VOCABULARY, PER_TOKEN = 6, 2, 48, 3
COUNTS = re.compile(r"(num|n|moe)_.*experts|(layers_)?num_experts")
"""Fields of a config that count experts."""
TINY: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "intermediate_size": 24,
    "intermediate_size_mlp": 24,
    "moe_intermediate_size": 12,
    "expert_ffn_hidden_size": 12,
    "ffn_hidden_size": 24,
    "shared_expert_intermediate_size": 20,
    "moe_shared_expert_intermediate_size": 20,
    "shared_intermediate_size": 20,
    "num_hidden_layers": NUM_LAYERS,
    "num_layers": NUM_LAYERS,
    "num_dense_layers": 0,
    "first_k_dense_replace": 0,
    "moe_layer_start_index": 0,
    "num_nextn_predict_layers": 0,
    "expert_layer_period": 1,
    "expert_layer_offset": 0,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "head_dim": 8,
    "qk_head_dim": 8,
    "kv_channels": 8,
    "q_lora_rank": 8,
    "kv_lora_rank": 8,
    "qk_rope_head_dim": 4,
    "qk_nope_head_dim": 4,
    "v_head_dim": 8,
    "o_groups": 2,
    "o_lora_rank": 8,
    "index_n_heads": 2,
    "index_head_dim": 8,
    "index_topk": 64,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "mlp_layer_types": ["sparse"] * NUM_LAYERS,
    "mamba_num_heads": 4,
    "mamba_head_dim": 8,
    "mamba_n_heads": 4,
    "mamba_d_head": 8,
    "mamba_d_state": 4,
    "mamba_n_groups": 1,
    "ssm_state_size": 4,
    "n_groups": 1,
    "chunk_size": 4,
    "router_hidden_size": 8,
    "max_position_embeddings": 64,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": None,
    "n_group": 2,
    "topk_group": 1,
    "num_experts_per_tok": PER_TOKEN,
    "moe_topk": PER_TOKEN,
    "moe_k": PER_TOKEN,
    "moe_top_k": PER_TOKEN,
    "top_k_experts": PER_TOKEN,
    "num_experts": NUM_EXPERTS,
    "num_local_experts": NUM_EXPERTS,
    "n_routed_experts": NUM_EXPERTS,
    "moe_num_experts": NUM_EXPERTS,
    "router_jitter_noise": 0.0,
    "input_jitter_noise": 0.0,
    "use_mamba_kernels": False,
    "initializer_range": 0.3,  # far enough from 0 that experts and routers matter
}
"""Values for every config that has the field."""
OWN: dict[str, dict[str, Any]] = {
    "dots1": {"moe_intermediate_size": 12, "n_shared_experts": 1},
    "dbrx": {
        **{"d_model": 16, "n_heads": 4, "n_layers": NUM_LAYERS, "attn_config": {"kv_n_heads": 4, "rope_theta": 1e4}},
        "ffn_config": {"ffn_hidden_size": 24, "moe_num_experts": NUM_EXPERTS, "moe_top_k": PER_TOKEN},
    },
    "deepseek_v4": {"mlp_layer_types": None},
    "doge": {"is_moe": True, "num_experts": 16, "num_experts_per_tok": 2},
    "dots3_note": {"audio_config": {"adapter_out_dim": 16}},
    "dots3_note_vision_encoder": {"adapter_in_dim": 16, "adapter_out_dim": 16},
    "flint": {"mlp_only_layers": []},
    "gemma4_text": {"enable_moe_block": True, "hidden_size_per_layer_input": 0, "pad_token_id": 0},
    "kimi_linear": {"linear_head_dim": 8, "linear_num_heads": 2},
    "lfm2_moe": {"layer_types": ["full_attention", "conv"]},
    "mimo_v2_flash": {"head_dim": 12, "num_key_value_heads": 2},
    "zaya": {"num_experts_per_tok": 1},
}
"""Values of one architecture."""


def kinds() -> Iterator[str]:
    """Yield the types of all models of transformers whose config counts experts."""
    for kind in CONFIG_MAPPING:
        if counts(CONFIG_MAPPING[kind]):
            yield kind


def counts(config: type[PreTrainedConfig]) -> bool:
    """Whether a config, or one within it, counts experts."""
    own = any(COUNTS.fullmatch(name) for name in fields_of(config))
    return own or any(map(counts, inner(config).values()))


def inner(config: type[PreTrainedConfig]) -> dict[str, type[PreTrainedConfig]]:
    """Return the kinds of configs within a config, by field."""
    given = config.sub_configs.items()
    return {name: each for name, each in given if isinstance(each, type) and issubclass(each, PreTrainedConfig)}


def is_causal(kind: str) -> bool:
    """Whether transformers has a causal language model of this type."""
    return kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES


def fields_of(config: type[PreTrainedConfig]) -> set[str]:
    """Return the names that a config has by itself."""
    return {name for each in config.__mro__ for name in vars(each).get("__annotations__", {})}


def tiny(kind: str) -> PreTrainedConfig:
    """Make a tiny config of this type; of what is no causal language model the usual one, which is not built."""
    config = CONFIG_MAPPING[kind]
    return _tiny(config) if is_causal(kind) else config()


def _tiny(config: type[PreTrainedConfig]) -> PreTrainedConfig:
    given = {name: value for name, value in TINY.items() if name in fields_of(config)}
    given |= {name: _tiny(each) for name, each in inner(config).items() if counts(each)}
    return config(**given | OWN.get(config.model_type, {}))

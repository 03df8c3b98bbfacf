"""Tiny transformers with random weights, one for each family with a different layout."""

import transformers
from transformers import (
    DeepseekV2Config,
    DeepseekV3Config,
    GptOssConfig,
    MixtralConfig,
    OlmoeConfig,
    Qwen2MoeConfig,
    Qwen3MoeConfig,
)

transformers.logging.set_verbosity_error()

NUM_EXPERTS, NUM_LAYERS, VOCABULARY = 6, 2, 48
COMMON = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": NUM_LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "max_position_embeddings": 64,
    "num_experts_per_tok": 3,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": None,
    "initializer_range": 0.3,  # far enough from 0 that experts and routers matter
}
LATENT = {"q_lora_rank": 8, "kv_lora_rank": 8, "qk_rope_head_dim": 4, "qk_nope_head_dim": 4, "v_head_dim": 4}

CONFIGS = {
    "mixtral": lambda: MixtralConfig(**COMMON, num_local_experts=NUM_EXPERTS),
    "olmoe": lambda: OlmoeConfig(**COMMON, num_experts=NUM_EXPERTS),
    "qwen2_moe": lambda: Qwen2MoeConfig(
        **COMMON, num_experts=NUM_EXPERTS, moe_intermediate_size=12, shared_expert_intermediate_size=20
    ),
    "qwen3_moe": lambda: Qwen3MoeConfig(**COMMON, num_experts=NUM_EXPERTS, moe_intermediate_size=12, head_dim=4),
    "deepseek_v2": lambda: DeepseekV2Config(
        **COMMON, **LATENT, n_routed_experts=NUM_EXPERTS, moe_intermediate_size=12, first_k_dense_replace=0
    ),
    "deepseek_v3": lambda: DeepseekV3Config(
        **COMMON,
        **LATENT,
        n_routed_experts=NUM_EXPERTS,
        moe_intermediate_size=12,
        n_group=1,
        topk_group=1,
        first_k_dense_replace=0,
    ),
    "gpt_oss": lambda: GptOssConfig(**COMMON, num_local_experts=NUM_EXPERTS, head_dim=4),
}

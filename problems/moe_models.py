"""The shapes of public Mixture-of-Experts language models: MoE layers, experts, and bytes of an expert.

Source: the ``config.json`` that each model is published with on Hugging Face (num_hidden_layers, less the dense layers
of first_k_dense_replace; the number of routed experts; num_experts_per_tok; hidden_size; moe_intermediate_size, or
intermediate_size where all layers are MoE layers).
"""

from dataclasses import dataclass

MATRICES = 3
"""Weight matrices of an expert with a gated unit: gate, up and down."""
BYTES = 2
"""Bytes of a parameter in bfloat16."""


@dataclass(frozen=True)
class MoeModel:
    """The shape of a model.

    Attributes
    ----------
    num_layers
        Number of MoE layers.
    num_experts
        Number of routed experts of a layer; experts that all tokens share are not counted.
    hidden, inner
        Width of the model, and of an expert.
    active
        Number of routed experts of a layer that a token gets.
    """

    num_layers: int
    num_experts: int
    hidden: int
    inner: int
    active: int

    @property
    def expert_bytes(self) -> int:
        """Bytes of an expert's weight matrices in bfloat16."""
        return MATRICES * self.hidden * self.inner * BYTES


MODELS = {
    "mixtral-8x7b": MoeModel(32, 8, 4096, 14336, 2),  # mistralai/Mixtral-8x7B-v0.1
    "olmoe-1b-7b": MoeModel(16, 64, 2048, 1024, 8),  # allenai/OLMoE-1B-7B-0924
    "qwen3-30b-a3b": MoeModel(48, 128, 2048, 768, 8),  # Qwen/Qwen3-30B-A3B
    "gpt-oss-120b": MoeModel(36, 128, 2880, 2880, 4),  # openai/gpt-oss-120b, published in 4 bits (MXFP4)
    "deepseek-v3": MoeModel(58, 256, 7168, 2048, 8),  # deepseek-ai/DeepSeek-V3: 61 layers, 3 of them dense
    "kimi-k2": MoeModel(60, 384, 7168, 2048, 8),  # moonshotai/Kimi-K2-Instruct: 61 layers, 1 of them dense
}
"""Every model by name."""

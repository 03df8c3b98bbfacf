"""The ``model`` section of a configuration: which kind of Mixture-of-Experts, and its sizes."""

from dataclasses import dataclass

from fedtrain.config.checks import at_least, check, check_fields, one_of

MODEL_KINDS = ("mlp", "conv", "transformer")
"""What ``model.kind`` may be; :data:`fedtrain.models.MODELS` makes them."""


@dataclass(frozen=True)
class ModelConfig:
    """Kind and sizes of the Mixture-of-Experts.

    Attributes
    ----------
    kind
        ``mlp`` (:mod:`fedtrain.models.mlp`), ``conv`` for images (:mod:`fedtrain.models.conv`), ``transformer`` for
        text (:mod:`fedtrain.models.transformer`).
    num_features
        Width on which router and experts work.
    num_hidden
        Width within an expert; maps within one that convolves.
    num_experts
        Of each layer.
    top_k
        Experts of a layer that a prediction is routed to.
    num_channels
        Of ``conv``: maps of its extractor.
    experts
        Of ``conv``: ``mlp``, experts on features; ``conv``, on maps.
    num_layers, num_heads
        Of ``transformer``: blocks, each with a layer of experts, and heads of their attention.
    """

    kind: str = one_of("mlp", MODEL_KINDS)
    num_features: int = at_least(1, 128)
    num_hidden: int = at_least(1, 64)
    num_experts: int = at_least(1, 8)
    top_k: int = at_least(1, 2)
    num_channels: int = at_least(1, 16)
    experts: str = one_of("mlp", ("mlp", "conv"))
    num_layers: int = at_least(1, 2)
    num_heads: int = at_least(1, 4)

    def __post_init__(self) -> None:
        check_fields(self, "model.")
        check("model.top_k", self.top_k, self.top_k <= self.num_experts, f"at most the {self.num_experts} experts")
        divides = self.kind != "transformer" or self.num_features % self.num_heads == 0
        check("model.num_heads", self.num_heads, divides, f"a divisor of model.num_features, {self.num_features}")

"""The ``model`` section of a configuration: the kind of Mixture-of-Experts, and its sizes."""

from dataclasses import dataclass

from fedtrain.config.checks import at_least, check, check_fields, one_of, one_of_or_function

MODEL_KINDS = ("mlp", "conv", "transformer")
"""Values of ``model.kind``; :data:`fedtrain.models.MODELS` makes the models."""


@dataclass(frozen=True)
class ModelConfig:
    """Kind and sizes of the Mixture-of-Experts.

    Attributes
    ----------
    kind
        ``mlp`` (:mod:`fedtrain.models.mlp`), ``conv`` for images (:mod:`fedtrain.models.conv`), ``transformer`` for
        text (:mod:`fedtrain.models.transformer`). Or a function of your own, ``file.py:function``: of this section and
        the test examples, which returns a :class:`fedtrain.models.ModelSpec`.
    num_features
        Width of the features that router and experts read.
    num_hidden
        Width of an expert's hidden layer; in a convolutional expert, the number of maps.
    num_experts
        Number of experts in each layer.
    top_k
        Number of a layer's experts that a prediction is routed to.
    num_channels
        For ``conv``: number of maps in the extractor.
    experts
        For ``conv``: ``mlp`` experts read feature vectors, ``conv`` experts read maps.
    num_layers, num_heads
        For ``transformer``: number of blocks, each with a layer of experts, and number of attention heads.
    """

    kind: str = one_of_or_function("mlp", MODEL_KINDS)
    num_features: int = at_least(1, 128, unit="numbers")
    num_hidden: int = at_least(1, 64, unit="numbers")
    num_experts: int = at_least(1, 8, unit="experts")
    top_k: int = at_least(1, 2, unit="experts")
    num_channels: int = at_least(1, 16, unit="maps")
    experts: str = one_of("mlp", ("mlp", "conv"))
    num_layers: int = at_least(1, 2, unit="blocks")
    num_heads: int = at_least(1, 4, unit="heads")

    def __post_init__(self) -> None:
        check_fields(self, "model.")
        check("model.top_k", self.top_k, self.top_k <= self.num_experts, f"at most the {self.num_experts} experts")
        divides = self.kind != "transformer" or self.num_features % self.num_heads == 0
        check("model.num_heads", self.num_heads, divides, f"a divisor of model.num_features, {self.num_features}")

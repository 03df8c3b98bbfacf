"""The plain Mixture-of-Experts: a shared extractor of one layer, a router, experts, a shared classifier."""

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from fedtrain.config.checks import ConfigError
from fedtrain.config.model import ModelConfig
from fedtrain.data.examples import Examples
from fedtrain.models.model import OneLayer, sizes_from


@dataclass(frozen=True)
class MLPSpec:
    """The sizes of a model.

    Attributes
    ----------
    num_inputs, num_classes
        Numbers per example (images are flattened), and classes of the data.
    num_features
        Width of the shared extractor's output, which is the input of router, experts and classifier.
    num_hidden
        Width of an expert's hidden layer.
    num_experts
        Number of experts in the whole model.
    top_k
        Number of experts that an example is routed to; all held experts if fewer are held.
    """

    num_inputs: int
    num_classes: int
    num_features: int = 128
    num_hidden: int = 64
    num_experts: int = 8
    top_k: int = 2

    @property
    def expert_group(self) -> tuple[int, ...]:
        """All experts are in one layer."""
        return (0,) * self.num_experts

    def build(self, experts: Sequence[int]) -> OneLayer:
        """Build a model that holds these experts."""
        width, hidden = self.num_features, self.num_hidden
        return OneLayer(self, experts, width, width, self._extractor, lambda: mlp_expert(width, hidden))

    def _extractor(self) -> nn.Sequential:
        """Make one layer on flattened inputs; the names of its parameters start with 0."""
        layers = {"flat": nn.Flatten(), "0": nn.Linear(self.num_inputs, self.num_features), "1": nn.ReLU()}
        return nn.Sequential(OrderedDict(layers))


def mlp_spec(config: ModelConfig, examples: Examples) -> MLPSpec:
    """Fit the configured model to numeric data.

    Raises
    ------
    ConfigError
        If the data are symbols, not numbers.
    """
    if examples.inputs.dtype.kind != "f":
        raise ConfigError("model.kind is 'mlp', which reads numbers; data of characters need 'transformer'")
    num_inputs = math.prod(examples.inputs.shape[1:])
    return MLPSpec(num_inputs, examples.num_classes, **sizes_from(config, MLPSpec))


def mlp_expert(width: int, num_hidden: int) -> nn.Sequential:
    """Make an expert of two layers whose output is as wide as its input."""
    return nn.Sequential(nn.Linear(width, num_hidden), nn.ReLU(), nn.Linear(num_hidden, width))

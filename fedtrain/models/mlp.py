"""The plain Mixture-of-Experts: a shared extractor of one layer, a router, experts, a shared classifier."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from fedtrain.config.checks import ConfigError
from fedtrain.config.model import ModelConfig
from fedtrain.data.examples import Examples
from fedtrain.models.model import NamedModule, Routed, add_experts, held_in_layers, router_rows, top_gates


@dataclass(frozen=True)
class MLPSpec:
    """The sizes of a model.

    Attributes
    ----------
    num_inputs, num_classes
        Of the data; images are flattened.
    num_features
        Width of the shared extractor's output, on which router, experts and classifier work.
    num_hidden
        Width within an expert.
    num_experts
        Of the whole model.
    top_k
        Experts that an example is routed to, or as many as are held if those are fewer.
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

    def build(self, experts: Sequence[int]) -> "MLPMoE":
        """Build the model that holds these experts."""
        return MLPMoE(self, experts)


def mlp_spec(config: ModelConfig, examples: Examples) -> MLPSpec:
    """Fit the configured model to data of numbers.

    Raises
    ------
    ConfigError
        If the data are symbols.
    """
    if examples.inputs.dtype.kind != "f":
        raise ConfigError("model.kind is 'mlp', which reads numbers; data of characters need 'transformer'")
    return MLPSpec(
        num_inputs=math.prod(examples.inputs.shape[1:]),
        num_classes=examples.num_classes,
        num_features=config.num_features,
        num_hidden=config.num_hidden,
        num_experts=config.num_experts,
        top_k=config.top_k,
    )


class MLPMoE(NamedModule):
    """A Mixture-of-Experts classifier that holds all experts or some; its parameters come with :meth:`load`.

    Parameters
    ----------
    spec
        Sizes.
    experts
        Which experts are held, ascending; at least one.
    """

    def __init__(self, spec: MLPSpec, experts: Sequence[int]) -> None:
        super().__init__()
        [self.held] = held_in_layers(experts, spec.expert_group)
        self.spec = spec
        with torch.device("meta"):  # no memory, and no draw from torch's global generator
            self.extractor = nn.Sequential(nn.Linear(spec.num_inputs, spec.num_features), nn.ReLU())
            self.router = router_rows(spec.num_experts, spec.num_features)
            self.experts = nn.ModuleDict({str(j): mlp_expert(spec.num_features, spec.num_hidden) for j in self.held})
            self.classifier = nn.Linear(spec.num_features, spec.num_classes)

    def forward(self, inputs: Tensor) -> Routed:
        """Route every example to the best held experts, and add what they say to its features."""
        features = self.extractor(inputs.flatten(1))
        router_logits = features @ torch.stack(list(self.router)).T
        gates = top_gates(router_logits[:, self.held], self.spec.top_k)
        mixed = add_experts(features, features, gates, list(self.experts.values()))
        return Routed(self.classifier(mixed), gates, functional.softmax(router_logits, dim=1))


def mlp_expert(width: int, num_hidden: int) -> nn.Sequential:
    """Make an expert of two layers that gives back the width that it takes."""
    return nn.Sequential(nn.Linear(width, num_hidden), nn.ReLU(), nn.Linear(num_hidden, width))

"""A convolutional Mixture-of-Experts for images: a small shared extractor, and experts on its features or its maps.

With ``mlp`` experts the extractor ends in a vector of features, and the rest is the plain Mixture-of-Experts. With
``conv`` experts it ends in maps, on which the experts convolve; the router then sees every map's mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from fedtrain.config.checks import ConfigError
from fedtrain.config.model import ModelConfig
from fedtrain.data.examples import Examples
from fedtrain.models.mlp import mlp_expert
from fedtrain.models.model import NamedModule, Routed, add_experts, held_in_layers, router_rows, top_gates

SMALLEST = 4
"""Least height and width of an image: the extractor halves both twice."""


@dataclass(frozen=True)
class ConvSpec:
    """The sizes of a model.

    Attributes
    ----------
    channels, height, width
        Of an image.
    num_classes
        Of the data.
    num_channels
        Maps of the extractor.
    num_features
        Width of the extractor's output, of ``mlp`` experts.
    num_hidden
        Width, or maps, within an expert.
    num_experts, top_k
        As in :class:`fedtrain.models.mlp.MLPSpec`.
    experts
        ``mlp`` or ``conv``.
    """

    channels: int
    height: int
    width: int
    num_classes: int
    num_channels: int = 16
    num_features: int = 128
    num_hidden: int = 64
    num_experts: int = 8
    top_k: int = 2
    experts: str = "mlp"

    @property
    def expert_group(self) -> tuple[int, ...]:
        """All experts are in one layer."""
        return (0,) * self.num_experts

    @property
    def map_values(self) -> int:
        """Numbers in all maps of an image."""
        return self.num_channels * (self.height // 4) * (self.width // 4)

    def build(self, experts: Sequence[int]) -> "ConvMoE":
        """Build the model that holds these experts."""
        return ConvMoE(self, experts)


def conv_spec(config: ModelConfig, examples: Examples) -> ConvSpec:
    """Fit the configured model to images.

    Raises
    ------
    ConfigError
        If the data are no images, or too small ones.
    """
    shape = examples.inputs.shape[1:]
    if len(shape) != 3 or min(shape[1:]) < SMALLEST:
        raise ConfigError(f"model.kind is 'conv', which needs images of at least {SMALLEST} × {SMALLEST}; "
                          f"an example of these data has shape {shape}")  # fmt: skip
    return ConvSpec(
        *shape,
        num_classes=examples.num_classes,
        num_channels=config.num_channels,
        num_features=config.num_features,
        num_hidden=config.num_hidden,
        num_experts=config.num_experts,
        top_k=config.top_k,
        experts=config.experts,
    )


class ConvMoE(NamedModule):
    """A Mixture-of-Experts classifier of images that holds all experts or some.

    Parameters
    ----------
    spec
        Sizes.
    experts
        Which experts are held, ascending; at least one.
    """

    def __init__(self, spec: ConvSpec, experts: Sequence[int]) -> None:
        super().__init__()
        [self.held] = held_in_layers(experts, spec.expert_group)
        self.spec = spec
        width = spec.num_features if spec.experts == "mlp" else spec.num_channels
        with torch.device("meta"):  # no memory, and no draw from torch's global generator
            self.extractor = _extractor(spec)
            self.router = router_rows(spec.num_experts, width)
            self.experts = nn.ModuleDict({str(j): _expert(spec) for j in self.held})
            self.classifier = nn.Linear(width if spec.experts == "mlp" else spec.map_values, spec.num_classes)

    def forward(self, inputs: Tensor) -> Routed:
        """Route every image to the best held experts, and add what they say to its features or maps."""
        features = self.extractor(inputs)
        seen = features.mean(dim=(2, 3)) if self.spec.experts == "conv" else features
        router_logits = seen @ torch.stack(list(self.router)).T
        gates = top_gates(router_logits[:, self.held], self.spec.top_k)
        mixed = add_experts(features, features, gates, list(self.experts.values()))
        return Routed(self.classifier(mixed.flatten(1)), gates, functional.softmax(router_logits, dim=1))


def _extractor(spec: ConvSpec) -> nn.Sequential:
    maps = [_convolution(spec.channels, spec.num_channels), nn.ReLU(), nn.MaxPool2d(2)]
    maps += [_convolution(spec.num_channels, spec.num_channels), nn.ReLU(), nn.MaxPool2d(2)]
    if spec.experts == "mlp":
        maps += [nn.Flatten(), nn.Linear(spec.map_values, spec.num_features), nn.ReLU()]
    return nn.Sequential(*maps)


def _expert(spec: ConvSpec) -> nn.Sequential:
    if spec.experts == "mlp":
        return mlp_expert(spec.num_features, spec.num_hidden)
    channels, hidden = spec.num_channels, spec.num_hidden
    return nn.Sequential(_convolution(channels, hidden), nn.ReLU(), _convolution(hidden, channels))


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel_size=3, padding=1)

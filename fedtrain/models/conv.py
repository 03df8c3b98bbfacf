"""A convolutional Mixture-of-Experts for images: a small shared extractor, then experts on feature vectors or on maps.

With ``mlp`` experts the extractor ends in a feature vector, and the rest is the plain Mixture-of-Experts. With
``conv`` experts the extractor ends in feature maps, and the experts are convolutions. The router then sees the mean of
every map.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from fedtrain.config.checks import ConfigError
from fedtrain.config.model import ModelConfig
from fedtrain.data.examples import Examples
from fedtrain.models.mlp import mlp_expert
from fedtrain.models.model import OneLayer, sizes_from

SMALLEST = 4
"""Smallest height and width of an image: the extractor halves both twice."""


@dataclass(frozen=True)
class ConvSpec:
    """The sizes of a model.

    Attributes
    ----------
    channels, height, width
        Shape of an image.
    num_classes
        Number of classes in the data.
    num_channels
        Number of maps in the extractor.
    num_features
        Width of the extractor's output; used with ``mlp`` experts.
    num_hidden
        Width of an ``mlp`` expert's hidden layer, or number of maps within a ``conv`` expert.
    num_experts, top_k
        As in :class:`fedtrain.models.mlp.MLPSpec`.
    experts
        Kind of the experts: ``mlp`` or ``conv``.
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
        """Number of values in all maps of an image together."""
        return self.num_channels * (self.height // 4) * (self.width // 4)

    def build(self, experts: Sequence[int]) -> OneLayer:
        """Build a model that holds these experts."""
        on_maps = self.experts == "conv"
        width = self.num_channels if on_maps else self.num_features
        outputs = self.map_values if on_maps else width
        return OneLayer(self, experts, width, outputs, lambda: _extractor(self), lambda: _expert(self))


def conv_spec(config: ModelConfig, examples: Examples) -> ConvSpec:
    """Fit the configured model to images.

    Raises
    ------
    ConfigError
        If the data are not images, or the images are too small.
    """
    shape = examples.inputs.shape[1:]
    if len(shape) != 3 or min(shape[1:]) < SMALLEST:
        raise ConfigError(f"model.kind is 'conv', which needs images of at least {SMALLEST} × {SMALLEST}; "
                          f"an example of these data has shape {shape}")  # fmt: skip
    return ConvSpec(*shape, num_classes=examples.num_classes, **sizes_from(config, ConvSpec))


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

"""A small character-level transformer: every block has attention, then a layer of experts in place of the usual MLP.

Blocks are pre-normed, attention is causal, and every character is routed separately. The norms have no parameters.
Experts are numbered across the blocks: expert e of block l is ``l · experts_per_layer + e``.
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
from fedtrain.models.model import NamedModule, Routed, add_experts, held_in_layers, router_rows, sizes_from, top_gates


@dataclass(frozen=True)
class TransformerSpec:
    """The sizes of a model.

    Attributes
    ----------
    num_classes
        Number of symbols in the vocabulary.
    context
        Largest number of symbols that the model reads at once.
    num_features
        Width of the representation between the blocks.
    num_heads
        Number of attention heads; they divide the width among them.
    num_hidden
        Width of an expert's hidden layer.
    num_layers
        Number of blocks.
    experts_per_layer
        Number of experts in each block.
    top_k
        Number of a block's experts that a character is routed to; all held experts if fewer are held.
    """

    num_classes: int
    context: int
    num_features: int = 32
    num_heads: int = 4
    num_hidden: int = 64
    num_layers: int = 2
    experts_per_layer: int = 8
    top_k: int = 2

    @property
    def num_experts(self) -> int:
        """Number of experts of all layers together."""
        return self.num_layers * self.experts_per_layer

    @property
    def expert_group(self) -> tuple[int, ...]:
        """(num_experts,) the layer of every expert."""
        return tuple(layer for layer in range(self.num_layers) for _ in range(self.experts_per_layer))

    def build(self, experts: Sequence[int]) -> "TransformerMoE":
        """Build a model that holds these experts."""
        return TransformerMoE(self, experts)


def transformer_spec(config: ModelConfig, examples: Examples) -> TransformerSpec:
    """Fit the configured model to data of symbols.

    Raises
    ------
    ConfigError
        If the data are numbers, or their labels are not one per symbol.
    """
    if examples.inputs.dtype.kind != "i" or examples.inputs.shape != examples.labels.shape:
        raise ConfigError("model.kind is 'transformer', which reads characters; data of numbers need 'mlp' or 'conv'")
    sizes = sizes_from(config, TransformerSpec)
    context = examples.inputs.shape[1]
    return TransformerSpec(examples.num_classes, context, experts_per_layer=config.num_experts, **sizes)


class TransformerMoE(NamedModule):
    """A transformer that holds all experts or some of them.

    Parameters
    ----------
    spec
        Sizes of the model.
    experts
        The held experts, ascending; at least one in every layer.
    """

    def __init__(self, spec: TransformerSpec, experts: Sequence[int]) -> None:
        super().__init__()
        self.held = held_in_layers(experts, spec.expert_group)
        self.spec = spec
        width = spec.num_features
        with torch.device("meta"):  # no memory, and no draw from torch's global generator
            self.embedding = nn.Embedding(spec.num_classes, width)
            self.positions = nn.Embedding(spec.context, width)
            self.attention = nn.ModuleList([_Attention(width, spec.num_heads) for _ in range(spec.num_layers)])
            self.router = router_rows(spec.num_experts, width)
            self.experts = nn.ModuleDict({str(j): mlp_expert(width, spec.num_hidden) for j in experts})
            self.classifier = nn.Linear(width, spec.num_classes)

    def forward(self, inputs: Tensor) -> Routed:
        """Predict the next character after every symbol of the input, (batch, up to ``context``)."""
        here = self.embedding(inputs) + self.positions.weight[: inputs.shape[1]]
        gates, probabilities = [], []
        for layer, attention in enumerate(self.attention):
            here = here + attention(_normed(here))
            mixed, layer_gates, layer_probabilities = self._route(layer, here.flatten(0, 1))
            here = mixed.view_as(here)
            gates.append(layer_gates)
            probabilities.append(layer_probabilities)
        logits = self.classifier(_normed(here).flatten(0, 1))
        return Routed(logits, torch.cat(gates, dim=1), torch.cat(probabilities, dim=1))

    def _route(self, layer: int, characters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Add the outputs of a layer's experts to (num_predictions, width); also return its gates and probabilities."""
        size, held = self.spec.experts_per_layer, self.held[layer]
        rows = torch.stack(list(self.router)[layer * size : (layer + 1) * size])
        seen = _normed(characters)
        router_logits = seen @ rows.T
        gates = top_gates(router_logits[:, [j - layer * size for j in held]], self.spec.top_k)
        mixed = add_experts(characters, seen, gates, [self.experts[str(j)] for j in held])
        return mixed, gates, functional.softmax(router_logits, dim=1)


class _Attention(nn.Module):
    """Causal attention: every character attends to itself and to the characters before it."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.asks = nn.Linear(width, 3 * width)
        self.gives = nn.Linear(width, width)

    def forward(self, here: Tensor) -> Tensor:
        batch, length, width = here.shape
        heads = self.asks(here).view(batch, length, 3, self.num_heads, width // self.num_heads)
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        given: Tensor = self.gives(seen.transpose(1, 2).reshape(batch, length, width))
        return given


def _normed(here: Tensor) -> Tensor:
    return functional.layer_norm(here, here.shape[-1:])

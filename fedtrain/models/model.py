"""The interface of a Mixture-of-Experts: a spec builds the whole model or a client's part of it.

A client's model contains only the assigned experts, and it routes to these only. A model has one or several layers of
experts. Experts are numbered across all layers, so one alignment over all of them, with the layer as the group, says
which experts a client holds. A client needs at least one expert in every layer.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from typing import Any, NamedTuple, Protocol, Self, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional

from fedtrain.config import ModelConfig
from fedtrain.models.tensors import Tensors


class Routed(NamedTuple):
    """A model's output for a batch; it makes one or several predictions per example.

    Attributes
    ----------
    logits
        (num_predictions, num_classes), the predictions of an example one after the other.
    gates
        (num_predictions, num_held) weights of the held experts; they sum to 1 in each layer. The weight is 0 if the
        prediction is not routed to the expert.
    router_probabilities
        (num_predictions, num_experts) the router's softmax over all experts of a layer, held or not.
    """

    logits: Tensor
    gates: Tensor
    router_probabilities: Tensor


class Model(Protocol):
    """A model, or a client's part of one; :meth:`load` gives it its parameters."""

    def load(self, tensors: Tensors) -> Self:
        """Use these tensors as the parameters, without a copy; the names must be this model's."""
        ...

    def tensors(self) -> Tensors:
        """Return the parameters by name, detached; they share memory with the model."""
        ...

    def parameters(self) -> Iterator[nn.Parameter]:
        """Iterate over all parameters, for an optimiser."""
        ...

    def __call__(self, inputs: Tensor) -> Routed:
        """Predict a batch."""
        ...


@runtime_checkable
class ModelSpec(Protocol):
    """The sizes of a model, and how to build it."""

    @property
    def num_classes(self) -> int:
        """Number of classes or symbols to predict."""
        ...

    @property
    def num_experts(self) -> int:
        """Number of experts of the whole model, all layers together."""
        ...

    @property
    def top_k(self) -> int:
        """Number of experts of a layer that a prediction is routed to; all held experts if fewer are held."""
        ...

    @property
    def expert_group(self) -> tuple[int, ...]:
        """(num_experts,) the layer of every expert, ascending from 0."""
        ...

    def build(self, experts: Sequence[int]) -> Model:
        """Build a model that holds these experts, ascending.

        Raises
        ------
        ValueError
            If a layer is left without an expert.
        """
        ...


class NamedModule(nn.Module):
    """Base class of all models: parameters are set and returned by name."""

    def load(self, tensors: Tensors) -> Self:
        """Use these tensors as the parameters, without a copy; the names must be this model's."""
        self.load_state_dict(tensors, strict=True, assign=True)
        return self

    def tensors(self) -> Tensors:
        """Return the parameters by name, detached; they share memory with the model."""
        return {name: value.detach() for name, value in self.state_dict().items()}


class OneLayer(NamedModule):
    """A model whose experts form one layer, between a shared extractor and a shared classifier.

    An expert's output is as wide as its input, and is added to it.

    Parameters
    ----------
    spec
        Sizes of the model.
    held
        The held experts, ascending; at least one.
    width
        Number of features, or of maps, that the router sees.
    outputs
        Number of values that the classifier sees.
    extractor, expert
        Functions that make the extractor and one expert.
    """

    def __init__(
        self,
        spec: ModelSpec,
        held: Sequence[int],
        width: int,
        outputs: int,
        extractor: Callable[[], nn.Module],
        expert: Callable[[], nn.Module],
    ) -> None:
        super().__init__()
        [self.held] = held_in_layers(held, spec.expert_group)
        self.top_k = spec.top_k
        with torch.device("meta"):  # no memory, and no draw from torch's global generator
            self.extractor = extractor()
            self.router = router_rows(spec.num_experts, width)
            self.experts = nn.ModuleDict({str(j): expert() for j in self.held})
            self.classifier = nn.Linear(outputs, spec.num_classes)

    def forward(self, inputs: Tensor) -> Routed:
        """Route every example to the best held experts, and add their outputs to its features or maps."""
        features = self.extractor(inputs)
        seen = features.mean(dim=(2, 3)) if features.ndim == 4 else features  # the router sees every map's mean
        router_logits = seen @ torch.stack(list(self.router)).T
        gates = top_gates(router_logits[:, self.held], self.top_k)
        mixed = add_experts(features, features, gates, list(self.experts.values()))
        return Routed(self.classifier(mixed.flatten(1)), gates, functional.softmax(router_logits, dim=1))


def sizes_from(config: ModelConfig, kind: Any) -> dict[str, Any]:
    """Return the values of a spec's fields that the configuration has under the same names."""
    return {one.name: getattr(config, one.name) for one in fields(kind) if hasattr(config, one.name)}


def skeleton(spec: ModelSpec) -> Tensors:
    """Return the tensors of a whole model by name, with shape and type but no values (on torch's meta device)."""
    return spec.build(range(spec.num_experts)).tensors()


def initial_tensors(spec: ModelSpec, generator: torch.Generator) -> Tensors:
    """Draw the parameters of a whole model: Kaiming-uniform weights, zero biases, and a router with small weights.

    A router with small weights gives all experts nearly the same probability. The last layer of each expert starts
    small too, so that the untrained model is nearly its shared part.
    """
    tensors = {}
    for name, like in skeleton(spec).items():
        shape = like.shape
        if name.endswith("bias"):
            tensors[name] = torch.zeros(shape)
            continue
        fan_in = math.prod(shape[1:]) if len(shape) > 1 else shape[0]
        bound = (6.0 / fan_in) ** 0.5 * _relative_size(name)
        tensors[name] = (torch.rand(shape, generator=generator) * 2.0 - 1.0) * bound
    return tensors


def held_in_layers(held: Sequence[int], expert_group: Sequence[int]) -> list[list[int]]:
    """Return the held experts of each layer.

    Raises
    ------
    ValueError
        If a layer has no held expert.
    """
    layers = [[j for j in held if expert_group[j] == layer] for layer in range(expert_group[-1] + 1)]
    for layer, experts in enumerate(layers):
        if not experts:
            where = f" in layer {layer}" if len(layers) > 1 else ""
            raise ValueError(f"a model needs at least one expert to route to{where}")
    return layers


def layer_sizes(spec: ModelSpec) -> tuple[int, ...]:
    """Return the number of experts of each layer."""
    return tuple(spec.expert_group.count(layer) for layer in range(spec.expert_group[-1] + 1))


def num_active(spec: ModelSpec, held: Sequence[int]) -> int:
    """Return how many of the held experts a prediction passes through, all layers together."""
    return sum(min(len(experts), spec.top_k) for experts in held_in_layers(held, spec.expert_group))


def router_rows(num_experts: int, width: int) -> nn.ParameterList:
    """Make the router: a row of weights for every expert."""
    return nn.ParameterList([nn.Parameter(torch.empty(width)) for _ in range(num_experts)])


def top_gates(logits: Tensor, top_k: int) -> Tensor:
    """Return the softmax over each row's ``top_k`` highest entries; all other entries are exactly 0."""
    if top_k < logits.shape[-1]:
        kept = logits.topk(top_k, dim=-1).indices
        mask = torch.ones_like(logits, dtype=torch.bool).scatter(-1, kept, False)
        logits = logits.masked_fill(mask, -torch.inf)
    return functional.softmax(logits, dim=-1)


def add_experts(base: Tensor, features: Tensor, gates: Tensor, experts: Sequence[nn.Module]) -> Tensor:
    """Add the experts' outputs, weighted by their gates, to ``base``.

    Parameters
    ----------
    base, features
        (num_predictions, …) the values to add to, and the input of the experts.
    gates
        (num_predictions, len(experts)) weights. An expert sees only the rows where its gate is not zero.
    experts
        Modules from features to the values that are added.
    """
    mixed = base
    for position, expert in enumerate(experts):
        rows = gates[:, position].detach().nonzero().squeeze(1)
        if len(rows):
            weights = gates[rows, position].reshape(-1, *[1] * (features.ndim - 1))
            mixed = mixed.index_add(0, rows, expert(features[rows]) * weights)
    return mixed


def _relative_size(name: str) -> float:
    if name.startswith("router."):
        return 0.1
    return 0.1 if name.startswith("experts.") and ".2." in name else 1.0

"""A client: trains the part of the model that it was given on its own examples, and measures itself meanwhile."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from alignsolve.numerics import FloatArray, IntArray
from fedtrain.config import TrainingConfig
from fedtrain.models import Model, ModelSpec, Routed, Tensors, part_to_upload
from fedtrain.models.model import held_in_layers
from fedtrain.partial import Measured, PartialUpdate

EVALUATED_AT_ONCE = 4096
"""Examples that a model is shown at a time where nothing is learned from them."""


@dataclass(frozen=True, eq=False)
class LocalData:
    """A client's examples as tensors; shapes are those of :class:`fedtrain.data.Examples`."""

    inputs: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


def train(
    client: int,
    spec: ModelSpec,
    download: Tensors,
    experts: tuple[int, ...],
    data: LocalData,
    training: TrainingConfig,
    rng: np.random.Generator,
) -> PartialUpdate:
    """Train what was downloaded for some local epochs, and return the part that is to be merged.

    Parameters
    ----------
    client
        Index of the client.
    spec
        The model.
    download
        The shared part, the router and the assigned experts. It is trained in place.
    experts
        The assigned experts, ascending.
    data
        The client's examples.
    training
        Optimiser, epochs, batches, auxiliary loss.
    rng
        Shuffles the examples.
    """
    model = spec.build(experts).load(download)
    router_mass = _router_mass(model, data)
    optimizer = _optimizer(model, training)
    steps = []
    for batch in batches(rng, len(data), epochs=training.epochs, batch_size=training.batch_size):
        labels = data.labels[batch].flatten()
        routed = model(data.inputs[batch])
        losses = functional.cross_entropy(routed.logits, labels, reduction="none")
        steps.append((routed.gates.detach(), losses.detach(), routed.logits.detach().argmax(dim=1) == labels))
        objective = losses.mean()
        if training.auxiliary_loss > 0.0:
            objective = objective + training.auxiliary_loss * auxiliary_loss(routed, experts, spec.expert_group)
        optimizer.zero_grad()
        objective.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    measured = _measured(steps, np.array([spec.expert_group[j] for j in experts]), router_mass)
    return PartialUpdate(client, experts, part_to_upload(model.tensors(), experts), len(data), *measured)


def auxiliary_loss(routed: Routed, experts: Sequence[int], expert_group: Sequence[int]) -> Tensor:
    """−log of the router's probability of a layer's held experts, averaged over the batch and the layers.

    It draws the client's router towards the experts that the client trains. Routing among held experts alone gives the
    router no gradient where only one is held, because one gate is always 1.
    """
    losses = []
    for own in held_in_layers(experts, expert_group):
        held = routed.router_probabilities[:, own].sum(dim=1)
        losses.append(-held.clamp_min(torch.finfo(held.dtype).tiny).log().mean())
    return torch.stack(losses).mean()


def _router_mass(model: Model, data: LocalData) -> FloatArray:
    """Average the router's probabilities before it is trained: training draws it towards the experts that are held."""
    with torch.no_grad():
        parts = [model(part).router_probabilities for part in torch.split(data.inputs, EVALUATED_AT_ONCE)]
    mass: FloatArray = torch.cat(parts).double().mean(dim=0).numpy()
    return mass


def _optimizer(model: Model, training: TrainingConfig) -> torch.optim.Optimizer:
    if training.optimizer == "adam":
        return torch.optim.Adam(model.parameters(), lr=training.learning_rate, foreach=True)
    return torch.optim.SGD(model.parameters(), lr=training.learning_rate, momentum=training.momentum, foreach=True)


def batches(rng: np.random.Generator, num_examples: int, *, epochs: int, batch_size: int) -> Iterator[Tensor]:
    """Shuffle the examples anew for every epoch, and cut each into batches of indices."""
    for _ in range(epochs):
        order = torch.from_numpy(rng.permutation(num_examples))
        yield from torch.split(order, batch_size)


def _measured(steps: Sequence[tuple[Tensor, Tensor, Tensor]], layers: IntArray, router_mass: FloatArray) -> Measured:
    """Average over all steps: their gates, each prediction's loss, and what was right; the router's mass is given.

    ``layers`` is the layer of every held expert.
    """
    gates, losses, right = (torch.cat(parts).double().numpy() for parts in zip(*steps, strict=True))
    used = gates.sum(axis=0)
    in_layer = np.array([used[layers == layer].sum() for layer in layers])
    with np.errstate(divide="ignore", invalid="ignore"):  # an expert without examples has no mean loss
        return Measured(used / in_layer, losses @ gates / used, right @ gates / used, router_mass)

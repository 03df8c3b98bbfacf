"""Local training of one client: it trains its part of the model on its own examples and takes measurements."""

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
"""Batch size of evaluation."""


@dataclass(frozen=True, eq=False)
class LocalData:
    """A client's examples as tensors, with the shapes of :class:`fedtrain.data.Examples`."""

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
    """Train the downloaded part of the model for the local epochs, and return the part that is to be merged.

    Parameters
    ----------
    client
        Index of the client.
    spec
        The model.
    download
        The shared part, the router and the assigned experts. These tensors are trained in place.
    experts
        The assigned experts, ascending.
    data
        The client's examples.
    training
        Optimiser, epochs, batch size, auxiliary loss.
    rng
        Generator that shuffles the examples.
    """
    # The router is measured before training changes it.
    model = spec.build(experts).load(download)
    mass = router_mass(model, data)
    optimizer = _optimizer(model, training)
    steps = []
    # Train, and keep every step's gates, losses and hits for the measurements.
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
    measured = _measured(steps, np.array([spec.expert_group[j] for j in experts]), mass)
    return PartialUpdate(client, experts, part_to_upload(model.tensors(), experts), len(data), *measured)


def auxiliary_loss(routed: Routed, experts: Sequence[int], expert_group: Sequence[int]) -> Tensor:
    """−log of the router's probability of a layer's held experts, averaged over the batch and the layers.

    This loss teaches the client's router to prefer the experts that the client trains. Without it, a client with one
    held expert would give the router no gradient: the only gate is always 1.
    """
    losses = []
    for own in held_in_layers(experts, expert_group):
        held = routed.router_probabilities[:, own].sum(dim=1)
        losses.append(-held.clamp_min(torch.finfo(held.dtype).tiny).log().mean())
    return torch.stack(losses).mean()


def router_mass(model: Model, data: LocalData) -> FloatArray:
    """Return the mean router probabilities, (num_experts,).

    They are measured before training, which would shift them towards the held experts.
    """
    with torch.no_grad():
        parts = [model(part).router_probabilities for part in torch.split(data.inputs, EVALUATED_AT_ONCE)]
    mass: FloatArray = torch.cat(parts).double().mean(dim=0).numpy()
    return mass


def _optimizer(model: Model, training: TrainingConfig) -> torch.optim.Optimizer:
    if training.optimizer == "adam":
        return torch.optim.Adam(model.parameters(), lr=training.learning_rate, foreach=True)
    return torch.optim.SGD(model.parameters(), lr=training.learning_rate, momentum=training.momentum, foreach=True)


def batches(rng: np.random.Generator, num_examples: int, *, epochs: int, batch_size: int) -> Iterator[Tensor]:
    """Yield batches of example indices; every epoch has a new random order."""
    for _ in range(epochs):
        order = torch.from_numpy(rng.permutation(num_examples))
        yield from torch.split(order, batch_size)


def _measured(steps: Sequence[tuple[Tensor, Tensor, Tensor]], layers: IntArray, router_mass: FloatArray) -> Measured:
    """Return the measurements of all steps together.

    Parameters
    ----------
    steps
        Gates, losses and hits (whether a prediction was right) of each step.
    layers
        Layer of every held expert.
    router_mass
        Mean router probabilities before training.
    """
    gates, losses, right = (torch.cat(parts).double().numpy() for parts in zip(*steps, strict=True))
    used = gates.sum(axis=0)
    in_layer = np.array([used[layers == layer].sum() for layer in layers])
    with np.errstate(divide="ignore", invalid="ignore"):  # an expert without examples has no mean loss
        return Measured(used / in_layer, losses @ gates / used, right @ gates / used, router_mass)

"""A client: trains the part of the model that it was given on its own examples, and measures itself meanwhile."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from fedtrain.config import TrainingConfig
from fedtrain.moe import ModelSpec, MoE, Routed, Tensors, part_to_upload
from fedtrain.update import Measured, Update


@dataclass(frozen=True, eq=False)
class LocalData:
    """A client's examples as tensors: (num_examples, num_inputs) and (num_examples,)."""

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
) -> Update:
    """Train what was downloaded for some local epochs, and return the part that is to be merged.

    Parameters
    ----------
    client
        Index of the client.
    spec
        Sizes of the model.
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
    model = MoE(spec, experts).load(download)
    optimizer = _optimizer(model, training)
    gauge = _Gauge()
    for batch in _batches(rng, len(data), training):
        labels = data.labels[batch]
        routed = model(data.inputs[batch])
        losses = functional.cross_entropy(routed.logits, labels, reduction="none")
        gauge.add(routed, losses, labels)
        objective = losses.mean()
        if training.auxiliary_loss > 0.0:
            objective = objective + training.auxiliary_loss * auxiliary_loss(routed, experts)
        optimizer.zero_grad()
        objective.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return Update(client, experts, part_to_upload(model.tensors(), experts), len(data), gauge.read())


def auxiliary_loss(routed: Routed, experts: tuple[int, ...]) -> Tensor:
    """−log of the router's probability of the held experts, averaged over the batch.

    It draws the client's router towards the experts that the client trains. Routing among held experts alone gives the
    router no gradient where only one is held, because one gate is always 1.
    """
    held = routed.router_probabilities[:, list(experts)].sum(dim=1)
    return -held.clamp_min(torch.finfo(held.dtype).tiny).log().mean()


def _optimizer(model: MoE, training: TrainingConfig) -> torch.optim.Optimizer:
    if training.optimizer == "adam":
        return torch.optim.Adam(model.parameters(), lr=training.learning_rate, foreach=True)
    return torch.optim.SGD(model.parameters(), lr=training.learning_rate, momentum=training.momentum, foreach=True)


def _batches(rng: np.random.Generator, num_examples: int, training: TrainingConfig) -> Iterator[Tensor]:
    for _ in range(training.epochs):
        order = torch.from_numpy(rng.permutation(num_examples))
        for start in range(0, num_examples, training.batch_size):
            yield order[start : start + training.batch_size]


class _Gauge:
    """Keeps, step by step, what :class:`Measured` is the mean of."""

    def __init__(self) -> None:
        self.steps: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []

    def add(self, routed: Routed, losses: Tensor, labels: Tensor) -> None:
        right = routed.logits.detach().argmax(dim=1) == labels
        self.steps.append((routed.gates.detach(), losses.detach(), right, routed.router_probabilities.detach()))

    def read(self) -> Measured:
        gates, losses, right, probabilities = (
            torch.cat(parts).double().numpy() for parts in zip(*self.steps, strict=True)
        )
        used = gates.sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):  # an expert without examples has no mean loss
            return Measured(used / used.sum(), losses @ gates / used, right @ gates / used, probabilities.mean(axis=0))

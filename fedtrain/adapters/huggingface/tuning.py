"""What a federated fine-tuning trains and sends: the whole model, or adapters beside a frozen base."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from fedtrain.adapters.huggingface.local import Training, train
from fedtrain.adapters.huggingface.lora import Lora, adapter_weights, add_adapters, load_adapters
from fedtrain.adapters.huggingface.models import weights_of
from fedtrain.adapters.huggingface.submodel import sub_model
from fedtrain.layouts import Layout, Weights, detect
from fedtrain.partial import Measured, PartialUpdate, Traffic, slice_weights, traffic


class Download(NamedTuple):
    """What a client gets: its experts, and what all share.

    Attributes
    ----------
    experts
        Held, numbered through the layers, ascending.
    trained
        Slice of what is trained.
    base
        Slice of what stays as it is; empty if all is trained.
    """

    experts: tuple[int, ...]
    trained: dict[str, Tensor]
    base: dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class FineTuning:
    """All that stays the same through the rounds.

    Attributes
    ----------
    config
        The model's.
    layout
        Of the model in memory.
    trained_layout
        Of what is trained, which is what is merged; its experts have the same numbers.
    base
        What stays as it is; empty if all is trained.
    initial
        What is trained, before the first round.
    lora
        Sizes of the adapters; None if all is trained.
    """

    config: Any
    layout: Layout
    trained_layout: Layout
    base: Weights
    initial: Weights
    lora: Lora | None = None

    @classmethod
    def of(cls, model: Any, lora: Lora | None = None, *, seed: int = 0) -> "FineTuning":
        """Fine-tune all of a model, or adapters drawn with this seed; the model itself gets the adapters put into it.

        Raises
        ------
        LayoutError
            If the model has no experts.
        """
        weights, config = weights_of(model), model.config
        layout = detect(weights)
        if lora is None:
            return cls(config, layout, layout, {}, weights)
        adapters = adapter_weights(add_adapters(model, layout, lora, seed=seed))
        trained_layout = detect(adapters, "lora", num_experts=layout.layer_sizes[0])
        return cls(config, layout, trained_layout, weights, adapters, lora)

    def send(self, weights: Weights, experts: Sequence[int]) -> Download:
        """Cut out what a client needs to train these experts; ``weights`` is what is trained, as of this round."""
        held = self.layout.check_experts(experts)
        base = slice_weights(self.base, self.layout, held)
        return Download(held, slice_weights(weights, self.trained_layout, held), base)

    def traffic(self, experts: Sequence[int]) -> tuple[Traffic, Traffic]:
        """Bytes of a client's download, and of its upload. A base that a client still has need not be sent again."""
        trained = traffic(self.initial, self.trained_layout, experts)
        base = traffic(self.base, self.layout, experts)
        return Traffic(*(one + other for one, other in zip(trained, base, strict=True))), trained

    def build(self, download: Download) -> Any:
        """Build a client's model around what it got; training it changes the tensors of the download.

        Raises
        ------
        ValueError
            If a layer has too few experts for a forward pass.
        """
        if self.lora is None:
            return sub_model(self.config, self.layout, download.experts, download.trained)
        model = sub_model(self.config, self.layout, download.experts, download.base)
        model = add_adapters(model, self.layout, self.lora)
        load_adapters(model, download.trained)
        return model

    def whole(self, weights: Weights) -> Any:
        """Build the whole model around a copy of what is trained, to evaluate it or to save it."""
        return self.build(self.send(weights, range(self.layout.num_experts)))

    def collect(self, model: Any) -> dict[str, Tensor]:
        """Return what was trained of a client's model."""
        return weights_of(model) if self.lora is None else adapter_weights(model)

    def train(
        self, client: int, download: Download, tokens: Tensor, training: Training, rng: np.random.Generator
    ) -> tuple[PartialUpdate, Measured]:
        """Do a client's part of a round: build its model, train it, return the update and what it saw meanwhile."""
        model = self.build(download).to(training.device)
        measured = train(model, self.layout, download.experts, tokens, training, rng)
        returned = {name: value.cpu() for name, value in self.collect(model).items()}
        return PartialUpdate(client, download.experts, returned, len(tokens), *measured), measured

"""The trained and the sent weights of a federated fine-tuning: the whole model, or adapters beside a frozen base."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from fedtrain.adapters.huggingface.architecture import fewest_experts, layout_of
from fedtrain.adapters.huggingface.local import Training, train
from fedtrain.adapters.huggingface.lora import Lora, adapter_weights, add_adapters, load_adapters
from fedtrain.adapters.huggingface.models import weights_of
from fedtrain.adapters.huggingface.routers import router_mass, router_rows
from fedtrain.adapters.huggingface.submodel import held_in_layers, refuse_too_few, sub_model
from fedtrain.layouts import Layout, LayoutError, RouterRows, Weights, detect
from fedtrain.partial import Footprint, Measured, PartialUpdate, Traffic, footprint, slice_weights, traffic


class Download(NamedTuple):
    """The weights that a client is sent: its experts and the shared part.

    Attributes
    ----------
    experts
        The client's experts, numbered through the layers, ascending.
    trained
        The client's slice of the trained weights.
    base
        The client's slice of the frozen weights; empty if all weights are trained.
    routers
        The whole routers, with which the client measures router masses; empty if it need not. The rows of its own
        experts are in its slice, too, and need be sent once.
    """

    experts: tuple[int, ...]
    trained: dict[str, Tensor]
    base: dict[str, Tensor]
    routers: Mapping[str, Tensor] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class FineTuning:
    """The parts of a fine-tuning that stay the same in all rounds.

    Attributes
    ----------
    config
        The model's config.
    layout
        The layout of the whole model's weights.
    trained_layout
        The layout of the trained weights, which are merged. Its experts have the same numbers.
    base
        The frozen weights; empty if all weights are trained.
    initial
        The trained weights before the first round.
    lora
        The settings of the adapters; None if all weights are trained.
    runs_with
        The fewest experts per layer with which a model of this architecture runs.
    """

    config: Any
    layout: Layout
    trained_layout: Layout
    base: Weights
    initial: Weights
    lora: Lora | None = None
    runs_with: int = 1

    @classmethod
    def of(cls, model: Any, lora: Lora | None = None, *, seed: int = 0) -> "FineTuning":
        """Prepare the fine-tuning of all weights of a model, or of new LoRA adapters.

        Parameters
        ----------
        model
            The whole model. With ``lora``, the adapters are put into this model.
        lora
            The settings of the adapters; None: all weights are trained.
        seed
            Seed of the adapters' initial values.

        Raises
        ------
        LayoutError
            If the model has no experts, its experts cannot be detected, or a model of this architecture cannot have
            fewer of them. If PEFT cannot adapt the modules that ``lora`` names. The message has the architecture and
            the reason.
        """
        weights, config = weights_of(model), model.config
        layout = layout_of(model)
        fewest = fewest_experts(model, layout)
        if lora is None:
            return cls(config, layout, layout, {}, weights, runs_with=fewest)
        try:
            adapters = adapter_weights(add_adapters(model, layout, lora, seed=seed))
        except ValueError as error:
            told = f"{config.model_type}: PEFT cannot adapt these modules; name others by Lora(attention=…)"
            raise LayoutError(f"{told}: {error}") from error
        trained_layout = detect(adapters, "lora", num_experts=layout.layer_sizes[0])
        return cls(config, layout, trained_layout, weights, adapters, lora, fewest)

    def send(self, weights: Weights, experts: Sequence[int], *, measuring: bool = False) -> Download:
        """Return the weights that a client needs to train these experts.

        Parameters
        ----------
        weights
            This round's trained weights.
        experts
            The client's experts.
        measuring
            Whether the client is to measure router masses: then it is sent the rows of all experts.

        Raises
        ------
        LayoutError
            If router masses cannot be measured in a layer of this architecture.
        """
        held = self.layout.check_experts(experts)
        base = slice_weights(self.base, self.layout, held)
        routers = router_rows({**self.base, **weights}, self.layout) if measuring else {}
        return Download(held, slice_weights(weights, self.trained_layout, held), base, routers)

    def traffic(self, experts: Sequence[int], *, measuring: bool = False) -> tuple[Traffic, Traffic]:
        """Return the bytes of a client's download and of its upload, which are those of :meth:`send`.

        The download includes the frozen base. A client that still has its base need not be sent it again.
        """
        rows: RouterRows = "all" if measuring else "held"
        trained = traffic(self.initial, self.trained_layout, experts, router_rows=rows)
        base = traffic(self.base, self.layout, experts, router_rows=rows)
        down = Traffic(*(one + other for one, other in zip(trained, base, strict=True)))
        return down, traffic(self.initial, self.trained_layout, experts)

    @property
    def fewest_experts(self) -> int:
        """The fewest experts per layer that a client can train.

        It is that of a forward pass, with one exception. PEFT takes a single expert for a plain matrix, and turns the
        product of its adapter the wrong way round if the fused tensors are transposed. So GPT-OSS needs two with LoRA.
        """
        transposed = self.lora is not None and self.layout.name == "fused-transposed"
        return max(self.runs_with, 2 if transposed else 1)

    def footprint(self, training: Training) -> Footprint:
        """Return the memory that training takes at a client: of the shared part, and of each expert.

        Parameters, gradients and the optimiser's moments are counted, each with the type of the parameter. Activations
        are not: they depend on the batch. With LoRA, PEFT adds the product of an adapter's matrices to the frozen
        tensor of the experts. The sums of all layers are in memory at once, and the gradient of one layer's sum.
        """
        trained = footprint(self.initial, self.trained_layout, copies=training.copies)
        if self.lora is None:
            return trained
        base, num_layers = footprint(self.base, self.layout), len(self.layout.layers)
        sums = base.expert_bytes + base.expert_bytes // num_layers
        return Footprint(trained.shared_bytes + base.shared_bytes, trained.expert_bytes + base.expert_bytes + sums)

    def build(self, download: Download) -> Any:
        """Build a client's model from its download. Training the model may change the tensors of the download.

        Raises
        ------
        ValueError
            If a layer has too few experts for a forward pass.
        """
        counts = held_in_layers(self.layout, download.experts)
        refuse_too_few(self.config, self.layout, counts, self.fewest_experts)
        if self.lora is None:
            return sub_model(self.config, self.layout, download.experts, download.trained)
        model = sub_model(self.config, self.layout, download.experts, download.base)
        model = add_adapters(model, self.layout, self.lora)
        load_adapters(model, download.trained)
        return model

    def whole(self, weights: Weights) -> Any:
        """Build the whole model from a copy of the trained weights, to evaluate it or to save it."""
        return self.build(self.send(weights, range(self.layout.num_experts)))

    def collect(self, model: Any) -> dict[str, Tensor]:
        """Return the trained weights of a client's model."""
        return weights_of(model) if self.lora is None else adapter_weights(model)

    def train(
        self, client: int, download: Download, tokens: Tensor, training: Training, rng: np.random.Generator
    ) -> tuple[PartialUpdate, Measured]:
        """Run a client's part of a round: build its model, train it, and return its update and its measures."""
        model = self.build(download).to(training.device)
        mass = router_mass(model, download.routers, tokens) if download.routers else None
        measured = train(model, self.layout, download.experts, tokens, training, rng)
        measured = measured._replace(router_mass=mass)
        returned = {name: value.cpu() for name, value in self.collect(model).items()}
        return PartialUpdate(client, download.experts, returned, len(tokens), *measured), measured

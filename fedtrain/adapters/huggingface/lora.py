"""LoRA by PEFT: adapters for the experts' fused tensors and for the attention. All other weights are frozen."""

from dataclasses import dataclass
from typing import Any

import peft
import torch
from torch import Tensor

from fedtrain.layouts import Layout, Weights

ATTENTION = r".*\.self_attn\.\w*proj\w*"
"""Pattern of the full names of the attention's projections."""


@dataclass(frozen=True)
class Lora:
    """The settings of the LoRA adapters.

    Attributes
    ----------
    rank
        Rank of each adapter. Each expert has an adapter of this rank.
    alpha
        Scale of the adapters: the product of an adapter's two matrices is multiplied by alpha / rank. None: twice the
        rank.
    attention
        Pattern of the full names of further linear modules that get an adapter. None: only the experts get adapters.
    """

    rank: int = 8
    alpha: int | None = None
    attention: str | None = ATTENTION


def add_adapters(model: Any, layout: Layout, lora: Lora, *, seed: int = 0) -> Any:
    """Put adapters into the whole model or a client's model, and freeze all other weights.

    The state of torch's global generator is not changed.
    """
    # The experts' fused tensors have three dimensions: one per expert, and two of its matrix.
    shapes = {name: value.dim() for name, value in model.named_parameters()}
    stacked = [name for name, part in layout.parts.items() if not part.router and shapes.get(name) == 3]
    settings: Any = {
        "r": lora.rank,
        "lora_alpha": 2 * lora.rank if lora.alpha is None else lora.alpha,
        "target_modules": lora.attention,
        "target_parameters": stacked,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return peft.get_peft_model(model, peft.LoraConfig(**settings))


def adapter_weights(model: Any) -> dict[str, Tensor]:
    """Return the adapter weights of a model by name. They share memory with the model."""
    tensors = peft.get_peft_model_state_dict(model)
    return {name: value.detach() for name, value in tensors.items()}


def load_adapters(model: Any, weights: Weights) -> None:
    """Copy weights into a model's adapters.

    Raises
    ------
    ValueError
        If the names of the weights are not those of the adapters.
    """
    names = adapter_weights(model).keys()
    if names != weights.keys():
        missing, unexpected = sorted(names - weights.keys()), sorted(weights.keys() - names)
        raise ValueError(f"not the adapters of this model: missing {missing}, unexpected {unexpected}")
    peft.set_peft_model_state_dict(model, dict(weights))

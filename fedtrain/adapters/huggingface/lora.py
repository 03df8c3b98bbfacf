"""LoRA by PEFT: adapters of the experts' fused tensors and of the attention; all other weights are frozen."""

from dataclasses import dataclass
from typing import Any

import peft
import torch
from torch import Tensor

from fedtrain.layouts import Layout, Weights

ATTENTION = r".*\.self_attn\.\w*proj\w*"


@dataclass(frozen=True)
class Lora:
    """Sizes of the adapters.

    Attributes
    ----------
    rank
        Of each adapter, and of each expert's.
    alpha
        What the product of an adapter's two matrices is scaled by, over the rank; None: twice the rank.
    attention
        Pattern of the full names of other linear modules that get an adapter; None for experts alone.
    """

    rank: int = 8
    alpha: int | None = None
    attention: str | None = ATTENTION


def add_adapters(model: Any, layout: Layout, lora: Lora, *, seed: int = 0) -> Any:
    """Put adapters into a model, whole or a client's, and freeze the rest; torch's global generator stays as it was."""
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
    """Return the adapters of a model by name; they share memory with it."""
    tensors = peft.get_peft_model_state_dict(model)
    return {name: value.detach() for name, value in tensors.items()}


def load_adapters(model: Any, weights: Weights) -> None:
    """Copy values into a model's adapters.

    Raises
    ------
    ValueError
        If they are not these adapters.
    """
    names = adapter_weights(model).keys()
    if names != weights.keys():
        missing, unexpected = sorted(names - weights.keys()), sorted(weights.keys() - names)
        raise ValueError(f"not the adapters of this model: missing {missing}, unexpected {unexpected}")
    peft.set_peft_model_state_dict(model, dict(weights))

"""The router masses of a client: how its text is spread over the experts of each layer, held or not.

A client's model routes to its own experts and has their rows of the router only. For the masses it is sent the other
rows, too: a vector per expert. The client runs its model on its text once, before training. In every layer the router's
input is multiplied by all rows, and the softmax is averaged over the tokens. The input is that of the client's own
model, whose earlier layers have only the client's experts.

Routers with other scores than a softmax (DeepSeek-V3's sigmoid) are measured by the softmax of their logits, too.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from alignsolve.numerics import FloatArray
from fedtrain.layouts import Layout, LayoutError, Weights

BATCH = 8
"""Windows that are run at once."""


def router_rows(weights: Weights, layout: Layout) -> dict[str, Tensor]:
    """Return copies of the whole router of every layer by name: its matrix, and its bias if it has one.

    Raises
    ------
    LayoutError
        If a layer has no single matrix with a row per expert. The message names the layer and what it has instead.
    """
    rows: dict[str, Tensor] = {}
    for layer, size in zip(layout.layers, layout.layer_sizes, strict=True):
        parts = {
            name: weights[name] for name, part in layout.parts.items() if part.router and name.startswith(f"{layer}.")
        }
        found = [name for name, value in parts.items() if value.ndim == 2 and len(value) == size]
        if len(found) != 1:
            told = ", ".join(f"{name} of shape {tuple(value.shape)}" for name, value in parts.items()) or "none"
            raise LayoutError(
                f"layer {layer}: router masses need one matrix with a row for each of its {size} experts; its router "
                f"has {told}. Choose a fitness without router masses"
            )
        bias = f"{found[0].rpartition('.')[0]}.bias"
        rows |= {name: weights[name].detach().clone() for name in (found[0], bias) if name in parts or name == found[0]}
    return rows


def router_mass(model: Any, routers: Mapping[str, Tensor], tokens: Tensor) -> FloatArray:
    """Return the mean probabilities of all experts, (num_experts,); those of a layer sum to 1.

    Parameters
    ----------
    model
        The client's model, before training.
    routers
        The whole routers, from :func:`router_rows`, in the order of the layers.
    tokens
        (num_windows, length) token numbers; at least one window.
    """
    device, names = model.device, [name for name, value in routers.items() if value.ndim == 2]
    sums = {name: torch.zeros(len(routers[name]), dtype=torch.float64, device=device) for name in names}
    number = tokens.numel()
    model.eval()
    with torch.no_grad(), _watching(model, {name: value.to(device) for name, value in routers.items()}, sums):
        for batch in torch.split(tokens, BATCH):
            model(input_ids=batch.to(device), use_cache=False)
    mass: FloatArray = np.concatenate([(sums[name] / number).cpu().numpy() for name in names])
    return mass


@contextmanager
def _watching(model: Any, routers: Mapping[str, Tensor], sums: Mapping[str, Tensor]) -> Iterator[None]:
    """Add the probabilities of every token to the sums, in every forward pass."""
    modules = dict(model.named_modules())
    with ExitStack() as hooks:
        for name in sums:
            router = name.rpartition(".")[0]
            place = next(known for known in modules if known == router or known.endswith(f".{router}"))
            add = partial(_add, sums[name], routers[name], routers.get(f"{router}.bias"))
            hooks.enter_context(modules[place].register_forward_pre_hook(add))
        yield


def _add(total: Tensor, rows: Tensor, bias: Tensor | None, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    seen = inputs[0].flatten(0, -2).float()
    logits = functional.linear(seen, rows.float(), None if bias is None else bias.float())
    total += functional.softmax(logits, dim=1).double().sum(dim=0)

"""A dense language model becomes one with experts: an expert for each domain, and what all domains share.

Read-ME (arXiv 2410.19123) does this without training from nothing. In a dense layer a token has one activation for each
hidden feature, act(gate·x)·(up·x). In every layer:

1. The mask of a domain is the half of the features with the largest mean activation on the domain's text.
2. Features in all masks are the shared part, which every token passes. An expert has the rest of its domain's mask.
   Both are slices of the dense layer's matrices.
3. The router learns how much the largest features of a token overlap with each mask.

Reconstructed: "largest" means by absolute value; the router is fitted by least squares; and every layer has as large a
shared part as the layer whose masks have the fewest features in common, so that one config serves all layers. What is
in common beyond that is in every expert. With one expert per token, a layer computes exactly what the dense layer does
with the features of one mask.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import Qwen2MoeConfig

from fedtrain.adapters.huggingface.models import load_model
from fedtrain.layouts import LayoutError

DENSE = ("llama", "qwen2")
"""Architectures that can be divided: without experts, they compute what Qwen2-MoE does."""
COPIED = (
    *("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "hidden_act"),
    *("max_position_embeddings", "initializer_range", "rms_norm_eps", "tie_word_embeddings", "rope_parameters"),
    *("attention_dropout", "pad_token_id", "bos_token_id", "eos_token_id"),
)
"""Fields of the dense config that the new one takes over."""
BATCH = 8
"""Windows that are run at once."""
RIDGE = 1e-3
"""Weight of the squared size of the router, as a share of the mean squared size of its inputs."""
UNIT = 8
"""Experts have a multiple of this number of features: matrix products of many experts at once need even strides."""
Seen = Callable[[int, Tensor, Tensor], None]
"""What looks at a layer's inputs (num_tokens, width) and features (num_tokens, num_features)."""


class _Division(NamedTuple):
    """How the features of one layer are divided: shared ones (s,), and each expert's own, (num_experts, n)."""

    shared: Tensor
    own: Tensor


def experts_from_dense(
    model: Any, domains: Sequence[Tensor], *, share: float = 0.5, experts_per_token: int = 1, seed: int = 0
) -> Any:
    """Return a model with one expert for each domain in every layer, made of a dense model's weights.

    Parameters
    ----------
    model
        A causal language model of transformers without experts, of the Llama or Qwen2 kind; it is not changed.
    domains
        For each domain, two or more, token numbers (num_windows, length), such as :func:`windows` makes them.
    share
        Share of a layer's features in a domain's mask, above 0 and below 1.
    experts_per_token
        Number of experts that a token is routed to.
    seed
        Seed of values that are overwritten; torch needs one.

    Returns
    -------
    Qwen2MoeForCausalLM
        With weights of its own, for :meth:`FineTuning.of`.

    Raises
    ------
    LayoutError
        If the model cannot be divided; the message names what is in the way.
    ValueError
        If a parameter is wrong, a domain has no tokens, or the domains' masks have no features in common, or all.
    """
    _check(model, domains, share, experts_per_token)
    masks = _masks(model, domains, share)
    shared = _shared_size(masks)
    divisions = [_divided(mask, shared) for mask in masks]
    routers = _routers(model, domains, [one > 0 for one in masks])
    config = model.config
    own = {"qkv_bias": config.model_type == "qwen2", "head_dim": model.model.layers[0].self_attn.head_dim}
    made = Qwen2MoeConfig(
        **{field: getattr(config, field) for field in COPIED},
        **own,
        num_experts=len(domains),
        num_experts_per_tok=experts_per_token,
        norm_topk_prob=True,
        moe_intermediate_size=divisions[0].own.shape[1],
        shared_expert_intermediate_size=len(divisions[0].shared),
    )
    divided = load_model(made, seed=seed, dtype=str(model.dtype).removeprefix("torch.")).to(model.device)
    with torch.no_grad():
        divided.load_state_dict(dict(_weights(model.state_dict(), divisions, routers)))
    return divided


def _check(model: Any, domains: Sequence[Tensor], share: float, experts_per_token: int) -> None:
    config = model.config
    if config.model_type not in DENSE:
        raise LayoutError(f"{config.model_type}: only dense models can be divided, of the kinds {', '.join(DENSE)}")
    for field in ("attention_bias", "mlp_bias", "use_sliding_window"):
        if getattr(config, field, False):
            raise LayoutError(f"{config.model_type}: a model with {field} cannot be divided")
    if not 0.0 < share < 1.0:
        raise ValueError(f"share is {share}; it must be above 0 and below 1")
    if len(domains) < 2:
        raise ValueError(f"there are {len(domains)} domains; two or more are needed")
    if not 1 <= experts_per_token <= len(domains):
        raise ValueError(f"experts_per_token is {experts_per_token}; there are {len(domains)} domains, so it must be "
                         f"1 to {len(domains)}")  # fmt: skip
    for number, tokens in enumerate(domains):
        if tokens.ndim != 2 or not tokens.numel():
            raise ValueError(f"domain {number} has tokens of shape {tuple(tokens.shape)}; they must be windows of the "
                             "same length, at least one")  # fmt: skip


def _masks(model: Any, domains: Sequence[Tensor], share: float) -> list[Tensor]:
    """Return for each layer the mean activations of the features in each domain's mask, 0 elsewhere: (domains, n)."""
    sums = [torch.zeros(len(domains), layer.mlp.down_proj.in_features) for layer in model.model.layers]
    for number, tokens in enumerate(domains):

        def add(layer: int, _: Tensor, features: Tensor, number: int = number) -> None:
            sums[layer][number] += features.abs().sum(dim=0).cpu()

        _run(model, tokens, add)
    masks = []
    numbers = torch.tensor([[tokens.numel()] for tokens in domains])
    for layer, total in enumerate(sums):
        if not torch.isfinite(total).all():
            raise ValueError(f"layer {layer}: the activations are not finite, so the dense model has diverged")
        mean = total / numbers
        masks.append(torch.where(_largest(mean, share), mean.clamp_min(torch.finfo(mean.dtype).tiny), 0.0))
    return masks


def _shared_size(masks: Sequence[Tensor]) -> int:
    """Return the size of the shared part, which is the same in all layers."""
    common = [int((mask > 0).all(dim=0).sum()) for mask in masks]
    size, fewest = int((masks[0][0] > 0).sum()), min(common)
    if fewest == size:
        raise ValueError("the domains have the same mask in every layer, so no expert has a feature of its own; take a "
                         "smaller share, or domains that differ")  # fmt: skip
    own = UNIT * -((fewest - size) // UNIT)
    if own >= size:
        raise ValueError(
            f"layer {common.index(fewest)}: {fewest} of the {size} features of a mask are in all masks, too few for a "
            f"shared part beside experts of {UNIT}, {2 * UNIT}, … features; take a larger share"
        )
    return size - own


def _divided(mask: Tensor, num_shared: int) -> _Division:
    """Share the features in all masks with the largest activations; the rest of a mask is the expert's own."""
    everywhere = (mask > 0).all(dim=0)
    order = torch.argsort(torch.where(everywhere, mask.sum(dim=0), -1.0), descending=True, stable=True)
    shared = torch.sort(order[:num_shared]).values
    rest = mask > 0
    rest[:, shared] = False
    return _Division(shared, torch.stack([row.nonzero()[:, 0] for row in rest]))


def _routers(model: Any, domains: Sequence[Tensor], masks: Sequence[Tensor]) -> list[Tensor]:
    """Return each layer's router, (num_experts, width): least squares of the overlaps of the tokens with the masks."""
    width = model.config.hidden_size
    squares = [torch.zeros(width, width, dtype=torch.float64) for _ in masks]
    products = [torch.zeros(width, len(domains), dtype=torch.float64) for _ in masks]

    def add(layer: int, inputs: Tensor, features: Tensor) -> None:
        mask, seen = masks[layer].double(), inputs.double().cpu()
        overlap = _largest(features.abs(), float(mask[0].mean())).double().cpu() @ mask.T
        overlap -= overlap.mean(dim=1, keepdim=True)
        squares[layer] += seen.T @ seen
        products[layer] += seen.T @ overlap

    for tokens in domains:
        _run(model, tokens, add)
    rows = []
    for square, product in zip(squares, products, strict=True):
        ridge = RIDGE * square.trace() / width
        rows.append(torch.linalg.solve(square + ridge * torch.eye(width, dtype=torch.float64), product).T)
    return rows


def _largest(values: Tensor, share: float) -> Tensor:
    """Return which entries are the largest share of their row, at least one; the first of equal ones."""
    number = max(1, round(share * values.shape[1]))
    order = torch.argsort(values, dim=1, descending=True, stable=True)
    return torch.zeros_like(values, dtype=torch.bool).scatter_(1, order[:, :number], value=True)


def _run(model: Any, tokens: Tensor, seen: Seen) -> None:
    """Run the model on the tokens, and let ``seen`` look into every layer."""
    was_training = model.training
    model.eval()
    with torch.no_grad(), ExitStack() as hooks:
        for number, layer in enumerate(model.model.layers):
            inputs: list[Tensor] = []
            hooks.enter_context(layer.mlp.register_forward_pre_hook(partial(_note, inputs)))
            hooks.enter_context(layer.mlp.down_proj.register_forward_pre_hook(partial(_tell, number, inputs, seen)))
        for batch in torch.split(tokens, BATCH):
            model(input_ids=batch.to(model.device), use_cache=False)
    model.train(was_training)


def _note(inputs: list[Tensor], module: Any, given: tuple[Tensor, ...]) -> None:
    inputs[:] = [given[0].flatten(0, -2)]


def _tell(number: int, inputs: list[Tensor], seen: Seen, module: Any, given: tuple[Tensor, ...]) -> None:
    seen(number, inputs[0].float(), given[0].flatten(0, -2).float())


def _weights(
    dense: dict[str, Tensor], divisions: Sequence[_Division], routers: Sequence[Tensor]
) -> Iterator[tuple[str, Tensor]]:
    """Yield the new model's weights: the dense layers' slices, and all else as it is."""
    for name, value in dense.items():
        if ".mlp." not in name:
            yield name, value
    for number, (division, router) in enumerate(zip(divisions, routers, strict=True)):
        mlp = f"model.layers.{number}.mlp"
        gate, up, down = (dense[f"{mlp}.{matrix}_proj.weight"] for matrix in ("gate", "up", "down"))
        own, shared = division.own.to(gate.device), division.shared.to(gate.device)
        yield f"{mlp}.experts.gate_up_proj", torch.stack([torch.cat([gate[one], up[one]]) for one in own])
        yield f"{mlp}.experts.down_proj", torch.stack([down[:, one] for one in own])
        yield f"{mlp}.gate.weight", router
        yield f"{mlp}.shared_expert.gate_proj.weight", gate[shared]
        yield f"{mlp}.shared_expert.up_proj.weight", up[shared]
        # A gate of zeros lets half of the shared part through.
        yield f"{mlp}.shared_expert.down_proj.weight", 2 * down[:, shared]
        yield f"{mlp}.shared_expert_gate.weight", gate.new_zeros(1, gate.shape[1])

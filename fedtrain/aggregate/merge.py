"""From updates to the new model: each expert's updates are stacked, merged by the chosen rule, and put in place.

A part is merged over those who returned it: the shared part over all, an expert with its row of the router over its
holders. Weights are the clients' examples, for an expert times their usage of it. Updates are put in the order of their
clients and computed with in float64, so that the result does not depend on the order in which they arrive. A part that
nobody, or fewer than ``min_holders``, gave any weight stays bit for bit what it was.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from alignsolve.numerics import FloatArray
from fedtrain.aggregate.mean import mean
from fedtrain.aggregate.median import median
from fedtrain.aggregate.multi_krum import multi_krum
from fedtrain.aggregate.trimmed_mean import trimmed_mean
from fedtrain.config import AggregationConfig
from fedtrain.local.update import Update
from fedtrain.models import Tensors, expert_of

Rule: TypeAlias = Callable[..., FloatArray]

RULES: dict[str, Rule] = {
    "mean": mean,
    "median": median,
    "trimmed-mean": trimmed_mean,
    "multi-krum": multi_krum,
}
"""Every rule by name: ``rule(values, weights, *, bad_share)``."""


def aggregate(
    current: Mapping[str, Tensor], updates: Iterable[Update], config: AggregationConfig | None = None
) -> Tensors:
    """Merge the updates into new tensors of the whole model.

    Parameters
    ----------
    current
        The whole model's tensors before this round; not changed.
    updates
        Already inspected (:mod:`fedtrain.server.reception`); in any order, at most one per client.
    config
        The rule and its settings; None: the mean.
    """
    config = config or AggregationConfig()
    ordered = sorted(updates, key=lambda update: update.client)
    parts: dict[int | None, list[str]] = {}
    for name in current:
        parts.setdefault(expert_of(name), []).append(name)
    merged = dict(current)
    for names in parts.values():
        holders = [update for update in ordered if names[0] in update.tensors and update.weight(names[0]) > 0.0]
        if len(holders) >= config.min_holders:
            merged |= _merge_part(current, names, holders, config)
    return merged


def _merge_part(
    current: Mapping[str, Tensor], names: list[str], holders: list[Update], config: AggregationConfig
) -> Tensors:
    stacked = np.stack([_flat(update, names) for update in holders])
    weights = np.array([update.weight(names[0]) if config.weights == "examples" else 1.0 for update in holders])
    flat = RULES[config.rule](stacked, weights, bad_share=config.bad_share)
    return _unflat(flat, {name: current[name] for name in names})


def _flat(update: Update, names: list[str]) -> FloatArray:
    return torch.cat([update.tensors[name].detach().double().reshape(-1) for name in names]).numpy()


def _unflat(flat: FloatArray, like: Mapping[str, Tensor]) -> Tensors:
    """Cut a vector into tensors of these shapes and types."""
    tensors, start = {}, 0
    for name, value in like.items():
        stop = start + value.nelement()
        tensors[name] = torch.from_numpy(flat[start:stop].copy()).reshape(value.shape).to(value.dtype)
        start = stop
    return tensors

"""Builds the new model from the updates: each part is merged by the chosen rule and written into a copy.

A part is merged over the clients that returned it. The shared part is merged over all clients; an expert, with its rows
of the router, over its holders. The weight of a client is its number of examples, for an expert times its usage of that
expert.

Updates are sorted by client and merged in float64, so the order of arrival changes nothing. A part with fewer than
``min_holders`` holders of positive weight stays unchanged. Integer tensors, such as counters, have no mean and stay
unchanged as well.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from alignsolve.numerics import FloatArray
from fedtrain.aggregate import arrays
from fedtrain.aggregate.arrays import Array
from fedtrain.aggregate.mean import mean
from fedtrain.aggregate.median import median
from fedtrain.aggregate.multi_krum import multi_krum
from fedtrain.aggregate.trimmed_mean import trimmed_mean
from fedtrain.config import AggregationConfig
from fedtrain.layouts import Layout, Piece, RouterRows, Weights, detect

Rule: TypeAlias = Callable[..., FloatArray]

RULES: dict[str, Rule] = {
    "mean": mean,
    "median": median,
    "trimmed-mean": trimmed_mean,
    "multi-krum": multi_krum,
}
"""All rules by name. A rule is called as ``rule(values, weights, *, bad_share)``."""


class _Returned(Protocol):
    """The interface that merging needs of an update; :class:`fedtrain.partial.PartialUpdate` has it."""

    @property
    def client(self) -> Any: ...
    @property
    def experts(self) -> Sequence[int]: ...
    @property
    def weights(self) -> Weights: ...
    def weight(self, expert: int | None) -> float: ...


class _Holding(NamedTuple):
    """One client's values of one part, with the client's weight for this part."""

    tensors: Weights
    pieces: list[Piece]
    weight: float


def aggregate(
    current: Weights,
    updates: Iterable[_Returned],
    config: AggregationConfig | None = None,
    *,
    layout: Layout | None = None,
    router_rows: RouterRows = "held",
) -> dict[str, Array]:
    """Merge updates into new tensors of the whole model.

    Parameters
    ----------
    current
        The whole model's tensors before this round; they are not changed.
    updates
        Updates that were already inspected (:func:`fedtrain.partial.find_fault`), in any order, at most one per client.
    config
        The rule and its settings; None means the mean.
    layout
        The mapping from tensors to experts; None: it is detected from the tensors.
    router_rows
        The rows of the router that the clients return. With ``all``, the router is merged like the shared part.

    Returns
    -------
    dict
        The new tensors. Unchanged tensors are the given objects, not copies.
    """
    config, layout = config or AggregationConfig(), layout or detect(current)
    real = {name: value for name, value in current.items() if arrays.is_real(value)}
    merged = dict(current)
    for holders in _by_part(real, updates, layout, router_rows).values():
        if len(holders) >= config.min_holders:
            for piece, value in zip(holders[0].pieces, _merge_part(current, holders, config), strict=True):
                if merged[piece.name] is current[piece.name]:
                    merged[piece.name] = arrays.copy(current[piece.name])
                merged[piece.name][piece.whole] = value
    return merged


def _by_part(
    current: Weights, updates: Iterable[_Returned], layout: Layout, router_rows: RouterRows
) -> dict[int | None, list[_Holding]]:
    """Group the returned values by part: by expert, or None for the shared part."""
    found: dict[int | None, list[_Holding]] = {}
    for update in sorted(updates, key=lambda update: update.client):
        own: dict[int | None, list[Piece]] = {}
        for piece in layout.pieces(current, update.experts, router_rows):
            own.setdefault(piece.expert, []).append(piece)
        for expert, pieces in own.items():
            weight = update.weight(expert)
            if weight > 0.0:
                found.setdefault(expert, []).append(_Holding(update.weights, pieces, weight))
    return found


def _merge_part(current: Weights, holders: Sequence[_Holding], config: AggregationConfig) -> list[Array]:
    """Return the new value of each piece. All holders have the same pieces in the same order."""
    weights = [holder.weight if config.weights == "examples" else 1.0 for holder in holders]
    old = [current[piece.name][piece.whole] for piece in holders[0].pieces]
    returned = [[holder.tensors[piece.name][piece.sliced] for piece in holder.pieces] for holder in holders]
    if config.rule == "mean":  # piece by piece, so only one piece at a time is held in float64
        return [
            arrays.weighted_mean(zip(values, weights, strict=True), like)
            for like, *values in zip(old, *returned, strict=True)
        ]
    stacked = np.stack([arrays.flatten(values) for values in returned])
    return arrays.unflatten(RULES[config.rule](stacked, np.array(weights), bad_share=config.bad_share), old)

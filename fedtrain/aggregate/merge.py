"""From updates to the new model: each expert's updates are merged by the chosen rule and put in place.

A part is merged over the clients that returned it: the shared part over all of them, an expert with its rows of the
router over its holders. Weights are the clients' examples, for an expert times their usage of it. Updates are taken in
the order of their clients and computed with in float64, so that the order of arrival changes nothing. A part that
nobody, or fewer than ``min_holders``, gave any weight stays bit for bit what it was. Tensors of integers, counters for
example, have no mean; they stay as well.
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
"""Every rule by name: ``rule(values, weights, *, bad_share)``."""


class _Returned(Protocol):
    """What merging needs to know of an update; :class:`fedtrain.partial.PartialUpdate` is one."""

    @property
    def client(self) -> Any: ...
    @property
    def experts(self) -> Sequence[int]: ...
    @property
    def weights(self) -> Weights: ...
    def weight(self, expert: int | None) -> float: ...


class _Holding(NamedTuple):
    """What one client returned of one part, and the weight that it has there."""

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
        The whole model's tensors before this round; not changed.
    updates
        Already inspected (:func:`fedtrain.partial.find_fault`); in any order, at most one per client.
    config
        The rule and its settings; None: the mean.
    layout
        Which tensors belong to which expert; None: recognised.
    router_rows
        Which of the router's rows the clients return. ``all``: they are merged as the shared part is.

    Returns
    -------
    dict
        The new tensors; those that did not change are the ones given.
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
    """Sort what was returned by the part that it belongs to: an expert, or the shared part (None)."""
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
    """Return the new value of each piece; every holder has the same pieces in the same order."""
    weights = [holder.weight if config.weights == "examples" else 1.0 for holder in holders]
    old = [current[piece.name][piece.whole] for piece in holders[0].pieces]
    returned = [[holder.tensors[piece.name][piece.sliced] for piece in holder.pieces] for holder in holders]
    if config.rule == "mean":  # piece by piece: only one of them is held in float64
        return [
            arrays.weighted_mean(zip(values, weights, strict=True), like)
            for like, *values in zip(old, *returned, strict=True)
        ]
    stacked = np.stack([arrays.flatten(values) for values in returned])
    return arrays.unflatten(RULES[config.rule](stacked, np.array(weights), bad_share=config.bad_share), old)

"""Builds the new model from the updates: each part is merged by the chosen rule and written into a copy.

A part is merged over the clients that returned it. The shared part is merged over all clients; an expert, with its rows
of the router, over its holders. The weight of a client is its number of examples, for an expert times its usage of that
expert.

Updates are sorted by client and merged in float64, so the order of arrival changes nothing. A part with fewer than
``min_holders`` holders of positive weight stays unchanged. Integer tensors, such as counters, have no mean and stay
unchanged as well.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from alignsolve.numerics import FloatArray
from fedtrain.aggregate import arrays
from fedtrain.aggregate.arrays import Array
from fedtrain.aggregate.distance_filtered import distance_filtered
from fedtrain.aggregate.domain_aware import domain_aware
from fedtrain.aggregate.learned import learned
from fedtrain.aggregate.mean import mean
from fedtrain.aggregate.median import median
from fedtrain.aggregate.multi_krum import multi_krum
from fedtrain.aggregate.norm_matched import norm_matched
from fedtrain.aggregate.part import Memory, Part
from fedtrain.aggregate.trimmed_mean import trimmed_mean
from fedtrain.config import AggregationConfig
from fedtrain.layouts import Layout, Piece, RouterRows, Weights, detect

Rule: TypeAlias = Callable[..., FloatArray]
Score: TypeAlias = Callable[[Weights], float]
"""The score of a whole model on the server's own examples, such as minus its mean loss: higher is better."""

RULES: dict[str, Rule] = {
    "mean": mean,
    "median": median,
    "trimmed-mean": trimmed_mean,
    "multi-krum": multi_krum,
    "norm-matched": norm_matched,
}
"""The rules that see values and weights, by name. A rule is called as ``rule(values, weights, *, bad_share)``."""

WEIGHINGS: dict[str, Callable[[Part], FloatArray]] = {
    "distance-filtered": distance_filtered,
    "domain-aware": domain_aware,
    "learned": learned,
}
"""The rules that see more, by name. A rule gets a :class:`Part` and returns each holder's weight in the mean."""

STEP = 0.25
"""How far the model moves towards a holder's part when it is tried (:mod:`fedtrain.aggregate.learned`)."""
BY_TENSOR = ("norm-matched",)
"""The rules that merge each tensor by itself. All others merge all tensors of a part as one vector."""


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

    client: int
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
    score: Score | None = None,
    memory: Memory | None = None,
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
    score
        A function of a whole model's tensors, for the rule ``learned``: its score on the server's own examples.
    memory
        The memory of the rules ``domain-aware`` and ``learned``, an empty dictionary before the first round; it is
        updated. None: nothing is remembered.

    Returns
    -------
    dict
        The new tensors. Unchanged tensors are the given objects, not copies.

    Raises
    ------
    LayoutError
        If the rule is ``domain-aware``, and the layout has no router.
    ValueError
        If the rule is ``learned``, and there is no score, or it is not a number.
    """
    config, layout = config or AggregationConfig(), layout or detect(current)
    real = {name: value for name, value in current.items() if arrays.is_real(value)}
    merged = dict(current)
    base = score(current) if score is not None and config.rule == "learned" else 0.0
    parts = _by_part(real, updates, layout, router_rows)
    shared = {holder.client: [holder] for holder in parts.get(None, [])}
    known: Memory = {} if memory is None else memory
    noted: dict[str, Any] = {}
    for expert, holders in sorted(parts.items(), key=lambda item: -1 if item[0] is None else item[0]):
        if len(holders) < config.min_holders:
            continue
        weights = np.array([holder.weight if config.weights == "examples" else 1.0 for holder in holders])
        if config.rule in WEIGHINGS:
            clients = tuple(holder.client for holder in holders)
            router = None if expert is None else _router(current, holders, expert, layout, router_rows)
            trials = [[*(shared.get(one.client, []) if expert is not None else []), one] for one in holders]
            tried = None if score is None else partial(_score, score, current, trials)
            values = partial(_stacked, holders)
            weights = WEIGHINGS[config.rule](
                Part(expert, clients, weights, values, router, tried, base, config, known, noted)
            )
            if not weights.any():  # the rule trusts none of the holders
                continue
        _write(merged, current, holders[0].pieces, _merge_part(current, holders, weights, config))
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
                found.setdefault(expert, []).append(_Holding(update.client, update.weights, pieces, weight))
    return found


def _merge_part(
    current: Weights, holders: Sequence[_Holding], weights: FloatArray, config: AggregationConfig
) -> list[Array]:
    """Return the new value of each piece. All holders have the same pieces in the same order."""
    old = [current[piece.name][piece.whole] for piece in holders[0].pieces]
    returned = [_values(holder) for holder in holders]
    if config.rule == "mean" or config.rule in WEIGHINGS:  # so only one piece at a time is held in float64
        shares = weights.tolist()
        return [
            arrays.weighted_mean(zip(values, shares, strict=True), like)
            for like, *values in zip(old, *returned, strict=True)
        ]
    together = [[k] for k in range(len(old))] if config.rule in BY_TENSOR else [list(range(len(old)))]
    merged: list[Array] = []
    for chosen in together:
        stacked = np.stack([arrays.flatten([values[k] for k in chosen]) for values in returned])
        value = RULES[config.rule](stacked, weights, bad_share=config.bad_share)
        merged += arrays.unflatten(value, [old[k] for k in chosen])
    return merged


def _values(holder: _Holding) -> list[Array]:
    return [holder.tensors[piece.name][piece.sliced] for piece in holder.pieces]


def _stacked(holders: Sequence[_Holding]) -> FloatArray:
    """Return the holders' values, (num_holders, num_parameters)."""
    return np.stack([arrays.flatten(_values(holder)) for holder in holders])


def _write(into: dict[str, Array], current: Weights, pieces: Sequence[Piece], values: Sequence[Array]) -> None:
    """Write values of pieces into tensors of the whole model; those that are still ``current``'s are copied first."""
    for piece, value in zip(pieces, values, strict=True):
        if into[piece.name] is current[piece.name]:
            into[piece.name] = arrays.copy(current[piece.name])
        into[piece.name][piece.whole] = value


def _score(score: Score, current: Weights, trials: Sequence[Sequence[_Holding]], position: int) -> float:
    """Return the score of the model after a step towards the parts of one trial, as its holder returned them."""
    tried = dict(current)
    for holder in trials[position]:
        old = [current[piece.name][piece.whole] for piece in holder.pieces]
        ways = zip(old, _values(holder), strict=True)
        moved = [arrays.weighted_mean(((before, 1.0 - STEP), (after, STEP)), before) for before, after in ways]
        _write(tried, current, holder.pieces, moved)
    return float(score(tried))


def _router(
    current: Weights, holders: Sequence[_Holding], expert: int, layout: Layout, router_rows: RouterRows
) -> FloatArray | None:
    """Return each holder's row of the router for an expert, (num_holders, n); None if the layout has no router."""
    routers = {name: current[name] for name, part in layout.parts.items() if part.router and name in current}
    own = {piece.name: piece.whole for piece in layout.pieces(routers, (expert,), "held")}
    if not own:
        return None
    if router_rows == "all":  # every client returned the whole router
        rows = [[holder.tensors[name][whole] for name, whole in own.items()] for holder in holders]
    else:
        rows = [
            [holder.tensors[one.name][one.sliced] for one in holder.pieces if one.name in own] for holder in holders
        ]
    return np.stack([arrays.flatten(row) for row in rows])

"""Inspect clients' updates and merge those without a fault, expert by expert (:mod:`fedtrain.aggregate`)."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from numbers import Real
from typing import Any, NamedTuple

from fedtrain.aggregate import aggregate
from fedtrain.aggregate.arrays import Array
from fedtrain.config import AggregationConfig
from fedtrain.layouts import Layout, RouterRows, Weights
from fedtrain.partial.update import PartialUpdate, find_fault


class Merged(NamedTuple):
    """A round's result.

    Attributes
    ----------
    weights
        The whole model's tensors after the round; those that did not change are the ones given.
    faults
        Why updates were not merged, by client.
    """

    weights: dict[str, Array]
    faults: dict[int, str]


def merge(
    weights: Weights,
    updates: Iterable[PartialUpdate],
    layout: Layout,
    *,
    assigned: Mapping[int, Sequence[int]],
    cap: float | Mapping[int, float],
    router_rows: RouterRows = "held",
    aggregation: AggregationConfig | None = None,
) -> Merged:
    """Merge what the clients trained into the whole model, expert by expert.

    Parameters
    ----------
    weights
        The whole model's tensors before the round; not changed.
    updates
        In any order. Each is inspected; one with a fault is left out, and so are all of a client that sent several.
    layout
        From :func:`fedtrain.layouts.detect`.
    assigned
        The experts that each client was given (:func:`fedtrain.partial.assignments`).
    cap
        The most examples that a client can have, for all or by client; finite.
    router_rows
        Which of the router's rows the clients return. ``all``: they are merged as the shared part is.
    aggregation
        The rule and its settings; None: the weighted mean.

    Raises
    ------
    ValueError
        If a cap is infinite or not a number: one client could then outvote all others.
    """
    caps = cap if isinstance(cap, Mapping) else dict.fromkeys(assigned, cap)
    for client, most in caps.items():
        if not 0 <= most < math.inf:
            raise ValueError(f"cap of client {client} is {most}; it must be finite and 0 or more")
    arrived = sorted(updates, key=lambda update: _place(update.client))
    times = Counter(update.client for update in arrived)
    faults, sound = {}, []
    for update in arrived:
        given, most = assigned.get(update.client), caps.get(update.client, 0.0)
        fault = find_fault(update, weights, layout, assigned=given, cap=most, router_rows=router_rows)
        if times[update.client] > 1:
            fault = f"sent {times[update.client]} updates"
        if fault is None and given is not None:
            sound.append(replace(update, experts=layout.check_experts(given)))
        elif fault is not None:
            faults[update.client] = fault
    return Merged(aggregate(weights, sound, aggregation, layout=layout, router_rows=router_rows), faults)


def _place(client: object) -> tuple[str, Any, str]:
    """Where a client comes: numbers by size, then other ids, which only strangers should have, by type and by text."""
    return ("", client, "") if isinstance(client, Real) else (type(client).__name__, 0, str(client))

"""Merge clients' updates per (parameter, expert): weighted means over those who trained it, nothing else touched.

The shared part is weighted by the clients' examples, an expert and its rows of the router by how many of those went
through it. Sums are kept in float64 and added in the order of the clients' indices, so that the result does not depend
on the order of arrival. What nobody gave any weight stays bit for bit what it was. Tensors of integers, counters say,
have no mean; they stay as well.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from numbers import Real
from typing import Any, NamedTuple

from fedtrain.aggregate import arrays
from fedtrain.aggregate.arrays import Array
from fedtrain.layouts import Layout, Part, Weights
from fedtrain.partial.slicing import RouterRows, travelling_part
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
) -> Merged:
    """Average what the clients trained into the whole model, expert by expert.

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
        Which of the router's rows the clients return. ``all``: they are averaged as the shared part is.

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
    return Merged(_averaged(weights, sound, layout, router_rows), faults)


def _place(client: object) -> tuple[str, Any, str]:
    """Where a client comes: numbers by size, then other ids, which only strangers should have, by type and by text."""
    return ("", client, "") if isinstance(client, Real) else (type(client).__name__, 0, str(client))


def _averaged(
    weights: Weights, updates: Sequence[PartialUpdate], layout: Layout, router_rows: RouterRows
) -> dict[str, Array]:
    shares = [update.expert_weights() for update in updates]
    merged = {}
    for name, value in weights.items():
        part = travelling_part(layout, name, router_rows)
        if not arrays.is_real(value):
            merged[name] = value
        elif part is None:
            returned = ((update.weights[name], float(update.num_examples)) for update in updates)
            mean = arrays.weighted_mean(returned, value)
            merged[name] = value if mean is None else mean
        else:
            merged[name] = _averaged_by_expert(value, part, _entries(name, part, value, updates, shares))
    return merged


def _entries(
    name: str, part: Part, value: Array, updates: Sequence[PartialUpdate], shares: Sequence[Mapping[int, float]]
) -> dict[int, list[tuple[Array, float]]]:
    """Collect what was returned for each expert, and with which weight: views, not copies."""
    width = part.width(tuple(value.shape))
    entries: dict[int, list[tuple[Array, float]]] = {}
    for update, share in zip(updates, shares, strict=True):
        held = part.held(update.experts)
        for position, expert in enumerate(held):
            returned = update.weights[name][part.place(position, len(held), width)]
            entries.setdefault(expert, []).append((returned, share[part.first + expert]))
    return entries


def _averaged_by_expert(value: Array, part: Part, entries: Mapping[int, Sequence[tuple[Array, float]]]) -> Array:
    """One expert after the other: no more than one expert's entries are held in float64."""
    width = part.width(tuple(value.shape))
    result = value
    for expert, returned in entries.items():
        place = part.place(expert, part.count, width)
        mean = arrays.weighted_mean(returned, value[place])
        if mean is not None:
            result = arrays.copy(value) if result is value else result
            result[place] = mean
    return result

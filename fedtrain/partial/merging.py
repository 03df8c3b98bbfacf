"""Inspects clients' updates and merges those without a fault, expert by expert (:mod:`fedtrain.aggregate`)."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from numbers import Real
from typing import Any, NamedTuple

from fedtrain.aggregate import Memory, Score, aggregate
from fedtrain.aggregate.arrays import Array
from fedtrain.config import AggregationConfig
from fedtrain.layouts import Layout, RouterRows, Weights
from fedtrain.partial.update import PartialUpdate, find_fault


class Merged(NamedTuple):
    """The result of merging a round's updates.

    Attributes
    ----------
    weights
        The whole model's tensors after the round. Unchanged tensors are the given objects, not copies.
    faults
        By client: the reason why its update was not merged.
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
    score: Score | None = None,
    memory: Memory | None = None,
) -> Merged:
    """Merge the clients' updates into the whole model, expert by expert.

    Parameters
    ----------
    weights
        The whole model's tensors before the round; they are not changed.
    updates
        The updates, in any order. Each is inspected, and an update with a fault is left out. If a client sent several
        updates, all of them are left out.
    layout
        The model's layout, from :func:`fedtrain.layouts.detect`.
    assigned
        The experts that each client was assigned (:func:`fedtrain.partial.assignments`).
    cap
        The maximum number of examples of a client: one number for all, or one per client. It must be finite.
    router_rows
        The rows of the router that the clients return. With ``all``, the router is merged like the shared part.
    aggregation
        The rule and its settings; None means the weighted mean.
    score
        A function of a whole model's tensors, for the rule ``learned``: its score on examples that you keep for this,
        such as minus the mean loss.
    memory
        The memory of the rules ``domain-aware`` and ``learned``: an empty dictionary before the first round, and the
        same one in every round. It is updated, and holds numpy arrays by name. None: nothing is remembered.

    Raises
    ------
    ValueError
        If a cap is infinite or not a number: one client could then outvote all others. If the rule is ``learned``, and
        there is no score, or it is not a number.
    LayoutError
        If the rule is ``domain-aware``, and the layout has no router.
    """
    # Check the caps.
    caps = cap if isinstance(cap, Mapping) else dict.fromkeys(assigned, cap)
    for client, most in caps.items():
        if not 0 <= most < math.inf:
            raise ValueError(f"cap of client {client} is {most}; it must be finite and 0 or more")
    # Inspect the updates in the order of their clients.
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
    # Merge the updates without a fault.
    rest: Any = {"layout": layout, "router_rows": router_rows, "score": score, "memory": memory}
    return Merged(aggregate(weights, sound, aggregation, **rest), faults)


def _place(client: object) -> tuple[str, Any, str]:
    """Return the sort key of a client id: numbers come first, by size; other ids follow, by type and then by text.

    Valid ids are numbers. Other ids come from clients that were not asked.
    """
    return ("", client, "") if isinstance(client, Real) else (type(client).__name__, 0, str(client))

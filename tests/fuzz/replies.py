"""Replies: updates that clients damage or invent are inspected and merged; neither the model nor others are harmed."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from fedtrain.config import ValidationConfig
from fedtrain.layouts import detect
from fedtrain.partial import PartialUpdate, find_fault, merge
from fedtrain.server.simulated_clients import seal
from tests.faults import NONSENSE
from tests.fuzz.reports import ODD
from tests.fuzz.tally import Fault, Tally
from tests.fuzz.watch import EVERY_ERROR, HangError, in_time
from tests.updates import SPEC, draw, inspect, make_update

FIELDS = ("client", "experts", "num_examples", "usage", "loss", "accuracy", "router_mass", "weights")
CAP = 10


def example(rng: np.random.Generator, tally: Tally) -> Fault | None:
    """Send three sound updates and one that is not; return the first fault."""
    model = draw(0)
    held = {client: tuple(sorted(rng.choice(SPEC.num_experts, int(rng.integers(1, 4)), replace=False).tolist()))
            for client in range(4)}  # fmt: skip
    updates = [make_update(client, experts) for client, experts in held.items()]
    bad = _damaged(rng, updates[3])
    tally.counts["replies"] += 1
    told = None
    try:
        told = in_time(lambda: _told(rng, model, held, updates[:3], bad))
    except HangError:
        told = "the inspection does not end"
    except EVERY_ERROR as error:
        told = f"{type(error).__name__}: {error}"
    return None if told is None else Fault("", told, " ".join(f"# the update: {bad!r}".split())[:900])


def _told(
    rng: np.random.Generator, model: Any, held: dict[int, Any], sound: list[PartialUpdate], bad: PartialUpdate
) -> str | None:  # fmt: skip
    layout = detect(model)
    fault = find_fault(bad, model, layout, assigned=held[3], cap=CAP)
    if fault is None and _is_harmful(bad):
        return "a harmful update has no fault"
    if _is_plain(bad.client):
        merged = merge(model, [*sound, bad], layout, assigned=held, cap=CAP)
        if not all(bool(torch.isfinite(value).all()) for value in merged.weights.values()):
            return "the merged model is not finite"
        own = merge(model, sound, layout, assigned=held, cap=CAP)
        meant = bad.client == 3 and type(bad.client) is int  # else it speaks for another client, and silences it
        if (
            meant
            and fault is not None
            and not all(torch.equal(own.weights[name], merged.weights[name]) for name in own.weights)
        ):
            return "an update with a fault changed the model"
    replies = [seal(update.client, 0, update) for update in sound]
    replies.append(replace(seal(3, 0, sound[0]), update=bad) if rng.random() < 0.2 else _sealed(bad))
    inspected = inspect(replies, held, ValidationConfig(), cap=CAP)
    if {update.client for update in inspected.updates} < {0, 1, 2}:
        return f"sound updates were refused: {inspected.faults}"
    if fault is not None and any(update.client == 3 for update in inspected.updates):
        return f"the inspector lets through an update with a fault: {fault}"
    if sorted(report.client for report in inspected.reports) != [0, 1, 2, 3]:
        return "a client that was asked has no report"
    return None


def _sealed(bad: PartialUpdate) -> Any:
    """Seal an update as its sender would; what cannot be sealed is sent with a wrong checksum."""
    try:
        return seal(3, 0, bad)
    except EVERY_ERROR:
        return replace(seal(3, 0, make_update(3, (0,))), update=bad)


def _is_plain(client: Any) -> bool:
    try:
        hash(client)
    except TypeError:
        return False
    return True


def _is_harmful(update: PartialUpdate) -> bool:
    """Whether numbers that are merged are not finite, or weights are negative or beyond the cap."""
    tensors = [value for value in update.weights.values() if isinstance(value, torch.Tensor)]
    broken = any(not bool(torch.isfinite(value).all()) for value in tensors)
    usage = np.ones(1) if update.usage is None else np.asarray(update.usage, dtype=np.float64)
    return broken or not 0 < update.num_examples <= CAP or not ((usage >= 0) & (usage < 1.01)).all()


def _damaged(rng: np.random.Generator, update: PartialUpdate) -> PartialUpdate:
    """Damage one to three parts of an update."""
    for _ in range(int(rng.integers(1, 4))):
        if rng.random() < 0.4:
            try:
                update = NONSENSE[int(rng.integers(len(NONSENSE)))](rng, update)
            except EVERY_ERROR:  # it was damaged too much for that already
                continue
            continue
        name = FIELDS[int(rng.integers(len(FIELDS)))]
        odd = ODD[int(rng.integers(len(ODD)))]
        value = getattr(update, name)
        if name == "weights" and isinstance(value, dict) and value and rng.random() < 0.8:
            key = sorted(value, key=str)[int(rng.integers(len(value)))]
            odd = {**value, (key if rng.random() < 0.8 else odd if _is_plain(odd) else "odd"): odd}
        elif isinstance(value, np.ndarray) and value.size and rng.random() < 0.6:
            parts = value.tolist()
            parts[int(rng.integers(len(parts)))] = odd
            odd = parts
        update = replace(update, **{name: odd})
    return update

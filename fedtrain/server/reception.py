"""The server's door: every reply is looked at before it is merged, and a bad one is put aside with its reason.

Quarantined is what comes from nobody who was asked, what belongs to another round, what was damaged on the way, a
second reply of the same client, what :func:`.update.find_fault` refuses, and what is too far from the model
that was sent out. Of a client's replies the one with the lowest count of attempts is judged, the lowest checksum
deciding between equal counts; so the verdict does not depend on the order in which replies arrive.

The limit on norms: an update's shared part, and each of its experts with its row of the router, may move by at most
``norm_limit`` times the median of the round's shared parts, or experts, that passed everything else. Experts are
compared with all experts, since few clients hold the same one.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from torch import Tensor

from fedtrain.config import ValidationConfig
from fedtrain.local.update import Update, find_fault
from fedtrain.models import expert_of
from fedtrain.partial.reasons import printable
from fedtrain.server.reply import Reply, checksum


class Asked(NamedTuple):
    """What a client was asked for: experts, ascending, on at most so many examples."""

    experts: tuple[int, ...]
    num_examples: int


class Quarantined(NamedTuple):
    """A reply that was put aside.

    Attributes
    ----------
    client
        Whose connection it came by.
    reason
        Why, in printable characters, at most 200.
    """

    client: int
    reason: str


@dataclass(frozen=True)
class Received:
    """What came in.

    Attributes
    ----------
    updates
        Those that may be merged, ascending by client.
    quarantined
        The replies that may not, ascending by client.
    """

    updates: list[Update]
    quarantined: list[Quarantined]


def receive(
    replies: Iterable[Reply],
    asked: Mapping[int, Asked],
    current: Mapping[str, Tensor],
    number: int,
    validation: ValidationConfig,
) -> Received:
    """Look at a round's replies, in whatever order they came.

    Parameters
    ----------
    replies
        All that came in.
    asked
        Who was asked for what, by client.
    current
        The whole model's tensors, as they were sent out.
    number
        The round, counted from 0.
    validation
        The limits.
    """
    chosen, quarantined = _one_each(replies)
    sound = []
    for reply in chosen:
        fault = _fault(reply, asked, current, number)
        if fault is None:
            sound.append(reply.update)
        else:
            quarantined.append(Quarantined(reply.sender, fault))
    too_far = _too_far(sound, current, validation)
    quarantined += [Quarantined(client, fault) for client, fault in too_far.items()]
    return Received(
        [update for update in sound if update.client not in too_far],
        sorted(Quarantined(client, printable(reason)) for client, reason in quarantined),
    )


def _one_each(replies: Iterable[Reply]) -> tuple[list[Reply], list[Quarantined]]:
    """Choose every sender's first reply, by its own count, ascending by sender."""
    by_sender: dict[int, list[Reply]] = {}
    for reply in replies:
        by_sender.setdefault(reply.sender, []).append(reply)
    chosen, others = [], []
    for sender, sent in sorted(by_sender.items()):
        first = min(sent, key=_precedence) if len(sent) > 1 else sent[0]
        chosen.append(first)
        others += [Quarantined(sender, "duplicate of a reply in the same round")] * (len(sent) - 1)
    return chosen, others


def _precedence(reply: Reply) -> tuple[int, int, str, str]:
    return reply.attempt, reply.round, reply.checksum, checksum(reply.update)


def _fault(reply: Reply, asked: Mapping[int, Asked], current: Mapping[str, Tensor], number: int) -> str | None:
    if reply.sender not in asked:
        return "was not asked in this round"
    if reply.round != number:
        return f"stale: belongs to round {reply.round + 1}, this is round {number + 1}"
    if reply.checksum != checksum(reply.update):
        return "damaged on the way: the checksum does not match"
    experts, num_examples = asked[reply.sender]
    return find_fault(reply.update, current, client=reply.sender, experts=experts, num_examples=num_examples)


def _too_far(updates: Sequence[Update], current: Mapping[str, Tensor], validation: ValidationConfig) -> dict[int, str]:
    """Say which updates move a part too far, by client."""
    if math.isinf(validation.norm_limit):
        return {}
    norms = [(update.client, *part) for update in updates for part in _norms(update, current)]
    faults: dict[int, str] = {}
    for is_expert in (False, True):
        parts = [part for part in norms if (part[1] is not None) == is_expert]
        median = float(np.median([norm for _, _, norm in parts])) if parts else 0.0
        reference = median if validation.norm_reference == "median" else 1.0
        limit = validation.norm_limit * reference
        for client, expert, norm in parts:
            if not norm <= limit:
                what = "the shared part" if expert is None else f"expert {expert}"
                faults.setdefault(client, f"moves {what} by {norm:.4g}, the limit is {limit:.4g}")
    return faults


def _norms(update: Update, current: Mapping[str, Tensor]) -> Iterator[tuple[int | None, float]]:
    """How far each part was moved: the shared part, None, and each expert that examples went through, with its row."""
    squares: dict[int | None, float] = {}
    for name in sorted(update.tensors):
        if update.weight(name) == 0.0:
            continue  # it was not trained and is not merged
        moved = update.tensors[name].double() - current[name].double()
        part = expert_of(name)
        squares[part] = squares.get(part, 0.0) + float((moved * moved).sum())
    for part, square in squares.items():
        yield part, math.sqrt(square)

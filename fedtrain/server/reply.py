"""A reply of a simulated client: what travels to the server, so sealed that damage on the way is seen.

The checksum guards against accidents, not against intent: a client that means harm seals what it likes.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fedtrain.partial import PartialUpdate
from fedtrain.partial.update import ROUNDING
from fedtrain.server.inspection import Answer
from fedtrain.simulation.timing import Forecast


@dataclass(frozen=True, eq=False)
class Reply:
    """An update on its way.

    Attributes
    ----------
    sender
        The client whose connection it came by: known to the server, not claimed.
    round
        The round that it says it belongs to, counted from 0.
    update
        What it brings.
    checksum
        Of the update when it was sent.
    """

    sender: int
    round: int
    update: PartialUpdate
    checksum: str


def seal(sender: int, number: int, update: PartialUpdate) -> Reply:
    """Make a reply of an update, as its sender does."""
    return Reply(sender, number, update, checksum(update))


def checksum(update: PartialUpdate) -> str:
    """Digest of all that an update holds; equal for equal content, whatever the order of its tensors.

    Never fails, whatever the update holds: what has no bytes of its own counts by its type.
    """
    digest = hashlib.blake2b(digest_size=16)
    digest.update(repr((update.client, update.experts, update.num_examples)).encode())
    for name in sorted(update.weights, key=str):
        _add(digest, name, update.weights[name])
    for field, value in update.measured._asdict().items():
        _add(digest, field, value)
    return digest.hexdigest()


def open_replies(replies: Iterable[Reply], number: int, forecasts: Mapping[int, Forecast]) -> dict[int, list[Answer]]:
    """Sort a round's replies by sender, and read each; copies of a reply are one.

    Parameters
    ----------
    replies
        In any order.
    number
        The round, counted from 0.
    forecasts
        How long the senders took, and what they sent.
    """
    answers: dict[int, dict[tuple[int, str, str], Answer]] = {}
    for reply in replies:
        seen = checksum(reply.update)
        fault = _fault(reply, number, seen)
        took = forecasts.get(reply.sender)
        seconds, bytes_up = (took.seconds, took.bytes_up) if took else (0.0, 0)
        answer = Answer(None if fault else reply.update, seconds, bytes_up, fault)
        answers.setdefault(reply.sender, {})[reply.round, reply.checksum, seen] = answer
    return {sender: list(sent.values()) for sender, sent in answers.items()}


def _fault(reply: Reply, number: int, seen: str) -> str | None:
    """Say what is wrong with a reply, as far as the sender's own measures tell: losses here are cross-entropies."""
    if reply.round != number:
        return f"stale: belongs to round {reply.round + 1}, this is round {number + 1}"
    if reply.checksum != seen:
        return "damaged on the way: the checksum does not match"
    usage, loss, accuracy, _ = reply.update.measured
    if not all(isinstance(value, np.ndarray) and value.dtype.kind == "f" for value in (usage, loss, accuracy)):
        return "usage, loss or accuracy is not an array of numbers"
    if not np.any(usage):
        return "usage is 0 for every expert"
    if np.any(loss < -ROUNDING) or np.any(accuracy > 1.0 + ROUNDING):
        return "loss is below 0, or accuracy is above 1"
    return None


def _add(digest: "hashlib.blake2b", name: str, value: object) -> None:
    if isinstance(value, Tensor) and value.layout is torch.strided and value.device.type == "cpu":
        plain = value.detach().resolve_conj().resolve_neg().contiguous()
        digest.update(repr((name, plain.dtype, tuple(plain.shape))).encode())
        digest.update(plain.reshape(-1).view(torch.uint8).numpy().tobytes())
    elif isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        digest.update(repr((name, value.dtype.str, value.shape)).encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    else:
        digest.update(repr((name, type(value).__name__)).encode())

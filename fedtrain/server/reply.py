"""A reply: what travels from a client to the server, so sealed that damage on the way is seen.

The checksum guards against accidents, not against intent: a client that means harm seals what it likes.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fedtrain.local.update import Update


@dataclass(frozen=True, eq=False)
class Reply:
    """An update on its way.

    Attributes
    ----------
    sender
        The client whose connection it came by: known to the server, not claimed.
    round
        The round that it says it belongs to, counted from 0.
    attempt
        The sender's own count of what it sends in a round: 0, and more for repetitions.
    update
        What it brings.
    checksum
        Of the update when it was sent.
    """

    sender: int
    round: int
    attempt: int
    update: Update
    checksum: str


def seal(sender: int, number: int, update: Update, *, attempt: int = 0) -> Reply:
    """Make a reply of an update, as its sender does."""
    return Reply(sender, number, attempt, update, checksum(update))


def checksum(update: Update) -> str:
    """Digest of all that an update holds; equal for equal content, whatever the order of its tensors.

    Never fails, whatever the update holds: what has no bytes of its own counts by its type.
    """
    digest = hashlib.blake2b(digest_size=16)
    digest.update(repr((update.client, update.experts, update.num_examples)).encode())
    for name in sorted(update.tensors, key=str):
        _add(digest, name, update.tensors[name])
    for field, value in zip(update.measured._fields, update.measured, strict=True):
        _add(digest, field, value)
    return digest.hexdigest()


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

"""The simulated clients of a round. Each client trains its experts and sends a reply, or drops out.

Replies pass through a simulated network. Each carries a checksum, so damage on the way is noticed. The checksum
protects against accidents only: an attacker can compute the checksum of a harmful update as well.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from alignsolve import Outcome
from alignsolve.numerics import FloatArray, IntArray
from alignsolve.policies import REFERENCES
from fedtrain.local import client as local
from fedtrain.local.batched import Job, train_together
from fedtrain.models import MLPSpec, Tensors, num_active, part_to_download
from fedtrain.partial import PartialUpdate, traffic
from fedtrain.partial.update import ROUNDING
from fedtrain.randomness import Purpose, generator
from fedtrain.server.federation import Federation, initial_state
from fedtrain.server.inspection import Answer
from fedtrain.server.step import Pending
from fedtrain.simulation.attacks import REPLAYS, corrupt
from fedtrain.simulation.channel import transmit
from fedtrain.simulation.timing import Forecast, Work, foresee

MASS_BYTES = 4
"""Size of a router mass that is sent before the alignment."""


@dataclass(frozen=True, eq=False)
class Reply:
    """An update on its way.

    Attributes
    ----------
    sender
        The client whose connection delivered the reply. The server knows it and does not rely on a claim.
    round
        The round that the reply claims to belong to, counted from 0.
    update
        The update that the reply carries.
    checksum
        Checksum of the update when it was sent.
    """

    sender: int
    round: int
    update: PartialUpdate
    checksum: str


Transport: TypeAlias = Callable[[Sequence[Reply]], Sequence[Reply]]
"""A simulated network: it takes the replies that were sent and returns those that arrive.

``list`` delivers every reply undamaged. Another function can simulate faults of a network.
"""


def train_cohort(
    federation: Federation, pending: Pending, clock: float = 0.0, transport: Transport = list
) -> dict[int, list[Answer]]:
    """Train every client of a round on its experts, and return the answers that arrive, by client.

    Parameters
    ----------
    federation
        The federation of the clients.
    pending
        The round. The clients' times and traffic are noted in it.
    clock
        Simulated time at which the round begins.
    transport
        The simulated network, which delivers the replies.
    """
    # Predict how each client's round ends, and note it.
    forecasts = {client: _foresee(federation, pending, client, clock) for client in pending.assigned}
    for client, seen in forecasts.items():
        # A client that completes its round counts as dropped until its reply arrives.
        ended = Outcome.DROPPED if seen.outcome is Outcome.COMPLETED else seen.outcome
        pending.note(client, seconds=seen.seconds, bytes_down=seen.bytes_down, bytes_up=seen.bytes_up, outcome=ended)
    # Train only the clients that complete their round; deliver and read their replies.
    returning = [client for client, seen in forecasts.items() if seen.outcome is Outcome.COMPLETED]
    replies = transport(_replies(federation, pending, returning))
    return open_replies(replies, pending.before.round, forecasts)


def fresh_masses(federation: Federation, tensors: Tensors, cohort: IntArray) -> dict[int, FloatArray]:
    """Return the router masses of a round's clients by the current model, which they send before they are aligned.

    A client needs the shared part and the router for this, and downloads them for the round in any case. Clients that
    drop out of the round later send them, too; no attack changes them.
    """
    spec = federation.spec
    model = spec.build(range(spec.num_experts)).load(tensors)
    return {int(client): local.router_mass(model, federation.clients[client]) for client in cohort}


def _foresee(federation: Federation, pending: Pending, client: int, clock: float) -> Forecast:
    """Predict the time, the traffic and the outcome of a client's round."""
    config, held, server = federation.config, pending.assigned[client], federation.server
    down, up = (
        traffic(pending.before.tensors, server.layout, held, router_rows=rows).total
        for rows in (server.router_down, server.router_up)
    )
    if federation.aligner.fresh_masses:
        up += MASS_BYTES * server.layout.num_experts
    work = Work(
        num_examples=config.training.epochs * len(federation.clients[client]),
        num_active=num_active(federation.spec, held),
        memory_bytes=0 if config.alignment.policy in REFERENCES else federation.footprint.holding(len(held)),
        bytes_down=down,
        bytes_up=up,
    )
    return foresee(
        config.clients,
        federation.fleet,
        work,
        seed=config.seed,
        number=pending.before.round,
        client=client,
        clock=clock,
    )


def _replies(federation: Federation, pending: Pending, returning: Sequence[int]) -> list[Reply]:
    """Train the clients, attackers included, and return their replies."""
    number, sent, kind = pending.before.round, pending.before.tensors, federation.config.attack.kind
    # In a replay attack, attackers return an update of round 0, trained from the initial model.
    attackers = [client for client in returning if federation.attackers[client]]
    old = attackers if kind in REPLAYS else []
    updates = _train(federation, pending, sent, number, [client for client in returning if client not in old])
    if old:
        updates |= _train(federation, pending, initial_state(federation).tensors, 0, old)
    # Seal the replies. In all other attacks, attackers corrupt their update first.
    replies = []
    for client in returning:
        update, claimed = updates[client], 0 if client in old and kind != "forged-replay" else number
        if client in attackers and client not in old:
            update = corrupt(update, sent, federation.config, number)
        if not federation.config.channel.clear:
            rng = generator(federation.config.seed, Purpose.CHANNEL, number, client)
            update = transmit(update, sent, federation.config.channel, rng)
        replies.append(seal(client, claimed, update))
    return replies


def _train(
    federation: Federation, pending: Pending, tensors: Tensors, number: int, clients: Sequence[int]
) -> dict[int, PartialUpdate]:
    """Train clients from the whole model, with the learning rate and the generators of round ``number``."""
    config, spec = federation.config, federation.spec
    training = config.training.in_round(number)
    if not pending.pull:
        training = replace(training, auxiliary_loss=0.0)
    jobs = []
    for client in clients:
        rng = generator(config.seed, Purpose.TRAINING, number, client)
        jobs.append(Job(client, pending.assigned[client], federation.clients[client], rng))
    if training.together and isinstance(spec, MLPSpec):
        updates = train_together(spec, tensors, jobs, training)
    else:
        updates = [
            local.train(
                one.client, spec, part_to_download(tensors, one.experts), one.experts, one.data, training, one.rng
            )
            for one in jobs
        ]
    return {update.client: update for update in updates}


def seal(sender: int, number: int, update: PartialUpdate) -> Reply:
    """Make the reply of a sender, with the update's checksum."""
    return Reply(sender, number, update, checksum(update))


def checksum(update: PartialUpdate) -> str:
    """Return a digest of an update's content. It does not depend on the order of the tensors.

    It never fails. A value that is neither a dense CPU tensor nor an array of numbers is represented by its type.
    """
    digest = hashlib.blake2b(digest_size=16)
    digest.update(repr((update.client, update.experts, update.num_examples)).encode())
    weights: Any = update.weights
    tensors = weights if isinstance(weights, Mapping) else {"weights": weights}
    for name in sorted(tensors, key=str):
        _add(digest, name, tensors[name])
    for field, value in update.measured._asdict().items():
        _add(digest, field, value)
    return digest.hexdigest()


def open_replies(replies: Iterable[Reply], number: int, forecasts: Mapping[int, Forecast]) -> dict[int, list[Answer]]:
    """Group a round's replies by sender and read each of them. Copies of a reply count as one.

    Parameters
    ----------
    replies
        The replies that arrived, in any order.
    number
        The round, counted from 0.
    forecasts
        The senders' times and traffic.
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
    """Return the fault of a reply that can be seen without the model; None if there is none.

    Losses are cross-entropies here, so they cannot be negative.
    """
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
    """Add a named value to a digest: type, shape and bytes of an array or a tensor; only the type of anything else."""
    if isinstance(value, Tensor) and value.layout is torch.strided and value.device.type == "cpu":
        plain = value.detach().resolve_conj().resolve_neg().contiguous()
        digest.update(repr((name, plain.dtype, tuple(plain.shape))).encode())
        digest.update(plain.reshape(-1).view(torch.uint8).numpy().tobytes())
    elif isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        digest.update(repr((name, value.dtype.str, value.shape)).encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    else:
        digest.update(repr((name, type(value).__name__)).encode())

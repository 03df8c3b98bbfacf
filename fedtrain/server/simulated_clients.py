"""A round's simulated clients at work: each trains what it was assigned, or does not come back."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from alignsolve import Outcome
from alignsolve.policies import REFERENCES
from fedtrain.local.batched import Job
from fedtrain.local.training import train_clients
from fedtrain.models import Tensors, num_active
from fedtrain.partial import PartialUpdate, traffic
from fedtrain.randomness import Purpose, generator
from fedtrain.server.federation import Federation, initial_state
from fedtrain.server.inspection import Answer
from fedtrain.server.reply import Reply, open_replies, seal
from fedtrain.server.step import Pending
from fedtrain.simulation.attacks import REPLAYS, corrupt
from fedtrain.simulation.timing import Forecast, Work, foresee

Transport: TypeAlias = Callable[[Sequence[Reply]], Sequence[Reply]]
"""What becomes of replies on their way; the network's faults are put in here."""


def as_sent(replies: Sequence[Reply]) -> Sequence[Reply]:
    """Deliver every reply once, in order, undamaged."""
    return replies


def train_cohort(
    federation: Federation, pending: Pending, clock: float = 0.0, transport: Transport = as_sent
) -> dict[int, list[Answer]]:
    """Train every client of a round on its experts, and return what arrives of it, by client.

    Parameters
    ----------
    federation
        Whose clients.
    pending
        The round; what becomes known of its clients' time and traffic is noted there.
    clock
        Simulated time at which the round begins.
    transport
        What becomes of the replies on their way.
    """
    forecasts = {client: _foresee(federation, pending, client, clock) for client in pending.assigned}
    for client, seen in forecasts.items():
        ended = Outcome.DROPPED if seen.outcome is Outcome.COMPLETED else seen.outcome  # dropped: lost on the way
        pending.note(client, seconds=seen.seconds, bytes_down=seen.bytes_down, bytes_up=seen.bytes_up, outcome=ended)
    returning = [client for client, seen in forecasts.items() if seen.outcome is Outcome.COMPLETED]
    replies = transport(_replies(federation, pending, returning))
    return open_replies(replies, pending.before.round, forecasts)


def _foresee(federation: Federation, pending: Pending, client: int, clock: float) -> Forecast:
    config, held, server = federation.config, pending.assigned[client], federation.server
    down, up = (
        traffic(pending.before.tensors, server.layout, held, router_rows=rows).total
        for rows in (server.router_down, server.router_up)
    )
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
    """Let the clients train, honestly or not, and send their replies."""
    number, sent, kind = pending.before.round, pending.before.tensors, federation.config.attack.kind
    attackers = [client for client in returning if federation.attackers[client]]
    old = attackers if kind in REPLAYS else []
    updates = _train(federation, pending, sent, number, [client for client in returning if client not in old])
    if old:
        updates |= _train(federation, pending, initial_state(federation).tensors, 0, old)
    replies = []
    for client in returning:
        update, claimed = updates[client], 0 if client in old and kind != "forged-replay" else number
        if client in attackers and client not in old:
            update = corrupt(update, sent, federation.config, number)
        replies.append(seal(client, claimed, update))
    return replies


def _train(
    federation: Federation, pending: Pending, tensors: Tensors, number: int, clients: Sequence[int]
) -> dict[int, PartialUpdate]:
    """Train clients from a whole model, with the learning rate and the generators of a round."""
    config = federation.config
    jobs = [
        Job(
            client,
            pending.assigned[client],
            federation.clients[client],
            generator(config.seed, Purpose.TRAINING, number, client),
        )
        for client in clients
    ]
    updates = train_clients(federation.spec, tensors, jobs, config.training.in_round(number))
    return {update.client: update for update in updates}

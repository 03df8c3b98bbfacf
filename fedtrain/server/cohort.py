"""A round's clients at work: each trains what it was assigned, or does not come back; what comes back is inspected."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from alignsolve import Outcome, Report, Solution
from alignsolve.numerics import IntArray
from alignsolve.policies import REFERENCES
from fedtrain.local.training import train_clients
from fedtrain.local.update import Update
from fedtrain.models import num_active, num_bytes, part_to_download, part_to_upload
from fedtrain.partial import assignments
from fedtrain.server.federation import Federation, ServerState, initial_state
from fedtrain.server.reception import Asked, Quarantined, receive
from fedtrain.server.reply import Reply, seal
from fedtrain.simulation.attacks import REPLAYS, corrupt
from fedtrain.simulation.timing import Course, Work, foresee

Transport: TypeAlias = Callable[[Sequence[Reply]], Sequence[Reply]]
"""What becomes of replies on their way; the network's faults are put in here."""


@dataclass(frozen=True)
class Returned:
    """What became of a cohort.

    Attributes
    ----------
    updates
        Those that may be merged, ascending by client.
    reports
        One for every client of the cohort that was given an expert, in its order.
    quarantined
        The replies that may not be merged, ascending by client.
    """

    updates: list[Update]
    reports: list[Report]
    quarantined: list[Quarantined]


def as_sent(replies: Sequence[Reply]) -> Sequence[Reply]:
    """Deliver every reply once, in order, undamaged."""
    return replies


def train_cohort(
    federation: Federation,
    state: ServerState,
    cohort: IntArray,
    solution: Solution,
    clock: float = 0.0,
    transport: Transport = as_sent,
) -> Returned:
    """Train every client of the cohort on the experts that row r of the solution gives to client ``cohort[r]``.

    Parameters
    ----------
    federation, state
        Who and what is trained.
    cohort, solution
        The round's alignment.
    clock
        Simulated time at which the round begins.
    transport
        What becomes of the replies on their way.
    """
    held = assignments(solution, cohort)  # who is given nothing has nothing to fetch, to train or to report
    courses = {client: _foresee(federation, state, client, own, clock) for client, own in held.items()}
    returning = {client: own for client, own in held.items() if courses[client].outcome is Outcome.COMPLETED}
    replies = _replies(federation, state, returning)
    asked = {reply.sender: Asked(held[reply.sender], len(federation.clients[reply.sender])) for reply in replies}
    received = receive(transport(replies), asked, state.tensors, state.round, federation.config.validation)
    merged = {update.client: update for update in received.updates}
    refused = {client for client, _ in received.quarantined}
    reports = [
        _report(client, own, courses[client], merged.get(client), client in refused) for client, own in held.items()
    ]
    return Returned(received.updates, reports, received.quarantined)


def _foresee(federation: Federation, state: ServerState, client: int, held: tuple[int, ...], clock: float) -> Course:
    config = federation.config
    exempt = config.alignment.policy in REFERENCES
    work = Work(
        num_examples=config.training.epochs * len(federation.clients[client]),
        num_active=num_active(federation.spec, held),
        memory_bytes=0 if exempt else federation.footprint.holding(len(held)),
        bytes_down=num_bytes(part_to_download(state.tensors, held)),
        bytes_up=num_bytes(part_to_upload(state.tensors, held)),
    )
    return foresee(
        config.clients, federation.fleet, work, seed=config.seed, number=state.round, client=client, clock=clock
    )


def _replies(federation: Federation, state: ServerState, held: Mapping[int, tuple[int, ...]]) -> list[Reply]:
    """Let the clients train, honestly or not, and send their replies."""
    config, number = federation.config, state.round
    replaying = config.attack.kind in REPLAYS
    old = {client: own for client, own in held.items() if replaying and federation.attackers[client]}
    new = {client: own for client, own in held.items() if client not in old}
    updates = train_clients(federation, state.tensors, number, new)
    if old:
        updates |= train_clients(federation, initial_state(federation).tensors, 0, old)
    return [
        _sent(federation, state, updates[client], replayed=client in old, attacks=bool(federation.attackers[client]))
        for client in held
    ]


def _sent(federation: Federation, state: ServerState, update: Update, *, replayed: bool, attacks: bool) -> Reply:
    config, number = federation.config, state.round
    if replayed:
        return seal(update.client, number if config.attack.kind == "forged-replay" else 0, update)
    return seal(update.client, number, corrupt(update, state.tensors, config, number) if attacks else update)


def _report(client: int, held: tuple[int, ...], course: Course, update: Update | None, refused: bool) -> Report:
    """Note what the server saw; what the client says of itself only if its update may be merged."""
    outcome = course.outcome
    if outcome is Outcome.COMPLETED and update is None:
        outcome = Outcome.REJECTED if refused else Outcome.DROPPED  # dropped: lost on the way
    measures: dict[str, Any] = {}
    if update is not None:
        measures = update.measured._asdict() | {"num_examples": update.num_examples}
    return Report(
        client,
        held,
        seconds=course.seconds,
        bytes_down=course.bytes_down,
        bytes_up=course.bytes_up,
        outcome=outcome,
        **measures,
    )

"""A round's clients at work: each trains what it was assigned, or is gone; what comes back is inspected."""

from dataclasses import replace
from typing import NamedTuple

from alignsolve import Outcome, Report, Solution
from alignsolve.numerics import IntArray
from fedtrain.devices import simulated_seconds
from fedtrain.models import num_bytes, part_to_download
from fedtrain.randomness import Purpose, generator
from fedtrain.server import Federation, ServerState
from fedtrain.training import train_clients
from fedtrain.update import Update, find_fault


class Returned(NamedTuple):
    """What became of a cohort.

    Attributes
    ----------
    updates
        Those that may be merged, ascending by client.
    reports
        One for every client of the cohort that was given an expert, in its order.
    faults
        Why the other updates may not be merged, by client.
    """

    updates: list[Update]
    reports: list[Report]
    faults: dict[int, str]


def train_cohort(federation: Federation, state: ServerState, cohort: IntArray, solution: Solution) -> Returned:
    """Train every client of the cohort on the experts that row r of the solution gives to client ``cohort[r]``."""
    returned = Returned([], [], {})
    assert solution.assigned is not None  # align() raises if there is no alignment
    indptr, experts = solution.assigned
    assigned = {
        client: tuple(experts[indptr[row] : indptr[row + 1]].tolist())
        for row, client in enumerate(cohort.tolist())
        if indptr[row] < indptr[row + 1]  # who is given nothing has nothing to fetch, to train or to report
    }
    gone = {client for client in assigned if _drops_out(federation, state.round, client)}
    training = {client: held for client, held in assigned.items() if client not in gone}
    updates = train_clients(federation, state.tensors, state.round, training)
    for client, held in assigned.items():
        if client in gone:
            returned.reports.append(_gone(state, client, held))
            continue
        update = updates[client]
        report = _received(federation, state, client, held, update)
        known = {"client": client, "experts": held, "num_examples": len(federation.clients[client])}
        fault = find_fault(update, state.tensors, **known)
        if fault is None:
            returned.updates.append(update)
            report = _with_measures(report, update)
        else:
            returned.faults[client] = fault
        returned.reports.append(report)
    return returned


def _drops_out(federation: Federation, number: int, client: int) -> bool:
    rng = generator(federation.config.seed, Purpose.DROPOUT, number, client)
    return bool(rng.random() < federation.config.clients.dropout)


def _gone(state: ServerState, client: int, held: tuple[int, ...]) -> Report:
    """It fetched its part of the model, and nothing came back."""
    bytes_down = num_bytes(part_to_download(state.tensors, held))
    return Report(client, held, bytes_down=bytes_down, outcome=Outcome.DROPPED)


def _received(federation: Federation, state: ServerState, client: int, held: tuple[int, ...], update: Update) -> Report:
    """Report only what the server can see without believing the client."""
    bytes_down = num_bytes(part_to_download(state.tensors, held))
    bytes_up = num_bytes(update.tensors)
    seconds = simulated_seconds(
        federation.tier_of(client),
        num_examples=federation.config.training.epochs * len(federation.clients[client]),
        num_experts=len(held),
        top_k=federation.spec.top_k,
        bytes_down=bytes_down,
        bytes_up=bytes_up,
    )
    return Report(client, held, seconds=seconds, bytes_down=bytes_down, bytes_up=bytes_up, outcome=Outcome.REJECTED)


def _with_measures(report: Report, update: Update) -> Report:
    """Complete the report of an update that may be merged."""
    measured = update.measured
    return replace(
        report,
        usage=measured.usage,
        loss=measured.loss,
        accuracy=measured.accuracy,
        num_examples=update.num_examples,
        router_mass=measured.router_mass,
        outcome=Outcome.COMPLETED,
    )

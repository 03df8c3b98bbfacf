"""A round's clients at work: each trains what it was assigned, or is gone; what comes back is inspected."""

from dataclasses import replace
from typing import NamedTuple

from alignsolve import Outcome, Report, Solution
from alignsolve.numerics import IntArray
from fedtrain import client as local
from fedtrain.config import TrainingConfig
from fedtrain.devices import simulated_seconds
from fedtrain.models import num_bytes, part_to_download
from fedtrain.randomness import Purpose, generator
from fedtrain.server import Federation, ServerState
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
    training = federation.config.training.in_round(state.round)
    assert solution.assigned is not None  # align() raises if there is no alignment
    indptr, experts = solution.assigned
    for row, client in enumerate(cohort.tolist()):
        held = tuple(experts[indptr[row] : indptr[row + 1]].tolist())
        if not held:
            continue  # nothing to fetch, to train or to report
        if _drops_out(federation, state.round, client):
            returned.reports.append(_gone(state, client, held))
            continue
        update, report = _train(federation, state, client, held, training)
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


def _train(
    federation: Federation, state: ServerState, client: int, held: tuple[int, ...], training: TrainingConfig
) -> tuple[Update, Report]:
    """Send, train, receive; the report holds only what the server can see without believing the client."""
    data = federation.clients[client]
    download = part_to_download(state.tensors, held)
    bytes_down = num_bytes(download)
    rng = generator(federation.config.seed, Purpose.TRAINING, state.round, client)
    update = local.train(client, federation.spec, download, held, data, training, rng)
    bytes_up = num_bytes(update.tensors)
    seconds = simulated_seconds(
        federation.tier_of(client),
        num_examples=training.epochs * len(data),
        num_experts=len(held),
        top_k=federation.spec.top_k,
        bytes_down=bytes_down,
        bytes_up=bytes_up,
    )
    report = Report(client, held, seconds=seconds, bytes_down=bytes_down, bytes_up=bytes_up, outcome=Outcome.REJECTED)
    return update, report


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

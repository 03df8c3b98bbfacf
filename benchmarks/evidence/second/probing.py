"""Probes of pairs: clients measure the loss of experts that they were not assigned, at the price of the download.

A fitness that wants them has two methods beside those of every estimator, and a time:

- ``probes_at``: ``start``, before the round is aligned; or ``end``, while the client has the round's experts.
- ``wanted(state, cohort, rng)``: which experts each client should measure, (len(cohort), num_experts).
- ``told(state, clients, losses, shares)``: learn from what the clients measured, (k, num_experts), NaN elsewhere.

A client measures an expert with the shared part and this expert alone. Of several experts it also tells
*responsibilities*: the shares π of a mixture of the experts that best explain its examples, by the steps of FedEM and
pFedMM: q_xj ∝ π_j·exp(−ℓ_xj), π_j = mean_x q_xj. Both are a number per expert. Examples and labels stay at home.

Every probed expert that is not assigned in the round is downloaded for the probe alone. These bytes and the seconds of
the download are added to those of the run. The upload of two numbers per expert is counted too.
"""

from dataclasses import replace
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from torch.nn import functional

from alignsolve.estimate.estimator import EstimatorState
from alignsolve.numerics import BoolArray, FloatArray, IntArray
from fedtrain.models import Tensors, layer_sizes, part_to_download
from fedtrain.partial import traffic
from fedtrain.randomness import Purpose, generator
from fedtrain.results.history import Round
from fedtrain.server.federation import Federation, predict
from fedtrain.server.rounds import sample_cohort
from fedtrain.server.step import ServerState
from fedtrain.simulation.availability import opening

S = TypeVar("S", bound=EstimatorState)
TURNS = 20
"""Steps of the mixture."""
TOLD_BYTES = 8
"""Bytes of a loss and a share."""


@runtime_checkable
class WantsPairs(Protocol[S]):
    """A fitness that learns from probes of pairs."""

    @property
    def probes_at(self) -> Literal["start", "end"]:
        """When clients measure."""
        ...

    def wanted(self, state: S, cohort: IntArray, rng: np.random.Generator) -> BoolArray:
        """Return the experts that each client should measure, (len(cohort), num_experts)."""
        ...

    def told(self, state: S, clients: IntArray, losses: FloatArray, shares: FloatArray) -> S:
        """Learn what clients (k,) measured, (k, num_experts) each; NaN where nothing was."""
        ...


class Probing:
    """Asks clients before or after rounds, if the fitness wants it, and counts the costs."""

    def __init__(self) -> None:
        self.bytes, self.seconds = 0, 0.0
        self._asked: dict[int, BoolArray] = {}

    def before(self, federation: Federation, state: ServerState) -> ServerState:
        """Return the state with what the next round's clients measured at its start."""
        fitness: Any = federation.aligner.fitness
        if not isinstance(fitness, WantsPairs) or fitness.probes_at != "start":
            return state
        fleet = federation.fleet
        cohort = sample_cohort(federation, state.round, opening(fleet, state.round, state.clock))
        grown = state.aligner.grow(fleet.num_joined(state.round))
        wanted = fitness.wanted(grown.fitness, cohort, _rng(federation, state))
        learned = fitness.told(grown.fitness, cohort, *measured(federation, state.tensors, cohort, wanted))
        self._asked = dict(zip(cohort.tolist(), wanted, strict=True))
        return replace(state, aligner=replace(grown, fitness=learned))

    def after(self, federation: Federation, before: ServerState, done: Round, state: ServerState) -> ServerState:
        """Return the state with what a round's clients measured at its end, and count the costs of the round."""
        fitness: Any = federation.aligner.fitness
        if not isinstance(fitness, WantsPairs):
            return state
        held = {report.client: report.experts for report in done.reports}
        if fitness.probes_at == "start":
            self._count(federation, before, held, self._asked)
            return state
        cohort = np.array(sorted(held), dtype=np.int64)
        wanted = fitness.wanted(state.aligner.fitness, cohort, _rng(federation, before))
        self._count(federation, before, held, dict(zip(cohort.tolist(), wanted, strict=True)))
        # What clients hold costs nothing more; those that dropped out tell nothing.
        both = wanted.copy()
        for row, client in enumerate(cohort.tolist()):
            both[row, held[client]] = True
        told = np.isin(cohort, [report.client for report in done.reports if report.completed])
        clients = cohort[told]
        learned = fitness.told(
            state.aligner.fitness, clients, *measured(federation, before.tensors, clients, both[told])
        )
        return replace(state, aligner=replace(state.aligner, fitness=learned))

    def _count(
        self, federation: Federation, before: ServerState, held: dict[int, IntArray], wanted: dict[int, BoolArray]
    ) -> None:
        """Add the bytes of the experts that were wanted and not held, and the seconds of the slowest download."""
        expert = traffic(before.tensors, federation.server.layout, (0,)).experts
        slowest = 0.0
        for client, row in wanted.items():
            mine = row.copy()
            mine[held.get(client, np.zeros(0, dtype=np.int64))] = False
            down = int(mine.sum()) * expert
            self.bytes += down + TOLD_BYTES * int(row.sum())
            slowest = max(slowest, 8e-6 * down / float(federation.fleet.actual.down_mbps[client]))
        self.seconds += slowest


def measured(
    federation: Federation, tensors: Tensors, clients: IntArray, wanted: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """Return the mean losses of the wanted experts and their responsibilities, both (len(clients), num_experts).

    Raises
    ------
    ValueError
        If the model has several layers of experts, of which no single expert can be measured.
    """
    spec = federation.spec
    if len(layer_sizes(spec)) > 1:
        raise ValueError(f"probes of pairs need one layer of experts; the model has {len(layer_sizes(spec))}")
    losses, shares = (np.full((len(clients), spec.num_experts), np.nan) for _ in range(2))
    each: list[dict[int, FloatArray]] = [{} for _ in clients]
    for j in np.flatnonzero(wanted.any(axis=0)).tolist():
        model = spec.build((j,)).load(part_to_download(tensors, (j,)))
        rows = np.flatnonzero(wanted[:, j])
        parts = [federation.clients[client] for client in clients[rows]]
        labels = torch.cat([part.labels.flatten() for part in parts])
        every = functional.cross_entropy(
            predict(model, torch.cat([part.inputs for part in parts])), labels, reduction="none"
        )
        for row, own in zip(rows.tolist(), torch.split(every, [part.labels.numel() for part in parts]), strict=True):
            each[row][j] = own.double().numpy()
    for row, known in enumerate(each):
        if known:
            experts, table = list(known), np.stack(list(known.values()), axis=1)
            losses[row, experts], shares[row, experts] = table.mean(axis=0), responsibilities(table)
    return losses, shares


def responsibilities(losses: FloatArray) -> FloatArray:
    """Return the shares of a mixture of experts that best explain the examples, (k,), from losses (num_examples, k).

    Examples
    --------
    >>> responsibilities(np.array([[0.1, 5.0], [0.2, 4.0], [6.0, 0.1]])).round(2)
    array([0.66, 0.34])
    """
    share = np.full(losses.shape[1], 1.0 / losses.shape[1])
    for _ in range(TURNS):
        weight = np.log(np.maximum(share, 1e-12)) - losses
        weight = np.exp(weight - weight.max(axis=1, keepdims=True))
        share = (weight / weight.sum(axis=1, keepdims=True)).mean(axis=0)
    return share


def _rng(federation: Federation, state: ServerState) -> np.random.Generator:
    return generator(federation.config.seed, Purpose.SUBSET, state.round)

"""Rounds of federated fine-tuning: align every layer, send, train, inspect, merge, and let the aligner learn.

Each layer is aligned by itself, with the same aligner. A client's capacity is given per layer, so the choice in one
layer does not limit another. The optimal alignments of the layers are together the optimal alignment of the model.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from torch import Tensor

from alignsolve import Aligner, AlignerState, Alignment, Report, Solution
from alignsolve.numerics import IntArray
from fedtrain.adapters.huggingface.local import Training
from fedtrain.adapters.huggingface.tuning import FineTuning
from fedtrain.layouts import Layout
from fedtrain.partial import assignments
from fedtrain.randomness import Purpose, generator
from fedtrain.server.inspection import Answer
from fedtrain.server.step import Server, ServerState, draw_cohort


class Round(NamedTuple):
    """The outcome of a round.

    Attributes
    ----------
    weights
        The trained weights after the round.
    experts
        The experts of each client, numbered through the layers.
    solutions
        The alignment of each layer; row r is client ``cohort[r]``.
    cohort
        The clients of the round, ascending.
    faults
        By client: the reason why its update was not merged.
    bytes_down, bytes_up
        Traffic of the whole cohort.
    """

    weights: dict[str, Tensor]
    experts: dict[int, tuple[int, ...]]
    solutions: tuple[Solution, ...]
    cohort: IntArray
    faults: dict[int, str]
    bytes_down: int
    bytes_up: int


def run_rounds(
    tuning: FineTuning,
    clients: Sequence[Tensor],
    aligner: Aligner,
    *,
    rounds: int,
    training: Training = Training(),  # noqa: B008  (frozen)
    cohort_size: int | None = None,
    seed: int = 0,
) -> Iterator[Round]:
    """Fine-tune a model, lazily: each ``next()`` runs one round.

    Parameters
    ----------
    tuning
        The model and its trained weights.
    clients
        Each client's windows (:func:`fedtrain.adapters.huggingface.windows`).
    aligner
        The aligner. Its capacities are experts per client and layer.
    rounds
        Number of rounds.
    training
        The settings of local training.
    cohort_size
        Clients per round; None: all clients.
    seed
        Seed of the cohorts, the breaking of ties, and the shuffling.
    """
    layers = LayerByLayer(aligner, tuning.layout)
    server = Server(layers, tuning.trained_layout)
    state = ServerState(0, dict(tuning.initial), layers.init(len(clients), seed))
    everybody = np.arange(len(clients))
    for number in range(rounds):
        # Draw a cohort, and align it.
        cohort = draw_cohort(seed, number, everybody, len(clients) if cohort_size is None else cohort_size)
        pending = server.begin(state, cohort)
        # Let each client train its part.
        answers = {}
        for client, held in pending.assigned.items():
            down, up = tuning.traffic(held)
            pending.note(client, bytes_down=down.total)
            rng = generator(seed, Purpose.TRAINING, number, client)
            update, _ = tuning.train(client, tuning.send(state.tensors, held), clients[client], training, rng)
            answers[client] = [Answer(update, bytes_up=up.total)]
        # Inspect and merge the updates, and let the aligner learn.
        done = server.finish(pending, answers, {client: len(clients[client]) for client in answers})
        state = done.state
        traffic = done.total("bytes_down"), done.total("bytes_up")
        yield Round(state.tensors, pending.assigned, pending.solution.layers, cohort, done.inspected.faults, *traffic)


class Layered(NamedTuple):
    """The alignments of all layers in one.

    Attributes
    ----------
    assigned
        The alignment of all layers together, with experts numbered through the layers.
    layers
        The alignment of each layer.
    """

    assigned: Alignment
    layers: tuple[Solution, ...]


@dataclass(frozen=True)
class LayerByLayer:
    """Aligns every layer by itself, with the same aligner and one state per layer."""

    aligner: Aligner
    layout: Layout

    def init(self, num_clients: int, seed: int) -> list[AlignerState]:
        """Return the aligner's initial state for each layer."""
        sizes = self.layout.layer_sizes
        return [self.aligner.init(num_clients, size, seed=seed + layer) for layer, size in enumerate(sizes)]

    def align(self, state: Sequence[AlignerState], cohort: IntArray) -> tuple[Layered, list[AlignerState]]:
        """Align all layers. A client without an expert in some layer cannot train, and gets no experts at all."""
        # Align each layer by itself.
        solutions, states = zip(*(self.aligner.align(known, cohort) for known in state), strict=True)
        given = [assignments(solution, cohort) for solution in solutions]
        # Join the layers' pairs, for the clients that have an expert in every layer.
        pairs = [
            (row, first + j)
            for row, client in enumerate(cohort.tolist())
            if all(client in layer for layer in given)
            for first, layer in zip(self.layout.first_experts, given, strict=True)
            for j in layer[client]
        ]
        rows, experts = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        return Layered(Alignment.from_pairs(rows, experts, len(cohort)), solutions), list(states)

    def observe(self, state: Sequence[AlignerState], reports: Sequence[Report]) -> list[AlignerState]:
        """Update each layer's state from the part of the reports that is about this layer."""
        return [
            self.aligner.observe(known, [self._in_layer(report, layer) for report in reports])
            for layer, known in enumerate(state)
        ]

    def _in_layer(self, report: Report, layer: int) -> Report:
        """Return the part of a report that is about one layer, with the layer's experts numbered from 0."""
        here = self.layout.expert_group[report.experts] == layer
        experts = report.experts[here] - self.layout.first_experts[layer]
        if not report.completed:
            return Report(report.client, experts, outcome=report.outcome)
        seen = {field: getattr(report, field)[here] for field in ("usage", "loss", "accuracy")}
        return Report(report.client, experts, **seen, num_examples=report.num_examples)

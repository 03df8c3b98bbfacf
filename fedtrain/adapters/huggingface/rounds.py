"""Rounds of federated fine-tuning: align, send, train, inspect, merge, and let the aligner learn.

One alignment decides for all layers. A client has one memory, so an expert more in one layer is one less in another.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from torch import Tensor

from alignsolve import Aligner, Solution
from alignsolve.numerics import IntArray
from fedtrain.adapters.huggingface.local import Training
from fedtrain.adapters.huggingface.tuning import FineTuning
from fedtrain.randomness import Purpose, generator
from fedtrain.server.inspection import Answer
from fedtrain.server.memory import refuse_other_layers, refuse_probes, within_memory
from fedtrain.server.step import Server, ServerState, draw_cohort


class Round(NamedTuple):
    """The outcome of a round.

    Attributes
    ----------
    weights
        The trained weights after the round.
    experts
        The experts of each client, numbered through the layers.
    solution
        The alignment of all layers; row r is client ``cohort[r]``.
    cohort
        The clients of the round, ascending.
    faults
        By client: the reason why its update was not merged.
    bytes_down, bytes_up
        Traffic of the whole cohort.
    """

    weights: dict[str, Tensor]
    experts: dict[int, tuple[int, ...]]
    solution: Solution
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
    memory: npt.ArrayLike | None = None,
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
        The aligner. It needs the layers of the model: ``Aligner(layers=tuning.layout.layer_sizes)``. With ``memory``,
        they are set here.
    rounds
        Number of rounds.
    memory
        Scalar or (num_clients,): bytes that each client's device can spend on training, without activations. A client
        gets as many experts of all layers together as fit into it (:meth:`FineTuning.footprint`). None: the aligner's
        own capacity and budget are the only limits.
    training
        The settings of local training.
    cohort_size
        Clients per round; None: all clients.
    seed
        Seed of the cohorts, the breaking of ties, and the shuffling.

    Raises
    ------
    ValueError
        If the aligner's layers are not those of the model. If a client has too little memory for an expert of every
        layer; the message names it, with the missing bytes and a proposal. If the aligner asks for fresh router masses.
    LayoutError
        If the aligner learns from router masses, and they cannot be measured in a layer of this architecture.

    Notes
    -----
    If the aligner learns from router masses, each client is sent the router's rows of all experts, which count as
    traffic, and runs its model once more on its text.
    """
    fewest = max(aligner.layer_demand, tuning.fewest_experts)
    aligner = replace(aligner, layer_demand=fewest)
    if memory is not None:
        aligner = within_memory(aligner, tuning.layout, tuning.footprint(training), memory)
    refuse_other_layers(aligner, tuning.layout)
    refuse_probes(aligner)
    server, measuring = Server(aligner, tuning.trained_layout), aligner.uses_router_mass
    known = aligner.init(len(clients), tuning.layout.num_experts, seed=seed)
    state = ServerState(0, dict(tuning.initial), known)
    everybody = np.arange(len(clients))
    for number in range(rounds):
        # Draw a cohort, and align it.
        cohort = draw_cohort(seed, number, everybody, len(clients) if cohort_size is None else cohort_size)
        pending = server.begin(state, cohort)
        # Let each client train its part.
        answers = {}
        for client, held in pending.assigned.items():
            down, up = tuning.traffic(held, measuring=measuring)
            pending.note(client, bytes_down=down.total)
            rng = generator(seed, Purpose.TRAINING, number, client)
            download = tuning.send(state.tensors, held, measuring=measuring)
            update, _ = tuning.train(client, download, clients[client], training, rng)
            answers[client] = [Answer(update, bytes_up=up.total)]
        # Inspect and merge the updates, and let the aligner learn.
        done = server.finish(pending, answers, {client: len(clients[client]) for client in answers})
        state = done.state
        traffic = done.total("bytes_down"), done.total("bytes_up")
        yield Round(state.tensors, pending.assigned, pending.solution, cohort, done.inspected.faults, *traffic)

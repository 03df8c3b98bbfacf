"""Rounds of federated fine-tuning: align every layer, send, train, inspect and merge, learn from it.

Layers are aligned one by one, by the same aligner: with as many experts per layer as a client can hold, no layer's
choice bounds another's, so that the best alignment of all is the best of each.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor

from alignsolve import Aligner, AlignerState, Outcome, Report, Solution
from alignsolve.numerics import IntArray
from fedtrain.adapters.huggingface.local import Measured, Training
from fedtrain.adapters.huggingface.tuning import FineTuning
from fedtrain.layouts import Layout
from fedtrain.partial import PartialUpdate, assignments, merge
from fedtrain.randomness import Purpose, generator


class Round(NamedTuple):
    """What happened in a round.

    Attributes
    ----------
    weights
        What is trained, after the round.
    experts
        The experts of each client, numbered through the layers.
    solutions
        The alignment of each layer; row r is client ``cohort[r]``.
    cohort
        Clients, ascending.
    faults
        Why updates were not merged, by client.
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
    """Fine-tune, one round each time that the next is asked for.

    Parameters
    ----------
    tuning
        What is trained.
    clients
        Each client's windows (:func:`fedtrain.adapters.huggingface.windows`).
    aligner
        Its capacities are experts per client and layer.
    rounds
        How many.
    training
        Local training.
    cohort_size
        Clients per round; None: all.
    seed
        Of cohorts, ties and shuffling.
    """
    layout, weights = tuning.layout, dict(tuning.initial)
    states = [aligner.init(len(clients), size, seed=seed + layer) for layer, size in enumerate(layout.layer_sizes)]
    for number in range(rounds):
        cohort = _cohort(seed, number, len(clients), cohort_size)
        solutions, states = _align(aligner, states, cohort)
        experts = _through_layers(layout, solutions, cohort)
        results = {}
        for client, held in experts.items():
            rng = generator(seed, Purpose.TRAINING, number, client)
            results[client] = tuning.train(client, tuning.send(weights, held), clients[client], training, rng)
        updates = [update for update, _ in results.values()]
        cap = {client: len(clients[client]) for client in experts}
        weights, faults = merge(weights, updates, tuning.trained_layout, assigned=experts, cap=cap)
        states = _observe(aligner, states, layout, results, faults)
        bills = [tuning.traffic(held) for held in experts.values()]
        bytes_down, bytes_up = sum(down.total for down, _ in bills), sum(up.total for _, up in bills)
        yield Round(weights, experts, solutions, cohort, faults, bytes_down, bytes_up)


def _cohort(seed: int, number: int, num_clients: int, size: int | None) -> IntArray:
    rng = generator(seed, Purpose.COHORT, number)
    return np.sort(rng.choice(num_clients, size=num_clients if size is None else size, replace=False))


def _align(
    aligner: Aligner, states: Sequence[AlignerState], cohort: IntArray
) -> tuple[tuple[Solution, ...], list[AlignerState]]:
    aligned = [aligner.align(state, cohort) for state in states]
    return tuple(solution for solution, _ in aligned), [state for _, state in aligned]


def _through_layers(layout: Layout, solutions: Sequence[Solution], cohort: IntArray) -> dict[int, tuple[int, ...]]:
    """Join the layers' alignments; a client without an expert in some layer cannot train, and is left out."""
    experts: dict[int, tuple[int, ...]] = dict.fromkeys(cohort.tolist(), ())
    for first, solution in zip(layout.first_experts, solutions, strict=True):
        held = assignments(solution, cohort)
        experts = {
            client: (*others, *(first + j for j in held[client]))
            for client, others in experts.items()
            if client in held
        }
    return experts


def _observe(
    aligner: Aligner,
    states: Sequence[AlignerState],
    layout: Layout,
    results: Mapping[int, tuple[PartialUpdate, Measured]],
    faults: Mapping[int, str],
) -> list[AlignerState]:
    observed = []
    for layer, state in enumerate(states):
        reports = []
        for client, (update, measured) in results.items():
            here = layout.expert_group[list(update.experts)] == layer
            experts = np.array(update.experts)[here] - layout.first_experts[layer]
            report = Report(client, experts, outcome=Outcome.REJECTED)
            if client not in faults:
                seen = {field: values[here] for field, values in measured._asdict().items()}
                report = Report(client, experts, **seen, num_examples=int(update.num_examples))
            reports.append(report)
        observed.append(aligner.observe(state, reports))
    return observed

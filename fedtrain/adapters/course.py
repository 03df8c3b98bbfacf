"""The course of a run, whatever framework carries its messages: align and slice; inspect, merge, learn and save.

An adapter finds out which clients are there, sends each the part that :meth:`Course.begin` decided on, and hands what
came back to :meth:`Course.finish`.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from alignsolve import Aligner, AlignerState, Outcome, Solution
from alignsolve.numerics import IntArray
from fedtrain.adapters import saved
from fedtrain.adapters.inspection import Answer, Inspected, inspect
from fedtrain.aggregate.arrays import Array
from fedtrain.layouts import Layout, Weights, detect
from fedtrain.partial import RouterRows, assignments, merge, slice_weights
from fedtrain.randomness import Purpose, generator
from fedtrain.results.loads import variation

Sample = Callable[[int, IntArray], IntArray | None]


class TooFewClientsError(RuntimeError):
    """Fewer clients than a round needs were there in time; the message says how many."""


@dataclass(frozen=True, eq=False)
class Pending:
    """A round whose answers are awaited.

    Attributes
    ----------
    solution
        The round's alignment.
    weights
        The whole model before the round.
    assigned
        Each client's experts.
    bytes_down
        What sending its part took, by client: for the adapter to fill.
    """

    solution: Solution
    weights: Weights
    assigned: dict[int, tuple[int, ...]]
    aligned: AlignerState
    started: float
    bytes_down: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Finished:
    """What a round led to.

    Attributes
    ----------
    weights
        The whole model after it.
    figures
        ``clients`` that were asked: ``merged``, ``rejected`` (what they sent was refused), and all others ``dropped``,
        those that ran out of memory included; ``bytes-down`` and ``bytes-up``; the alignment's ``objective``, ``gap``
        and ``load-cv``, the coefficient of variation of the clients per expert; the ``seconds`` on the wall's clock.
    inspected
        What became of its clients.
    """

    weights: dict[str, Array]
    figures: dict[str, float]
    inspected: Inspected


@dataclass
class Course:
    """A run's settings, and what changes from round to round.

    Attributes
    ----------
    aligner
        Decides which client trains which expert.
    num_clients, min_clients
        How many clients there are, and the fewest that a round takes place with.
    seed
        Of everything random.
    sample
        Given the number of rounds done and the clients that are there, returns those that take part. None, or where it
        returns None: a seeded draw of ``cohort_fraction`` of all clients.
    router_down, router_up
        Which of the router's rows a client is sent, and returns.
    layout
        Which tensors belong to which expert; None: recognised.
    state_dir
        Where the state is saved after every round, and gone on from.
    also
        What else a run that goes on from a saved state must agree on.
    rounds_done, aligner_state, history
        How far it is, what the aligner knows, and every round's figures.
    """

    aligner: Aligner
    num_clients: int
    min_clients: int = 1
    seed: int = 0
    sample: Sample | None = None
    cohort_fraction: float = 1.0
    router_down: RouterRows = "held"
    router_up: RouterRows = "held"
    layout: Layout | None = None
    state_dir: Path | None = None
    also: Mapping[str, Any] = field(default_factory=dict)
    rounds_done: int = 0
    aligner_state: AlignerState | None = None
    history: list[dict[str, float]] = field(default_factory=list)
    _known: Layout | None = None

    def __post_init__(self) -> None:
        least, most, share = self.min_clients, self.num_clients, self.cohort_fraction
        if not 1 <= least <= most:
            raise ValueError(f"min_clients is {least}; it must be from 1 to num_clients, which is {most}")
        if not 0.0 < share <= 1.0:
            raise ValueError(f"cohort_fraction is {share}; it must be above 0 and at most 1")

    def start(self, weights: Weights) -> Weights:
        """Begin anew with these weights of the whole model, or go on from the saved state; returns where it goes on.

        Raises
        ------
        LayoutError
            If the model has no experts, or they are not recognised.
        ValueError
            If it has several layers of experts, and the aligner was not told.
        SavedStateError
            If the folder holds another run's state.
        """
        self.rounds_done, self.aligner_state, self.history = 0, None, []
        self._known = self._recognised(weights)
        state = None if self.state_dir is None else saved.load(self.state_dir, self.aligner, self._about())
        if state is None:
            return weights
        _check_same_model(state.weights, weights)
        self.rounds_done, self.aligner_state, self.history = state.round, state.aligner, list(state.history)
        return state.weights

    def begin(self, weights: Weights, here: Sequence[int], *, patience: float) -> Pending:
        """Align a round's clients.

        Parameters
        ----------
        weights
            The whole model.
        here
            The clients that are there, ascending.
        patience
            Seconds that were waited for them: what an error says.

        Raises
        ------
        TooFewClientsError
            If there are fewer than ``min_clients``. What was done is saved.
        """
        started = time.monotonic()
        if len(here) < self.min_clients:
            raise TooFewClientsError(
                f"round {self.rounds_done + 1} needs {self.min_clients} clients, and {len(here)} are there after "
                f"{patience:g} s; are they connected, each under a name or partition-id of its own?"
            )
        layout = self._layout_of(weights)
        state = self.aligner_state
        if state is None:
            state = self.aligner.init(self.num_clients, layout.num_experts, seed=self.seed)
        cohort = self._cohort(here)
        solution, aligned = self.aligner.align(state, cohort)
        return Pending(solution, weights, assignments(solution, cohort), aligned, started)

    def part(self, pending: Pending, client: int) -> dict[str, Array]:
        """Copy what a client of the round is to be sent."""
        layout = self._layout_of(pending.weights)
        return slice_weights(pending.weights, layout, pending.assigned[client], router_rows=self.router_down)

    def finish(
        self, pending: Pending, answers: Mapping[int, Sequence[Answer]], cap: float | Mapping[int, float]
    ) -> Finished:
        """Inspect a round's answers, merge them expert by expert, learn from them, and save the state.

        Parameters
        ----------
        pending
            The round, as :meth:`begin` returned it, with every client's ``bytes_down``.
        answers
            By client.
        cap
            The most examples that a client can have, for all or by client.
        """
        layout = self._layout_of(pending.weights)
        inspected = inspect(answers, pending.assigned, pending.bytes_down, layout.num_experts)
        merged = merge(
            pending.weights,
            inspected.updates,
            layout,
            assigned=pending.assigned,
            cap=cap,
            router_rows=self.router_up,
        )
        inspected = inspected.without(merged.faults)
        self.aligner_state = self.aligner.observe(pending.aligned, inspected.reports)
        self.rounds_done += 1
        figures = _figures(pending, inspected)
        self.history.append({"round": self.rounds_done, **figures})
        if self.state_dir is not None:
            state = saved.SavedState(self.rounds_done, merged.weights, self.aligner_state, self.history)
            saved.save(self.state_dir, state, self._about())
        return Finished(merged.weights, figures, inspected)

    def _layout_of(self, weights: Weights) -> Layout:
        if self._known is None:
            self._known = self._recognised(weights)
        return self._known

    def _recognised(self, weights: Weights) -> Layout:
        layout = self.layout or detect(weights)
        if len(layout.layer_sizes) > 1 and self.aligner.layers != layout.layer_sizes:
            raise ValueError(
                f"the model has layers of {layout.layer_sizes} experts, and the aligner's layers are "
                f"{self.aligner.layers}; with Aligner(layers={layout.layer_sizes}) every client gets an expert of each"
            )
        return layout

    def _cohort(self, here: Sequence[int]) -> IntArray:
        there = np.array(here, dtype=np.int64)
        chosen = None if self.sample is None else self.sample(self.rounds_done, there)
        cohort = self._draw(there) if chosen is None else chosen
        absent = sorted(set(cohort.tolist()) - set(here))
        if absent:
            raise ValueError(f"sample() chose client {absent[0]}, who is not there; those who are: {list(here)}")
        return cohort

    def _draw(self, here: IntArray) -> IntArray:
        size = min(max(1, round(self.cohort_fraction * self.num_clients)), len(here))
        return np.sort(generator(self.seed, Purpose.COHORT, self.rounds_done).choice(here, size=size, replace=False))

    def _about(self) -> dict[str, Any]:
        """Say what a run that resumes this one's state must agree on."""
        layout = self._known
        return {
            "num_clients": self.num_clients,
            "seed": self.seed,
            "layout": layout and layout.name,
            "num_experts": layout and layout.num_experts,
            **self.also,
        }


def _figures(pending: Pending, inspected: Inspected) -> dict[str, float]:
    """Sum a round up."""
    solution, outcomes = pending.solution, Counter(report.outcome for report in inspected.reports)
    loads = solution.loads
    assert loads is not None  # align() raises if there is no alignment
    return {
        "clients": len(inspected.reports),
        "merged": outcomes[Outcome.COMPLETED],
        "rejected": outcomes[Outcome.REJECTED],
        "dropped": len(inspected.reports) - outcomes[Outcome.COMPLETED] - outcomes[Outcome.REJECTED],
        "bytes-down": sum(report.bytes_down for report in inspected.reports),
        "bytes-up": sum(report.bytes_up for report in inspected.reports),
        "objective": float(solution.objective or 0.0),
        "gap": float(solution.gap),
        "load-cv": variation(loads),
        "seconds": time.monotonic() - pending.started,
    }


def _check_same_model(known: Weights, given: Weights) -> None:
    shapes = [{name: tuple(value.shape) for name, value in weights.items()} for weights in (known, given)]
    if shapes[0] != shapes[1]:
        differing = sorted(
            name for name in shapes[0].keys() | shapes[1].keys() if shapes[0].get(name) != shapes[1].get(name)
        )
        raise saved.SavedStateError(f"the saved state is another model's: tensor {differing[0]} differs")

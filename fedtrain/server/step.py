"""One federated round: align, send, inspect, merge, observe. Every loop of fedtrain and of its adapters is made of it.

A round has two halves, since between them somebody else carries the messages: :meth:`Server.begin` aligns the cohort,
:meth:`Server.part` is what each client is sent, and :meth:`Server.finish` takes what came back.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from alignsolve import Outcome, Report
from alignsolve.numerics import IntArray
from fedtrain.aggregate import aggregate
from fedtrain.aggregate.arrays import Array
from fedtrain.config import AggregationConfig, ValidationConfig
from fedtrain.layouts import Layout, RouterRows
from fedtrain.partial import assignments, slice_weights
from fedtrain.randomness import Purpose, generator
from fedtrain.server.inspection import Answer, Inspected, Inspector


class _Aligning(Protocol):
    """What a round needs of :class:`alignsolve.Aligner`; its state is a value that only it looks into."""

    def align(self, state: Any, cohort: IntArray) -> tuple[Any, Any]: ...
    def observe(self, state: Any, reports: Sequence[Report]) -> Any: ...


@dataclass(frozen=True, eq=False)
class ServerState:
    """All that changes from round to round; never changed, only replaced.

    Attributes
    ----------
    round
        Rounds done.
    tensors
        The whole model.
    aligner
        What the aligner knows.
    clock
        Simulated seconds since the run began.
    """

    round: int
    tensors: dict[str, Array]
    aligner: Any
    clock: float = 0.0


@dataclass(frozen=True, eq=False)
class Pending:
    """A round whose answers are awaited.

    Attributes
    ----------
    before
        The state that it began with.
    solution
        Its alignment.
    assigned
        Each client's experts.
    asked
        What is to be reported of each client if nothing comes back from it; see :meth:`note`.
    aligned
        What the aligner knows, after aligning.
    started, align_seconds
        When the round began, by :func:`time.perf_counter`, and how long the aligner took.
    """

    before: ServerState
    solution: Any
    assigned: dict[int, tuple[int, ...]]
    aligned: Any
    started: float
    align_seconds: float
    asked: dict[int, Report] = field(default_factory=dict)

    def note(self, client: int, **known: Any) -> None:
        """Note what the server knows of a client's part in the round before it has answered: bytes sent, say."""
        self.asked[client] = replace(self.asked[client], **known)


@dataclass(frozen=True, eq=False)
class Finished:
    """What a round led to.

    Attributes
    ----------
    state
        The state after it.
    inspected
        What became of its clients.
    align_seconds
        How long the aligner took to align and to observe.
    """

    state: ServerState
    inspected: Inspected
    align_seconds: float

    def count(self, outcome: Outcome) -> int:
        """How many clients' round ended in this way."""
        return sum(report.outcome is outcome for report in self.inspected.reports)

    def total(self, measure: str) -> Any:
        """Add up a number of all reports."""
        return sum(getattr(report, measure) for report in self.inspected.reports)


@dataclass(frozen=True, eq=False)
class Server:
    """What stays the same from round to round.

    Attributes
    ----------
    aligner
        Decides which client trains which expert.
    layout
        Which tensors belong to which expert.
    router_down, router_up
        Which of the router's rows a client is sent, and returns.
    aggregation
        The rule by which updates are merged.
    validation
        Limits on updates.
    """

    aligner: _Aligning
    layout: Layout
    router_down: RouterRows = "held"
    router_up: RouterRows = "held"
    aggregation: AggregationConfig = field(default_factory=AggregationConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)

    def begin(self, state: ServerState, cohort: IntArray) -> Pending:
        """Align a cohort.

        Raises
        ------
        SolveError
            If no alignment could be found.
        """
        started = time.perf_counter()
        solution, aligned = self.aligner.align(state.aligner, cohort)
        assigned = assignments(solution, cohort)  # a client without experts has nothing to train or to report
        asked = {client: Report(client, held, outcome=Outcome.DROPPED) for client, held in assigned.items()}
        return Pending(state, solution, assigned, aligned, started, time.perf_counter() - started, asked)

    def part(self, pending: Pending, client: int) -> dict[str, Array]:
        """Copy what a client of the round is to be sent."""
        return slice_weights(
            pending.before.tensors, self.layout, pending.assigned[client], router_rows=self.router_down
        )

    def finish(self, pending: Pending, answers: Mapping[int, Sequence[Answer]], caps: Mapping[int, float]) -> Finished:
        """Inspect a round's answers, merge them expert by expert, and let the aligner learn from them.

        Parameters
        ----------
        pending
            The round, as :meth:`begin` returned it.
        answers
            By client.
        caps
            The most examples that each client can have.
        """
        before = pending.before
        inspector = Inspector(before.tensors, self.layout, self.router_up, caps, self.validation)
        inspected = inspector.inspect(answers, pending.asked)
        tensors = aggregate(
            before.tensors, inspected.updates, self.aggregation, layout=self.layout, router_rows=self.router_up
        )
        observing = time.perf_counter()
        aligner = self.aligner.observe(pending.aligned, inspected.reports)
        align_seconds = pending.align_seconds + time.perf_counter() - observing
        state = ServerState(before.round + 1, tensors, aligner, before.clock)
        return Finished(state, inspected, align_seconds)


def draw_cohort(seed: int, number: int, here: IntArray, size: int) -> IntArray:
    """Draw the clients of a round, counted from 0, among those that are there; ascending."""
    rng = generator(seed, Purpose.COHORT, number)
    return np.sort(rng.choice(here, size=min(max(1, size), len(here)), replace=False))

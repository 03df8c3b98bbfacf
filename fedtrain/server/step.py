"""One federated round: align, send, inspect, merge, observe. All loops of fedtrain and its adapters use it.

A round has two halves, because another framework may carry the messages between them. :meth:`Server.begin` aligns the
cohort; :meth:`Server.part` returns the weights that a client is sent; :meth:`Server.finish` takes the answers.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from alignsolve import Outcome, Report
from alignsolve.estimate import Advice
from alignsolve.numerics import IntArray
from fedtrain.aggregate import Memory, Score, aggregate
from fedtrain.aggregate.arrays import Array
from fedtrain.config import AggregationConfig, ValidationConfig
from fedtrain.layouts import Layout, RouterRows
from fedtrain.partial import assignments, slice_weights
from fedtrain.partial.geometry import check_head
from fedtrain.randomness import Purpose, generator
from fedtrain.server.inspection import Answer, Inspected, Inspector


class _Aligning(Protocol):
    """The interface that a round needs of :class:`alignsolve.Aligner`. Only the aligner looks into its state."""

    @property
    def uses_geometry(self) -> bool: ...
    def probe(self, state: Any, masses: Mapping[int, npt.ArrayLike]) -> Any: ...
    def advice(self, state: Any) -> Advice: ...
    def align(self, state: Any, cohort: IntArray) -> tuple[Any, Any]: ...
    def observe(self, state: Any, reports: Sequence[Report]) -> Any: ...


@dataclass(frozen=True, eq=False)
class ServerState:
    """Everything that changes from round to round. A state is never modified: each round makes a new one.

    Attributes
    ----------
    round
        Number of rounds done.
    tensors
        The whole model's tensors.
    aligner
        The aligner's state.
    clock
        Simulated seconds since the run began.
    memory
        What the rule of aggregation remembers.
    """

    round: int
    tensors: dict[str, Array]
    aligner: Any
    clock: float = 0.0
    memory: Memory = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Pending:
    """A round that waits for its answers.

    Attributes
    ----------
    before
        The state at the start of the round.
    solution
        The alignment of the round.
    assigned
        Each client's experts. Clients without experts are left out.
    asked
        By client: its report for the case that it sends no answer; see :meth:`note`.
    aligned
        The aligner's state after aligning.
    started, align_seconds
        Start of the round by :func:`time.perf_counter`, and the seconds that the aligner took.
    pull
        Whether clients should train with an auxiliary loss, if they have one (:meth:`alignsolve.Aligner.advice`).
    """

    before: ServerState
    solution: Any
    assigned: dict[int, tuple[int, ...]]
    aligned: Any
    started: float
    align_seconds: float
    asked: dict[int, Report] = field(default_factory=dict)
    pull: bool = True

    def note(self, client: int, **known: Any) -> None:
        """Note facts about a client that the server knows before the client answers, such as the bytes sent to it."""
        self.asked[client] = replace(self.asked[client], **known)


@dataclass(frozen=True, eq=False)
class Finished:
    """The result of a round.

    Attributes
    ----------
    state
        The state after the round.
    inspected
        The inspected answers: updates, reports and faults.
    align_seconds
        Seconds that the aligner took to align and to observe.
    """

    state: ServerState
    inspected: Inspected
    align_seconds: float

    def count(self, outcome: Outcome) -> int:
        """Return the number of clients whose round ended with this outcome."""
        return sum(report.outcome is outcome for report in self.inspected.reports)

    def total(self, measure: str) -> Any:
        """Return the sum of a measure over all reports."""
        return sum(getattr(report, measure) for report in self.inspected.reports)


@dataclass(frozen=True, eq=False)
class Server:
    """The server's settings, which stay the same from round to round.

    Attributes
    ----------
    aligner
        The aligner, which decides which client trains which expert.
    layout
        The mapping from tensors to experts.
    router_down, router_up
        The rows of the router that a client is sent, and those that it returns.
    aggregation
        The rule for merging updates.
    validation
        The limits on updates.
    score
        The score of a model on the server's own examples, for the rule ``learned``; None: there are none.
    """

    aligner: _Aligning
    layout: Layout
    router_down: RouterRows = "held"
    router_up: RouterRows = "held"
    aggregation: AggregationConfig = field(default_factory=AggregationConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    score: Score | None = None

    def begin(self, state: ServerState, cohort: IntArray, masses: Mapping[int, npt.ArrayLike] | None = None) -> Pending:
        """Align a cohort.

        Parameters
        ----------
        state
            The state that the round starts from.
        cohort
            The clients of the round, ascending.
        masses
            Fresh router masses by client (:meth:`alignsolve.Aligner.probe`); None: no client was asked.

        Raises
        ------
        SolveError
            If no alignment could be found.
        LayoutError
            If the aligner learns from the geometry of updates, and the layout names an impossible head.
        """
        if self.aligner.uses_geometry:
            check_head(state.tensors, self.layout)
        started = time.perf_counter()
        known = state.aligner if masses is None else self.aligner.probe(state.aligner, masses)
        solution, aligned = self.aligner.align(known, cohort)
        assigned = assignments(solution, cohort)  # a client without experts has nothing to train or to report
        asked = {client: Report(client, held, outcome=Outcome.DROPPED) for client, held in assigned.items()}
        seconds, pull = time.perf_counter() - started, self.aligner.advice(aligned).pull
        return Pending(state, solution, assigned, aligned, started, seconds, asked, pull)

    def part(self, pending: Pending, client: int) -> dict[str, Array]:
        """Return a copy of the weights that a client of the round is sent."""
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
            The answers by client.
        caps
            The maximum number of examples of each client.
        """
        before = pending.before
        # Inspect the answers, and merge the updates without a fault.
        geometry = self.aligner.uses_geometry
        inspector = Inspector(before.tensors, self.layout, self.router_up, caps, self.validation, geometry)
        inspected = inspector.inspect(answers, pending.asked)
        memory = dict(before.memory)
        told: Any = {"layout": self.layout, "router_rows": self.router_up, "score": self.score, "memory": memory}
        tensors = aggregate(before.tensors, inspected.updates, self.aggregation, **told)
        # Let the aligner learn from all reports.
        observing = time.perf_counter()
        aligner = self.aligner.observe(pending.aligned, inspected.reports)
        align_seconds = pending.align_seconds + time.perf_counter() - observing
        state = ServerState(before.round + 1, tensors, aligner, before.clock, memory)
        return Finished(state, inspected, align_seconds)


def draw_cohort(seed: int, number: int, here: IntArray, size: int) -> IntArray:
    """Draw the clients of a round from those in ``here``; they are returned ascending.

    At least one client is drawn, and all of them if there are fewer than ``size``. Rounds are counted from 0.
    """
    rng = generator(seed, Purpose.COHORT, number)
    return np.sort(rng.choice(here, size=min(max(1, size), len(here)), replace=False))

"""AlignedStrategy: Flower's rounds with alignment; every client is sent its experts only, and each is merged alone."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MessageType, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Result, Strategy

from alignsolve import Aligner, AlignerState, Outcome, Solution
from alignsolve.numerics import IntArray
from fedtrain.adapters.flower import saved, wire
from fedtrain.adapters.flower.inspection import Inspected, inspect
from fedtrain.adapters.flower.records import is_plain, pack, unpack
from fedtrain.adapters.flower.roster import Roster
from fedtrain.layouts import Layout, Weights, detect
from fedtrain.loads import variation
from fedtrain.partial import RouterRows, assignments, merge, slice_weights
from fedtrain.randomness import Purpose, generator

LOG = logging.getLogger("flwr")

Evaluate = Callable[[int, ArrayRecord], MetricRecord | None]
Sample = Callable[[int, IntArray], IntArray]


class TooFewClientsError(RuntimeError):
    """Fewer clients than a round needs were there in time; the message says how many."""


@dataclass(frozen=True)
class _Pending:
    """A round whose replies are awaited."""

    plain: bool  # the format of the records
    solution: Solution
    aligned: AlignerState
    weights: Weights
    clients: dict[int, int]  # by node
    assigned: dict[int, tuple[int, ...]]
    bytes_down: dict[int, int]
    started: float


class AlignedStrategy(Strategy):
    """Federated training of a Mixture-of-Experts whose alignment is solved, and proven, in every round.

    Parameters
    ----------
    aligner
        Decides which client trains which expert; clients are known by their nodes' ``partition-id``.
    num_clients
        How many clients there are; their partition ids are 0 .. num_clients - 1.
    seed
        Of everything random: which clients take part, and how ties are broken.
    sample
        Called with the number of rounds done and the indices of the clients that are there, ascending; returns those
        that take part, ascending. None: a seeded draw of ``cohort_fraction``.
    cohort_fraction
        Share of all clients that takes part in a round, at least one.
    min_clients
        The fewest clients that a round takes place with.
    patience
        Seconds that a round waits for so many to be there; in the first round after :meth:`start`, for all of them.
    max_examples
        The most examples that a client may claim to have: its weight in the mean.
    router_down, router_up
        Which of the router's rows a client is sent, and returns: those of its experts (``held``) or ``all``. What all
        clients return of the whole router is averaged as the shared part is.
    layout
        Which tensors belong to which expert; None: recognised by names and shapes.
    state_dir
        A folder in which the state is saved after every round, and from which :meth:`start` goes on. None: neither.

    Notes
    -----
    Evaluation is the server's: pass ``evaluate_fn`` to :meth:`start`. Clients are not asked to evaluate, for no client
    has a whole model.
    """

    def __init__(
        self,
        aligner: Aligner,
        *,
        num_clients: int,
        seed: int = 0,
        sample: Sample | None = None,
        cohort_fraction: float = 1.0,
        min_clients: int = 1,
        patience: float = 60.0,
        max_examples: int = 10_000_000,
        router_down: RouterRows = "held",
        router_up: RouterRows = "held",
        layout: Layout | None = None,
        state_dir: str | Path | None = None,
    ) -> None:
        _check_numbers(num_clients, min_clients, cohort_fraction)
        self.aligner = aligner
        self.num_clients = num_clients
        self.seed = seed
        self.sample = sample or self._draw
        self.cohort_fraction = cohort_fraction
        self.min_clients = min_clients
        self.patience = patience
        self.router_down: RouterRows = router_down
        self.router_up: RouterRows = router_up
        self.layout = layout
        self.state_dir = None if state_dir is None else Path(state_dir)
        self.rounds_done = 0
        self.history: list[dict[str, float]] = []
        self.aligner_state: AlignerState | None = None
        self.roster = Roster(num_clients, max_examples)
        self._known_layout = layout
        self._timeout: float | None = None
        self._first = True
        self._pending: _Pending | None = None

    def summary(self) -> None:
        """Log what this strategy does."""
        LOG.info("\t├──> Alignment of %s clients; experts per client as the aligner's capacity says", self.num_clients)
        LOG.info("\t└──> State: %s", "not saved" if self.state_dir is None else self.state_dir)

    def start(
        self,
        grid: Grid,
        initial_arrays: ArrayRecord,
        num_rounds: int = 3,
        timeout: float = 3600,
        train_config: ConfigRecord | None = None,
        evaluate_config: ConfigRecord | None = None,
        evaluate_fn: Evaluate | None = None,
    ) -> Result:
        """Run ``num_rounds`` rounds; if a state was saved, those of them that are left.

        Parameters are Flower's. Clients that do not reply within ``timeout`` seconds are dropouts of the round.
        ``initial_arrays``: the whole model, made by :func:`pack` or by Flower's own ``ArrayRecord(state_dict)``.

        Raises
        ------
        LayoutError
            If the model has no experts, or they are not recognised.
        SavedStateError
            If the folder holds another run's state.
        TooFewClientsError
            If there are fewer than ``min_clients`` in time. What was done is saved.
        """
        self._timeout = timeout
        arrays = self._resume(initial_arrays)
        done = self.rounds_done
        result = super().start(
            grid,
            arrays,
            max(num_rounds - done, 0),
            timeout,
            train_config,
            evaluate_config,
            None if evaluate_fn is None else lambda number, arrays: evaluate_fn(done + number, arrays),
        )
        if not result.arrays:  # no round was left
            result.arrays = arrays
        return result

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Align the clients that are there, and write each a message of its own."""
        weights, started = unpack(arrays), time.monotonic()
        layout, state = self._prepare(weights)
        node_of = self._gather(grid)
        cohort = self._cohort(node_of)
        solution, aligned = self.aligner.align(state, cohort)
        assigned = assignments(solution, cohort)
        messages, bytes_down = [], {}
        for client, experts in assigned.items():
            part = pack(slice_weights(weights, layout, experts, router_rows=self.router_down))
            bytes_down[client] = part.count_bytes()
            task = wire.write_task(wire.AskedTask(self.rounds_done, experts))
            content = RecordDict({wire.WEIGHTS: part, wire.TASK: task, wire.CONFIG: ConfigRecord(dict(config))})
            group = str(self.rounds_done + 1)
            messages.append(Message(content, node_of[client], MessageType.TRAIN, ttl=self._lifetime(), group_id=group))
        clients = {node_of[client]: client for client in assigned}
        self._pending = _Pending(is_plain(arrays), solution, aligned, weights, clients, assigned, bytes_down, started)
        return messages

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Inspect what came back, merge it expert by expert, learn from it, and save the state."""
        pending, self._pending = self._pending, None
        layout = self._known_layout
        if pending is None or layout is None:
            raise RuntimeError("aggregate_train without configure_train before it")
        inspected = inspect(list(replies), pending.clients, pending.assigned, pending.bytes_down, layout.num_experts)
        cap = {client: float(self.roster.examples[client]) for client in pending.assigned}
        merged = merge(
            pending.weights, inspected.updates, layout, assigned=pending.assigned, cap=cap, router_rows=self.router_up
        )
        inspected = inspected.without(merged.faults)
        for client, fault in sorted(inspected.faults.items()):
            LOG.warning("client %s: %s", client, fault)
        self.roster.lost(inspected.silent)
        self.aligner_state = self.aligner.observe(pending.aligned, inspected.reports)
        self.rounds_done += 1
        figures = _figures(pending, inspected)
        self.history.append({"round": self.rounds_done, **figures})
        self._save(merged.weights)
        return pack(merged.weights, plain=pending.plain), MetricRecord(dict(figures))

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Ask nobody."""
        return []

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        """Nobody was asked."""
        return None

    def _resume(self, initial: ArrayRecord) -> ArrayRecord:
        """Go back to the saved state if there is one."""
        self._first, self.rounds_done, self.aligner_state, self.history = True, 0, None, []
        weights = unpack(initial)
        self._known_layout = self.layout or detect(weights)
        state = None if self.state_dir is None else saved.load(self.state_dir, self.aligner, self._about())
        if state is None:
            return initial
        _check_same_model(state.weights, weights)
        self.rounds_done, self.aligner_state, self.history = state.round, state.aligner, list(state.history)
        LOG.info("\t──> going on after round %s, saved in %s", state.round, self.state_dir)
        return pack(state.weights, plain=is_plain(initial))

    def _prepare(self, weights: Weights) -> tuple[Layout, AlignerState]:
        if self._known_layout is None:
            self._known_layout = detect(weights)
        if self.aligner_state is None:
            self.aligner_state = self.aligner.init(self.num_clients, self._known_layout.num_experts, seed=self.seed)
        return self._known_layout, self.aligner_state

    def _gather(self, grid: Grid) -> dict[int, int]:
        """Return the clients that are there, and their nodes."""
        enough = self.num_clients if self._first else self.min_clients
        self._first = False
        node_of = self.roster.refresh(grid, enough=enough, patience=self.patience)
        if len(node_of) < self.min_clients:
            raise TooFewClientsError(
                f"round {self.rounds_done + 1} needs {self.min_clients} clients, and {len(node_of)} are there after "
                f"{self.patience:g} s; are the nodes connected, each with a partition-id of its own?"
            )
        return node_of

    def _cohort(self, node_of: dict[int, int]) -> IntArray:
        cohort = self.sample(self.rounds_done, np.array(list(node_of), dtype=np.int64))
        absent = sorted(set(cohort.tolist()) - node_of.keys())
        if absent:
            raise ValueError(f"sample() chose client {absent[0]}, who is not there; those who are: {list(node_of)}")
        return cohort

    def _draw(self, rounds_done: int, online: IntArray) -> IntArray:
        size = min(max(1, round(self.cohort_fraction * self.num_clients)), len(online))
        return np.sort(generator(self.seed, Purpose.COHORT, rounds_done).choice(online, size=size, replace=False))

    def _lifetime(self) -> float | None:
        """Seconds after which a node need not begin a task; it is left time enough for clocks that differ."""
        return None if self._timeout is None else 2.0 * self._timeout + 60.0

    def _save(self, weights: dict[str, Any]) -> None:
        if self.state_dir is not None and self.aligner_state is not None:
            state = saved.SavedState(self.rounds_done, weights, self.aligner_state, self.history)
            saved.save(self.state_dir, state, self._about())

    def _about(self) -> dict[str, Any]:
        """Say what a run that resumes this one's state must agree on."""
        layout = self._known_layout
        return {
            "num_clients": self.num_clients,
            "seed": self.seed,
            "layout": layout and layout.name,
            "num_experts": layout and layout.num_experts,
        }


def _check_numbers(num_clients: int, min_clients: int, cohort_fraction: float) -> None:
    if not 1 <= min_clients <= num_clients:
        raise ValueError(f"min_clients is {min_clients}; it must be from 1 to num_clients, which is {num_clients}")
    if not 0.0 < cohort_fraction <= 1.0:
        raise ValueError(f"cohort_fraction is {cohort_fraction}; it must be above 0 and at most 1")


def _figures(pending: _Pending, inspected: Inspected) -> dict[str, float]:
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

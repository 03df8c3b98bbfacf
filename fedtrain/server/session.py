"""A run on another framework's server: who takes part, where it resumes, and every round's figures.

An adapter finds out which clients are there, sends each the part that :meth:`Session.begin` decided on, and hands what
came back to :meth:`Session.finish`.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from alignsolve import Aligner, AlignerState, Outcome
from alignsolve.numerics import IntArray
from fedtrain.aggregate.arrays import Array
from fedtrain.config import AggregationConfig
from fedtrain.config.checks import check
from fedtrain.layouts import Layout, RouterRows, Weights, detect
from fedtrain.results.history import load_variation
from fedtrain.server import checkpoint
from fedtrain.server.inspection import Answer
from fedtrain.server.step import Finished, Pending, Server, ServerState, draw_cohort

Sample = Callable[[int, IntArray], IntArray | None]


class TooFewClientsError(RuntimeError):
    """Fewer clients than a round needs were there in time; the message says how many."""


@dataclass
class Session:
    """A run's settings, and how far it is.

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
    rule, bad_share
        By which updates are merged; see :class:`fedtrain.config.AggregationConfig`.
    state_dir
        Where the state is saved after every round, and gone on from.
    also
        What else a run that goes on from a saved state must agree on.
    state, history
        What the next round starts from, None before :meth:`resume`; and every round's figures.
    """

    aligner: Aligner
    _: KW_ONLY
    num_clients: int
    min_clients: int = 1
    seed: int = 0
    sample: Sample | None = None
    cohort_fraction: float = 1.0
    router_down: RouterRows = "held"
    router_up: RouterRows = "held"
    layout: Layout | None = None
    rule: str = "mean"
    bad_share: float = 0.3
    state_dir: str | Path | None = None
    also: Mapping[str, Any] = field(default_factory=dict)
    state: ServerState | None = field(default=None, init=False)
    history: list[dict[str, float]] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        least, most, share = self.min_clients, self.num_clients, self.cohort_fraction
        check("min_clients", least, 1 <= least <= most, f"from 1 to num_clients, which is {most}")
        check("cohort_fraction", share, 0.0 < share <= 1.0, "above 0 and at most 1")
        self.aggregation = AggregationConfig(self.rule, self.bad_share)

    @property
    def rounds_done(self) -> int:
        """How many rounds are done, those before a resumption included."""
        return self.state.round if self.state else 0

    @property
    def aligner_state(self) -> AlignerState | None:
        """What the aligner knows; None before the start."""
        return self.state.aligner if self.state else None

    def resume(self, weights: Weights) -> dict[str, Array]:
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
        layout = self.layout or detect(weights)
        if len(layout.layer_sizes) > 1 and self.aligner.layers != layout.layer_sizes:
            raise ValueError(
                f"the model has layers of {layout.layer_sizes} experts, and the aligner's layers are "
                f"{self.aligner.layers}; with Aligner(layers={layout.layer_sizes}) every client gets an expert of each"
            )
        self.server = Server(self.aligner, layout, self.router_down, self.router_up, self.aggregation)
        known = self.aligner.init(self.num_clients, layout.num_experts, seed=self.seed)
        self.state, self.history = ServerState(0, dict(weights), known), []
        if self.state_dir is not None:
            found = checkpoint.load(Path(self.state_dir), self.aligner, self._about(), weights)
            self.state, self.history = found or (self.state, self.history)
        return self.state.tensors

    def begin(self, weights: Weights, here: Sequence[int], *, patience: float) -> Pending:
        """Align a round's clients.

        Parameters
        ----------
        weights
            The whole model: that of the last round, or what somebody made of it since.
        here
            The clients that are there, ascending.
        patience
            Seconds that were waited for them: what an error says.

        Raises
        ------
        TooFewClientsError
            If there are fewer than ``min_clients``. What was done is saved.
        """
        if self.state is None:
            raise RuntimeError("a round before resume()")
        if len(here) < self.min_clients:
            raise TooFewClientsError(
                f"round {self.rounds_done + 1} needs {self.min_clients} clients, and {len(here)} are there after "
                f"{patience:g} s; are they connected, each under a name or partition-id of its own?"
            )
        state = replace(self.state, tensors=dict(weights))
        return self.server.begin(state, self._cohort(here))

    def finish(
        self, pending: Pending, answers: Mapping[int, Sequence[Answer]], caps: Mapping[int, float]
    ) -> tuple[Finished, dict[str, float]]:
        """Inspect a round's answers, merge them expert by expert, learn from them, and save the state.

        Parameters
        ----------
        pending
            The round, as :meth:`begin` returned it, with every client's ``bytes_down`` noted.
        answers
            By client.
        caps
            The most examples that each client can have.

        Returns
        -------
        tuple
            What the round led to, and its figures: ``clients`` that were asked: ``merged``, ``rejected`` (what they
            sent was refused), and all others ``dropped``, those that ran out of memory included; ``bytes-down`` and
            ``bytes-up``; the alignment's ``objective``, ``gap`` and ``load-cv``, the coefficient of variation of the
            clients per expert; the ``seconds`` on the wall's clock.
        """
        done = self.server.finish(pending, answers, caps)
        self.state, clients, solution = done.state, len(pending.assigned), pending.solution
        merged, rejected = done.count(Outcome.COMPLETED), done.count(Outcome.REJECTED)
        figures: dict[str, float] = {
            "clients": clients,
            "merged": merged,
            "rejected": rejected,
            "dropped": clients - merged - rejected,
            "bytes-down": done.total("bytes_down"),
            "bytes-up": done.total("bytes_up"),
            "objective": float(solution.objective or 0.0),
            "gap": float(solution.gap),
            "load-cv": load_variation(solution),
            "seconds": time.perf_counter() - pending.started,
        }
        self.history.append({"round": self.rounds_done, **figures})
        if self.state_dir is not None:
            checkpoint.save(Path(self.state_dir), done.state, self.aligner, self._about(), self.history)
        return done, figures

    def _cohort(self, here: Sequence[int]) -> IntArray:
        there = np.array(here, dtype=np.int64)
        cohort = None if self.sample is None else self.sample(self.rounds_done, there)
        if cohort is None:
            size = round(self.cohort_fraction * self.num_clients)
            cohort = draw_cohort(self.seed, self.rounds_done, there, size)
        absent = sorted(set(cohort.tolist()) - set(here))
        if absent:
            raise ValueError(f"sample() chose client {absent[0]}, who is not there; those who are: {list(here)}")
        return cohort

    def _about(self) -> dict[str, Any]:
        """Say what a run that resumes this one's state must agree on."""
        layout = self.server.layout
        model = {"layout": layout.name, "num_experts": layout.num_experts}
        return {"num_clients": self.num_clients, "seed": self.seed, **model, **self.also}

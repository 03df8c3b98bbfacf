"""A run on another framework's server: choice of the cohort, resumption, and every round's figures.

An adapter finds out which clients are connected. It sends each of them the part that :meth:`Session.begin` assigned,
and passes the answers to :meth:`Session.finish`.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from alignsolve import Aligner, AlignerState, Outcome
from alignsolve.numerics import IntArray
from fedtrain.aggregate import Score
from fedtrain.aggregate.arrays import Array
from fedtrain.config import AggregationConfig
from fedtrain.config.checks import check
from fedtrain.layouts import Layout, RouterRows, Weights, detect
from fedtrain.partial import footprint
from fedtrain.results.history import load_variation
from fedtrain.server import checkpoint
from fedtrain.server.inspection import Answer
from fedtrain.server.memory import needed_memory, refuse_other_layers, refuse_probes, within_memory
from fedtrain.server.step import Finished, Pending, Server, ServerState, draw_cohort

REPORTED = "reported"
"""The memory of a session whose clients report their memory themselves; see :meth:`Session.declare`."""
Ask = Callable[[IntArray], Mapping[int, npt.ArrayLike]]
Sample = Callable[[int, IntArray], IntArray | None]


class TooFewClientsError(RuntimeError):
    """Fewer clients than a round needs are connected in time; the message says how many."""


@dataclass
class Session:
    """The settings and the progress of a run.

    Attributes
    ----------
    aligner
        The aligner, which decides which client trains which expert.
    num_clients, min_clients
        The number of clients, and the smallest number that a round needs.
    seed
        Seed of all random choices.
    sample
        A function of the number of rounds done and the connected clients; it returns the clients that take part. If it
        is None, or returns None, ``cohort_fraction`` of all clients is drawn from the seed.
    cohort_fraction
        Share of all clients that takes part in a round.
    router_down, router_up
        The rows of the router that a client is sent, and those that it returns.
    memory
        Scalar or (num_clients,): bytes that each client's device can spend on training, without activations. A client
        gets as many experts of all layers together as fit into it. ``"reported"``: see :meth:`declare`. None: the
        aligner's own capacity and budget are the only limits.
    copies
        How often each parameter is in a client's memory: itself, its gradient, and the optimiser's moments. 4 for Adam,
        3 for SGD with momentum, 2 without.
    layout
        The mapping from tensors to experts; None: it is detected from the tensors.
    rule, bad_share
        The rule for merging updates, and its setting; see :class:`fedtrain.config.AggregationConfig`. The rule can also
        be such a configuration, with all its settings; ``bad_share`` is then not used.
    score
        A function of a whole model's tensors, for the rule ``learned``: its score on the server's own examples, such as
        minus the mean loss.
    state_dir
        Folder in which the state is saved after every round, and from which the run is resumed.
    also
        Further settings that must be equal in a run that resumes a saved state.
    least_memory
        The bytes that a client must report at least, if clients report their memory; None: they need not.
    state, history
        The state that the next round starts from (None before :meth:`resume`), and every round's figures.
    """

    exchanges_masses: ClassVar[bool] = False
    """Whether the adapter asks clients for fresh router masses."""
    aligner: Aligner
    _: KW_ONLY
    num_clients: int
    min_clients: int = 1
    seed: int = 0
    sample: Sample | None = None
    cohort_fraction: float = 1.0
    router_down: RouterRows = "held"
    router_up: RouterRows = "held"
    memory: Any = None
    copies: int = 4
    layout: Layout | None = None
    rule: str | AggregationConfig = "mean"
    bad_share: float = 0.3
    score: Score | None = None
    state_dir: str | Path | None = None
    also: Mapping[str, Any] = field(default_factory=dict)
    state: ServerState | None = field(default=None, init=False)
    history: list[dict[str, float]] = field(default_factory=list, init=False)
    least_memory: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        least, most, share = self.min_clients, self.num_clients, self.cohort_fraction
        check("min_clients", least, 1 <= least <= most, f"from 1 to num_clients, which is {most}")
        check("cohort_fraction", share, 0.0 < share <= 1.0, "above 0 and at most 1")
        known = not isinstance(self.memory, str) or self.memory == REPORTED
        check("memory", self.memory, known, f"bytes, or {REPORTED!r}")
        self._given = self.aligner
        rule = self.rule
        self.aggregation = AggregationConfig(rule, self.bad_share) if isinstance(rule, str) else rule
        scored = self.score is not None or self.aggregation.rule != "learned"
        check("score", self.score, scored, "a function of the model's tensors where the rule is 'learned'")

    @property
    def reports_memory(self) -> bool:
        """Whether the clients report their memory themselves."""
        return isinstance(self.memory, str)

    @property
    def rounds_done(self) -> int:
        """The number of rounds done, including those before a resumption."""
        return self.state.round if self.state else 0

    @property
    def aligner_state(self) -> AlignerState | None:
        """The aligner's state; None before :meth:`resume`."""
        return self.state.aligner if self.state else None

    def resume(self, weights: Weights) -> dict[str, Array]:
        """Start with these weights of the whole model, or resume from the saved state, if there is one.

        Returns
        -------
        dict
            The whole model's tensors that the next round starts from.

        Raises
        ------
        LayoutError
            If the model has no experts, or its experts cannot be detected.
        ValueError
            If the model has several layers of experts, and the aligner's ``layers`` differ from them. If a client has
            too little memory for an expert of every layer; the message names it, with the missing bytes and a proposal.
            If the aligner asks for fresh router masses, and the adapter does not exchange them.
        SavedStateError
            If the folder holds another run's state, or the state cannot be read.
        """
        if not self.exchanges_masses:
            refuse_probes(self._given)
        layout = self.layout or detect(weights)
        if self.memory is not None:
            whole = footprint(weights, layout, copies=self.copies, router_rows=self.router_down)
            least = needed_memory(layout, whole, self.aligner.layer_demand)
            self.least_memory = least if self.reports_memory else None
            memory = least if self.reports_memory else self.memory
            self.aligner = within_memory(self._given, layout, whole, memory)
        refuse_other_layers(self.aligner, layout)
        self.server = Server(self.aligner, layout, self.router_down, self.router_up, self.aggregation, score=self.score)
        known = self.aligner.init(self.num_clients, layout.num_experts, seed=self.seed)
        self.state, self.history = ServerState(0, dict(weights), known), []
        if self.state_dir is not None:
            found = checkpoint.load(Path(self.state_dir), self.aligner, self._about(), weights)
            self.state, self.history = found or (self.state, self.history)
        return self.state.tensors

    def declare(self, memory: Mapping[int, int]) -> None:
        """Take what the devices report of their memory, in bytes by client; all others get no experts.

        An adapter calls it before :meth:`begin` if ``memory`` is ``"reported"``.
        """
        budget: Any = self.aligner.budget
        told = np.array([memory.get(client, 0) for client in range(self.num_clients)], dtype=np.float64)
        self.aligner = replace(self.aligner, budget=replace(budget, memory=told))
        self.server = replace(self.server, aligner=self.aligner)

    def begin(self, weights: Weights, here: Sequence[int], *, patience: float, ask: Ask | None = None) -> Pending:
        """Align a round's clients.

        Parameters
        ----------
        weights
            The whole model after the last round; the caller may have changed it since.
        here
            The connected clients, ascending.
        patience
            Seconds for which the caller waited for clients; an error message quotes it.
        ask
            Asks these clients for fresh router masses and returns them by client; clients may be missing. It is called
            if the aligner has ``fresh_masses``.

        Raises
        ------
        TooFewClientsError
            If fewer than ``min_clients`` are connected. The rounds before are saved.
        """
        if self.state is None:
            raise RuntimeError("a round before resume()")
        if len(here) < self.min_clients:
            raise TooFewClientsError(
                f"round {self.rounds_done + 1} needs {self.min_clients} clients, and {len(here)} are there after "
                f"{patience:g} s; are they connected, each under a name or partition-id of its own?"
            )
        state = replace(self.state, tensors=dict(weights))
        cohort = self._cohort(here)
        masses = ask(cohort) if ask is not None and self.aligner.fresh_masses else None
        return self.server.begin(state, cohort, masses)

    def finish(
        self, pending: Pending, answers: Mapping[int, Sequence[Answer]], caps: Mapping[int, float]
    ) -> tuple[Finished, dict[str, float]]:
        """Inspect a round's answers, merge them expert by expert, learn from them, and save the state.

        Parameters
        ----------
        pending
            The round, as :meth:`begin` returned it. Every client's ``bytes_down`` must be noted in it.
        answers
            The answers by client.
        caps
            The maximum number of examples of each client.

        Returns
        -------
        tuple
            The finished round, and its figures by name. ``clients`` counts the clients that were asked. They are
            divided into ``merged``, ``rejected`` (the update was refused) and ``dropped`` (all others, also those that
            ran out of memory). ``bytes-down`` and ``bytes-up`` are the traffic. ``objective`` and ``gap`` are those of
            the alignment; ``load-cv`` is its coefficient of variation of the clients per expert. ``seconds`` is
            wall-clock time.
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
        """Return the clients that take part in the next round, chosen by ``sample`` or drawn from the seed."""
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
        """Return the settings that must be equal in a run that resumes this state."""
        layout = self.server.layout
        model = {"layout": layout.name, "num_experts": layout.num_experts}
        return {"num_clients": self.num_clients, "seed": self.seed, **model, **self.also}

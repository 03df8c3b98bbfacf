"""AlignedController: NVFlare's rounds with alignment. Each client is sent its own experts only."""

import math
import time
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from nvflare.apis.client import Client
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.app_common.abstract.fl_model import FLModel
from nvflare.app_common.workflows.model_controller import ModelController

from alignsolve import Aligner
from alignsolve.numerics import IntArray
from fedtrain.adapters.nvflare import wire
from fedtrain.config.checks import check
from fedtrain.layouts import RouterRows, Weights
from fedtrain.server.inspection import Answer, Inspected
from fedtrain.server.session import Session
from fedtrain.server.step import Pending

PAUSE = 0.2
"""Seconds between two checks for connected clients or new answers."""


@dataclass(eq=False, repr=False)
class AlignedController(ModelController):  # type: ignore[misc]
    """Federated training of a Mixture-of-Experts model whose alignment is solved and certified in every round.

    A subclass defines the model (:meth:`initial_weights`) and the aligner (:meth:`make_aligner`). Both methods are
    called on the server when the job starts. All parameters are plain values, because NVFlare writes them into the
    job's configuration.

    Parameters
    ----------
    clients
        Names of the sites that train. A client's index is its position in this list. Other sites are not asked.
    num_rounds
        Total number of rounds, including those before a resumption.
    timeout
        Seconds that a round waits for its clients. A client that has not answered by then drops out of the round.
    seed
        Seed of all random choices: the cohorts, and the breaking of ties.
    cohort_fraction
        Share of all clients that takes part in a round; at least one client does.
    min_clients
        The smallest number of clients that a round needs.
    patience
        Seconds that a round waits for ``min_clients`` clients to connect. The first round waits for all clients.
    max_examples
        The maximum number of examples that a client may claim; the number is its weight in the mean. One number for all
        clients, or one per client.
    router_down, router_up
        The rows of the router that a client is sent, and those that it returns: the rows of its experts (``held``) or
        ``all``. If all clients return the whole router, it is averaged like the shared part.
    memory
        Bytes that each site can spend on training, without activations: one number for all, or one per site. A site
        gets as many experts of all layers together as fit into it. None: the aligner's own capacity and budget are the
        only limits.
    copies
        How often each parameter is in a site's memory: itself, its gradient, and the optimiser's moments. 4 for Adam, 3
        for SGD with momentum, 2 without.
    rule, bad_share
        The rule for merging updates, a name in ``fedtrain.config.server.RULES``; and the share of bad updates among an
        expert's holders that ``trimmed-mean`` and ``multi-krum`` must tolerate. ``learned`` needs :meth:`score`.
    state_dir
        A folder in which the state is saved after every round, and from which a job resumes. None: no state is saved.
        The path must be absolute. It should lie outside the job's workspace, which NVFlare may clear.
    config
        Settings that every client is sent with its task.
    task_name
        Name of the task that the clients' executor is configured for.
    """

    clients: Sequence[str]
    num_rounds: int = 3
    timeout: float = 3600.0
    seed: int = 0
    cohort_fraction: float = 1.0
    min_clients: int = 1
    patience: float = 60.0
    max_examples: int | Sequence[int] = 10_000_000
    router_down: RouterRows = "held"
    router_up: RouterRows = "held"
    state_dir: str | None = None
    config: Mapping[str, Any] | None = None
    task_name: str = "train"
    rule: str = "mean"
    bad_share: float = 0.3
    memory: float | Sequence[float] | None = None
    copies: int = 4

    def __post_init__(self) -> None:
        # There is no persistor, because this class saves the state. An error of a client never ends the job.
        super().__init__(persistor_id="", ignore_result_error=True, task_check_period=PAUSE)
        names, timeout, folder = self.clients, self.timeout, self.state_dir
        named = not isinstance(names, str) and len(names) > 0 and len(set(names)) == len(names)
        check("clients", names, named, "the names of the sites, each once")
        check("timeout", timeout, 0.0 < timeout < math.inf, "above 0, and finite: a round ends when it is over")
        caps = self._caps()
        known = len(caps) == len(names) and all(0 < most < math.inf for most in caps)
        check("max_examples", self.max_examples, known, "above 0: one number, or one for every client")
        found = folder is None or Path(folder).is_absolute()
        check("state_dir", folder, found, "absolute: NVFlare runs the server in a folder of its own")
        self.clients = list(names)
        self._presence = _Presence()
        wire.prepare()

    @abstractmethod
    def make_aligner(self) -> Aligner:
        """Return the aligner, which decides which client trains which expert."""

    @abstractmethod
    def initial_weights(self) -> Weights:
        """Return the whole model at the start of training: numpy arrays or torch tensors by name."""

    def sample(self, rounds_done: int, here: IntArray) -> IntArray | None:
        """Choose a round's clients from the connected ones, ascending; None: draw ``cohort_fraction`` from the seed."""
        return None

    def score(self, weights: Weights) -> float:
        """Return the score of a model on the server's own examples, higher is better, for the rule ``learned``."""
        raise NotImplementedError("rule is 'learned': write the method score(weights), such as minus the mean loss")

    def after_round(self, number: int, weights: Weights, figures: Mapping[str, float]) -> None:
        """Run after every round; a subclass may evaluate the model here, for example. Rounds are counted from 1."""

    def run(self) -> None:
        """Run the rounds; after a resumption, only the rest of them. NVFlare calls this.

        Raises
        ------
        LayoutError
            If the model has no experts, or its experts cannot be detected.
        SavedStateError
            If the folder holds another run's state, or the state cannot be read.
        TooFewClientsError
            If fewer than ``min_clients`` are connected in time. The rounds before are saved.
        """
        # Start from the initial weights, or resume from the saved state.
        session = self.session = self._new_session()
        weights: Weights = session.resume(self.initial_weights())
        if session.rounds_done >= self.num_rounds:
            self.warning(
                f"nothing is trained: {self.state_dir} holds the state after round {session.rounds_done}, and "
                f"num_rounds is {self.num_rounds}; raise num_rounds to go on, or name another state_dir to start anew"
            )
        elif session.rounds_done:
            self.info(f"going on after round {session.rounds_done}, saved in {self.state_dir}")
        enough = len(self.clients)
        while session.rounds_done < self.num_rounds:
            # Wait for clients, align them, and send each its part.
            here = self._gather(enough)
            if self.is_aborted():
                return
            pending = session.begin(weights, here, patience=self.patience)
            answers = self._ask(session, pending)
            if self.is_aborted():
                return
            # Merge the answers, and log the round.
            done, figures = session.finish(pending, answers, dict(enumerate(self._caps())))
            self._report(done.inspected)
            self.info(f"round {session.rounds_done}: {figures}")
            weights, enough = done.state.tensors, self.min_clients
            self.after_round(session.rounds_done, weights, figures)

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Note which sites are alive; NVFlare calls this."""
        super().handle_event(event_type, fl_ctx)
        if event_type in (EventType.BEFORE_PROCESS_TASK_REQUEST, EventType.BEFORE_PROCESS_SUBMISSION):
            site = fl_ctx.get_peer_context().get_identity_name()
            self._presence.heard(site, answered=event_type == EventType.BEFORE_PROCESS_SUBMISSION)

    def process_result_of_unknown_task(
        self, client: Client, task_name: str, client_task_id: str, result: Shareable, fl_ctx: FLContext
    ) -> None:
        """Log that an update came after its round and is not merged; NVFlare calls this."""
        self.log_warning(fl_ctx, f"{client.name}: its update came too late, and is not merged")

    def _new_session(self) -> Session:
        """Return a session with the settings of this controller."""
        same = (
            "min_clients",
            "seed",
            "sample",
            "cohort_fraction",
            "router_down",
            "router_up",
            "rule",
            "bad_share",
            "score",
            "memory",
            "copies",
        )
        settings: dict[str, Any] = {name: getattr(self, name) for name in (*same, "state_dir")}
        also = {"clients": self.clients}
        return Session(self.make_aligner(), num_clients=len(self.clients), also=also, **settings)

    def _caps(self) -> list[float]:
        """Return the maximum number of examples of each client."""
        known = self.max_examples
        return [float(most) for most in ([known] * len(self.clients) if isinstance(known, int) else known)]

    def _gather(self, enough: int) -> list[int]:
        """Return the connected clients, once there are enough of them or ``patience`` seconds have passed."""
        deadline = time.monotonic() + self.patience
        while len(here := self._here()) < enough and time.monotonic() < deadline and not self.is_aborted():
            time.sleep(PAUSE)
        return here

    def _here(self) -> list[int]:
        """Return the clients that are connected and not absent, ascending."""
        connected = {client.name for client in self.engine.get_clients()} - self._presence.absent
        return [
            index
            for index, name in enumerate(self.clients)
            if name in connected and self.get_client_disconnect_time(name) is None
        ]

    def _ask(self, session: Session, pending: Pending) -> dict[int, list[Answer]]:
        """Send every client its part, and wait until each has answered, failed, or run out of time."""
        # Send the tasks; each answer is kept when it arrives.
        answers: dict[int, list[Answer]] = {client: [] for client in pending.assigned}
        self._presence.answered.clear()
        for client, experts in pending.assigned.items():
            part = session.server.part(pending, client)
            pending.note(client, bytes_down=wire.weigh(part.values()))
            about = {
                "client": client,
                "experts": list(experts),
                "config": dict(self.config or {}),
                "pull": pending.pull,
            }
            self.send_model(
                self.task_name,
                wire.write_task(part, session.rounds_done, self.num_rounds, about),
                targets=[self.clients[client]],
                timeout=math.ceil(self.timeout),
                callback=partial(_hear, client, answers[client]),
            )
        # Wait until no task is open.
        while self.get_num_standing_tasks() and not self.is_aborted():
            time.sleep(PAUSE)
        return answers

    def _report(self, inspected: Inspected) -> None:
        """Log the clients whose updates are not merged, and skip silent clients for now."""
        for client, fault in inspected.told().items():
            name = self.clients[client]
            failed = client in inspected.silent and name in self._presence.answered
            self.warning(f"client {client}, {name}: {'failed; its log says why' if failed else fault}")
        self._presence.missed(self.clients[client] for client in inspected.silent)


def _hear(client: int, answers: list[Answer], model: FLModel) -> None:
    """Keep an answer; NVFlare calls this for every client that did not fail."""
    answers.append(wire.read_sent(client, model))


@dataclass
class _Presence:
    """Keeps track of the sites that respond. A site that was silent in a round is skipped until it asks for a task.

    NVFlare lists a dead site for a minute or more, and its simulator lists it forever. Every round would wait for it in
    vain. A live site without a task asks for one all the time. A site that still works on its last task does not ask,
    and cannot take another task.

    Attributes
    ----------
    absent
        The sites that are skipped.
    answered
        The sites that sent a result in this round, including failures.
    """

    absent: set[str] = field(default_factory=set)
    answered: set[str] = field(default_factory=set)

    def heard(self, site: str, *, answered: bool) -> None:
        """Note that a site asked for a task, or sent a result."""
        if answered:
            self.answered.add(site)
        else:
            self.absent.discard(site)

    def missed(self, sites: Iterable[str]) -> None:
        """Skip those of these sites that sent no result at all. A site that reported a failure is not skipped."""
        self.absent |= set(sites) - self.answered

"""AlignedStrategy: Flower's rounds with alignment. A client is sent its experts only; each expert is merged alone."""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from flwr.app import ArrayRecord, ConfigRecord, Message, MessageType, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Result, Strategy

from alignsolve import Outcome
from fedtrain.adapters.flower import wire
from fedtrain.adapters.flower.records import is_plain, pack, unpack
from fedtrain.adapters.flower.roster import Roster
from fedtrain.server.inspection import Answer
from fedtrain.server.session import Session
from fedtrain.server.step import Pending

LOG = logging.getLogger("flwr")

Evaluate = Callable[[int, ArrayRecord], MetricRecord | None]


@dataclass(frozen=True)
class _Sent:
    """A round whose replies are awaited."""

    plain: bool  # the format of the records
    pending: Pending
    clients: dict[int, int]  # by node


@dataclass(eq=False)
class AlignedStrategy(Session, Strategy):
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
    rule, bad_share
        By which updates are merged, a name in ``fedtrain.aggregate.RULES``; and the share of an expert's holders that
        ``trimmed-mean`` and ``multi-krum`` are to bear.
    state_dir
        A folder in which the state is saved after every round, and from which :meth:`start` goes on. None: neither.
    also
        What else a run that goes on from a saved state must agree on, as JSON holds it.

    Notes
    -----
    Evaluation is the server's: pass ``evaluate_fn`` to :meth:`start`. Clients are not asked to evaluate, for no client
    has a whole model.
    """

    patience: float = 60.0
    max_examples: int = 10_000_000

    def __post_init__(self) -> None:
        super().__post_init__()
        self.roster = Roster(self.num_clients, self.max_examples)
        self._timeout: float | None = None
        self._first = True
        self._sent: _Sent | None = None

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
        evaluated = None if evaluate_fn is None else lambda number, arrays: evaluate_fn(done + number, arrays)
        left = max(num_rounds - done, 0)
        result = super().start(grid, arrays, left, timeout, train_config, evaluate_config, evaluated)
        if not result.arrays:  # no round was left
            result.arrays = arrays
        return result

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Align the clients that are there, and write each a message of its own."""
        node_of, done = self._gather(grid), self.rounds_done
        pending = self.begin(unpack(arrays), list(node_of), patience=self.patience)
        messages = []
        for client, experts in pending.assigned.items():
            part = pack(self.server.part(pending, client))
            pending.note(client, bytes_down=part.count_bytes())
            task = wire.write_task(done, experts)
            content = RecordDict({wire.WEIGHTS: part, wire.TASK: task, wire.CONFIG: ConfigRecord(dict(config))})
            group = str(done + 1)
            messages.append(Message(content, node_of[client], MessageType.TRAIN, ttl=self._lifetime(), group_id=group))
        self._sent = _Sent(is_plain(arrays), pending, {node_of[client]: client for client in pending.assigned})
        return messages

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Inspect what came back, merge it expert by expert, learn from it, and save the state."""
        sent, self._sent = self._sent, None
        if sent is None:
            raise RuntimeError("aggregate_train without configure_train before it")
        cap = {client: float(self.roster.examples[client]) for client in sent.pending.assigned}
        done, figures = self.finish(sent.pending, _answers(replies, sent.clients), cap)
        for client, fault in done.inspected.told().items():
            LOG.warning("client %s: %s", client, fault)
        self.roster.lost(done.inspected.silent)
        return pack(done.state.tensors, plain=sent.plain), MetricRecord(dict(figures))

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
        self._first = True
        weights = self.resume(unpack(initial))
        if not self.rounds_done:
            return initial
        LOG.info("\t──> going on after round %s, saved in %s", self.rounds_done, self.state_dir)
        return pack(weights, plain=is_plain(initial))

    def _gather(self, grid: Grid) -> dict[int, int]:
        """Return the clients that are there, and their nodes."""
        enough = self.num_clients if self._first else self.min_clients
        self._first = False
        return self.roster.refresh(grid, enough=enough, patience=self.patience)

    def _lifetime(self) -> float | None:
        """Seconds after which a node need not begin a task; it is left time enough for clocks that differ."""
        return None if self._timeout is None else 2.0 * self._timeout + 60.0


def _answers(replies: Iterable[Message], clients: dict[int, int]) -> dict[int, list[Answer]]:
    """Sort replies by client; by the message's id: one that was delivered twice is one."""
    arrived: defaultdict[int, dict[str, Message]] = defaultdict(dict)
    for reply in replies:
        client = clients.get(reply.metadata.src_node_id)
        if client is not None:
            arrived[client][reply.metadata.message_id] = reply
    return {client: [_answer(client, reply) for reply in sent.values()] for client, sent in arrived.items()}


def _answer(client: int, reply: Message) -> Answer:
    if reply.has_error():
        return Answer(fault=f"failed: {reply.error.reason}", outcome=Outcome.DROPPED)
    return wire.read_sent(client, reply.content)
